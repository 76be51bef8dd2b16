"""TextGrids that lie outside a corpus: FOLDER/SPEAKER/textgrid/NAME.TextGrid, as `accent align` writes them.

Cost: one look at a file name an utterance without a TextGrid of its own.
"""

import os
from dataclasses import replace
from pathlib import Path

from accent.errors import AccentError
from shards.corpora.corpus import Corpus, Utterance, key_of


def alignment_path(folder: Path, utterance: Utterance) -> Path:
    """Return where the TextGrid of an utterance lies.

    Speaker and name are those of the utterance's key: for names of letters, digits, `_` and `-` they are the names of
    the speaker's folder and of the sound file, so that the folder may be copied over a corpus in L2-ARCTIC's layout.
    """
    speaker = key_of(utterance.speaker, "").removesuffix("-")
    return folder / speaker / "textgrid" / f"{utterance.key.removeprefix(f'{speaker}-')}.TextGrid"


def with_alignments(corpus: Corpus, folder: Path) -> Corpus:
    """Give every utterance that has no TextGrid the one that the folder has for it, if it has one.

    Args:
        corpus: the utterances; those with a TextGrid keep it.
        folder: what `accent align` wrote.

    Raises:
        AccentError: no such folder, or it has nothing for any utterance that lacks a TextGrid.
    """
    folder = Path(os.path.abspath(folder.expanduser()))
    if not folder.is_dir():
        raise AccentError(f"{folder}: no such folder of TextGrids (corpus.alignments); make it with accent align")
    found: list[Utterance] = []
    lacking = given = 0
    for utterance in corpus.utterances:
        if utterance.textgrid is None:
            lacking += 1
            path = alignment_path(folder, utterance)
            if path.is_file():
                given += 1
                utterance = replace(utterance, textgrid=path)
        found.append(utterance)
    if lacking and not given:
        raise AccentError(
            f"{folder}: no TextGrid for any of the {lacking} utterances of {corpus.root} that have none "
            f"(corpus.alignments); accent align {corpus.root} {folder} makes them"
        )
    return replace(corpus, utterances=tuple(found))
