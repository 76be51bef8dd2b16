"""The recordings that a user names: a sound file, a folder of them, or a corpus, each with what is known of it.

Beside a sound file NAME.wav its TextGrid is NAME.TextGrid, there or in a folder `textgrid` next to the sound's folder.
A corpus says speaker, accent and sex itself.  Cost: listing the folders.
"""

from dataclasses import dataclass
from pathlib import Path

from launch.extraction.sound_files import list_sound_files, textgrid_beside
from shards.corpora import CorpusConfig, common_voice, l2arctic, open_corpus, tree
from shards.writing.plan import relative

TABLE_SUFFIXES = (".tsv", ".csv", ".jsonl")


@dataclass(frozen=True)
class Recording:
    """One sound file to measure."""

    path: Path
    name: str
    """What the tables call it: its path below the folder that the user named."""
    speaker: str | None = None
    accent: str | None = None
    sex: str | None = None
    """`female`, `male`, or None where nobody says."""
    language: str | None = None
    textgrid: Path | None = None


def list_recordings(
    source: Path, sex: str | None = None, alignments: str | None = None
) -> tuple[list[Recording], list[tuple[str, str]]]:
    """List what there is to measure.

    Args:
        source: a sound file, a folder of them at any depth, a corpus folder or a corpus table.
        sex: of all speakers whose sex the corpus does not say.
        alignments: folder that `accent align` wrote, for a corpus whose utterances have no TextGrids.

    Returns:
        The recordings; and each input that cannot be used, with the reason.

    Raises:
        AccentError: nothing there, or no sound in it.
    """
    if _is_corpus(source):
        corpus = open_corpus(source, CorpusConfig(alignments=alignments))
        found = [
            Recording(
                one.path, relative(one.path, corpus.root), one.speaker, one.accent, one.sex or sex, one.language,
                one.textgrid,
            )
            for one in corpus.utterances
        ]  # fmt: skip
        return found, [(one.path, one.reason) for one in corpus.refused]
    files, refused = list_sound_files(source)
    root = source if source.is_dir() else source.parent
    return [Recording(path, relative(path, root), sex=sex, textgrid=textgrid_beside(path)) for path in files], refused


def _is_corpus(source: Path) -> bool:
    if source.is_file():
        return source.suffix.lower() in TABLE_SUFFIXES
    return source.is_dir() and (
        (source / tree.TABLE_NAME).is_file() or common_voice.is_here(source) or l2arctic.is_here(source)
    )
