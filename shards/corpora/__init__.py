"""Corpora: L2-ARCTIC and Common Voice as distributed, any tree in its layout, any table, synthetic speech.

`open_corpus` lists a corpus without opening its sound.  Cost: about two seconds for 27,000 utterances, most of it spent
on reading the transcripts.
"""

import os
from pathlib import Path

from accent.errors import AccentError
from shards.corpora import common_voice, l2arctic, table, tree
from shards.corpora.alignments import with_alignments
from shards.corpora.corpus import Corpus, CorpusConfig, Refusal, Utterance
from shards.corpora.names import escaped, is_utf8

__all__ = ["Corpus", "CorpusConfig", "Refusal", "Utterance", "open_corpus"]

_READERS = {"l2arctic": l2arctic.read, "tree": tree.read, "table": table.read, "common_voice": common_voice.read}
"""A new kind of corpus is one reader, one line here, and its name in `CorpusConfig.kind`."""


def open_corpus(source: Path, config: CorpusConfig | None = None) -> Corpus:
    """List the utterances of a corpus.

    Args:
        source: a folder (L2-ARCTIC, Common Voice, a tree with a `speakers.tsv`) or a table file (.tsv, .csv, .jsonl).
        config: which kind, speakers and accents; everything by default.

    Returns:
        The corpus: utterances sorted by key, and the inputs refused so far with their reasons.

    Raises:
        AccentError: nothing at `source`, an unknown layout, no sound, a speaker or accent that is not there.
    """
    config = config or CorpusConfig()
    # abspath, not resolve: a corpus made of symbolic links keeps its own names.
    source = Path(os.path.abspath(Path(source).expanduser()))
    if not os.path.exists(source):
        raise AccentError(f"{source}: no such corpus; give the folder of a corpus or a table file")
    if not is_utf8(source.name):
        raise AccentError(f"{escaped(str(source))}: its name is not UTF-8, and names the corpus; rename it")
    kind = _kind_of(source) if config.kind == "auto" else config.kind
    if (kind == "table") != source.is_file():
        needs = "a table file (.tsv, .csv, .jsonl)" if kind == "table" else "a folder"
        raise AccentError(f"{source}: corpus.kind={kind} needs {needs}")
    if config.part == "suitcase" and kind != "l2arctic":
        raise AccentError(f"{source}: corpus.part=suitcase is for L2-ARCTIC, this is a {kind}; leave it at 'read'")
    try:
        corpus = _READERS[kind](source, config)
    except OSError as error:
        raise AccentError(f"{error.filename or source}: cannot be read ({error.strerror or error})") from error
    return corpus if config.alignments is None else with_alignments(corpus, Path(config.alignments))


def _kind_of(source: Path) -> str:
    if source.is_file():
        return "table"
    if (source / tree.TABLE_NAME).is_file():
        return "tree"
    if common_voice.is_here(source):
        return "common_voice"
    if l2arctic.is_here(source):
        return "l2arctic"
    raise AccentError(f"{source}: {l2arctic.what_is_missing(source)}")
