"""Align a whole corpus: every utterance with a transcript and without a TextGrid gets one, in parallel, resumable.

A TextGrid is renamed into place when it is whole, so a run that was stopped anywhere can be resumed: a TextGrid that
exists is not made again.  An utterance's TextGrid depends only on its sound, its transcript and the dictionary.
Cost: 0.03 s a second of sound on one core, divided by the processes; a second or so a process to start.

This module and what it imports must not import torch.
"""

import functools
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from accent.audio.prepare import AudioConfig, load_speech
from accent.errors import AccentError
from accent.features.phones import has_phones
from accent.files import writable_folder
from accent.grid import SAMPLE_RATE
from shards.alignment.aligner import Aligner
from shards.alignment.transcript import find_words
from shards.corpora import open_corpus
from shards.corpora.alignments import alignment_path
from shards.corpora.corpus import CorpusConfig, Utterance
from shards.corpora.textgrid import write_textgrid
from shards.shard_set.manifest import Refused
from shards.writing.plan import relative, without_root
from shards.writing.workers.memory_estimate import footprint
from shards.writing.workers.pool import WorkerPool
from shards.writing.workers.resources import available_cores

_SOUND = AudioConfig()
"""How the sound is read; the filter and the trimming do not touch what the aligner hears."""


@dataclass(frozen=True)
class AlignConfig:
    """What is aligned."""

    corpus: CorpusConfig = field(default_factory=CorpusConfig)
    """Which corpus, and which of its speakers."""


@dataclass(frozen=True)
class AlignResult:
    """What became of a corpus's utterances."""

    aligned: int
    """TextGrids written by this run."""
    before: int
    """TextGrids that an earlier run wrote."""
    own: int
    """Utterances with a TextGrid of their own, which is used as it is."""
    refused: tuple[Refused, ...]
    """Utterances without a TextGrid now, and why; inputs that the corpus itself refuses come first."""
    unknown_words: dict[str, int]
    """Words that no dictionary has, the most frequent first, and how many utterances each of them keeps out."""


@dataclass(frozen=True)
class _Fault:
    """Why an utterance is not aligned."""

    reason: str
    unknown_words: tuple[str, ...] = ()


def align_corpus(
    source: Path,
    out: Path,
    config: AlignConfig = AlignConfig(),
    dictionary: Path | None = None,
    workers: int | None = None,
) -> AlignResult:
    """Write OUT/SPEAKER/textgrid/NAME.TextGrid for every utterance of a corpus that can be aligned and has none.

    Args:
        source: the corpus: a folder, or a table file.
        out: the folder for the TextGrids; made if need be.
        config: which speakers.
        dictionary: pronunciations of words that the wheel's dictionary lacks.
        workers: processes; by default one for each core this process may use.

    Returns:
        What was done and what was refused.

    Raises:
        AccentError: the corpus or the dictionary cannot be read, PocketSphinx is not installed, the folder cannot be
            written, or not one utterance has a TextGrid at the end.
    """
    corpus = open_corpus(source, config.corpus)
    # Here too, so that a fault of the dictionary or the installation is told once and before anything is begun.
    Aligner(dictionary)
    writable_folder(out)
    without = [one for one in corpus.utterances if one.textgrid is None]
    missing = [one for one in without if not alignment_path(out, one).is_file()]
    own, before = len(corpus.utterances) - len(without), len(without) - len(missing)
    function = partial(_align, out=out, dictionary=dictionary)
    faults = _align_all(missing, function, before, available_cores() if workers is None else workers)
    refused = [Refused(one.path, without_root(one.reason, corpus.root)) for one in corpus.refused]
    refused += [
        Refused(relative(one.path, corpus.root), without_root(fault.reason, corpus.root)) for one, fault in faults
    ]
    unknown = Counter(word for _, fault in faults for word in fault.unknown_words)
    aligned = len(missing) - len(faults)
    if own + before + aligned == 0:
        raise AccentError(
            f"{source}: none of its {len(corpus.utterances)} utterances could be aligned; the first, "
            f"{relative(faults[0][0].path, corpus.root)}: {faults[0][1].reason}"
        )
    by_count = dict(sorted(unknown.items(), key=lambda item: (-item[1], item[0])))
    return AlignResult(aligned, before, own, tuple(refused), by_count)


def _align_all(
    utterances: Sequence[Utterance], function: "partial[_Fault | None]", before: int, workers: int
) -> list[tuple[Utterance, _Fault]]:
    """Return the utterances that could not be aligned, in the order of their keys."""
    if not utterances:
        return []
    console = Console(stderr=True)
    columns = (TextColumn("align"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    with (
        Progress(*columns, console=console, disable=not console.is_terminal) as progress,
        WorkerPool(function, min(workers, len(utterances))) as pool,
    ):
        bar = progress.add_task("", total=before + len(utterances), completed=before)
        results = pool.in_order(
            [utterances],
            name=lambda one: str(one.path),
            footprint=_footprint,
            done=lambda _: progress.advance(bar),
        )
        return [(one, fault) for one, fault in results if fault is not None]


def _footprint(utterance: Utterance) -> int:
    size = utterance.path.stat().st_size if utterance.path.is_file() else 0
    return footprint(utterance.path, size, _SOUND.max_seconds)


def _align(utterance: Utterance, out: Path, dictionary: Path | None) -> _Fault | None:
    """Write the TextGrid of one utterance, or return why there is none; what a worker process does."""
    if utterance.text is None:
        return _Fault("no transcript")
    if not has_phones(utterance.language):
        return _Fault(f"its language is '{utterance.language}', and the dictionary is English")
    aligner = _aligner(dictionary)
    words, unknown = find_words(utterance.text, aligner.knows)
    if not words:
        return _Fault(f"no word in its transcript '{utterance.text}'")
    if unknown:
        return _Fault(f"not in the dictionary: {', '.join(dict.fromkeys(unknown))}", tuple(dict.fromkeys(unknown)))
    path = alignment_path(out, utterance)
    try:
        samples_N = load_speech(utterance.path, _SOUND).unfiltered_N
        alignment = aligner.align(samples_N, words)
    except AccentError as error:
        return _Fault(str(error).removeprefix(f"{utterance.path}: "))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        tiers = {"words": alignment.words, "phones": alignment.phones}
        write_textgrid(path, len(samples_N) / SAMPLE_RATE, tiers)
    except OSError as error:
        raise AccentError(f"{path}: cannot be written ({error.strerror or error}); see to the disk") from error
    return None


@functools.lru_cache(maxsize=1)
def _aligner(dictionary: Path | None) -> Aligner:
    """Return the aligner of this process."""
    return Aligner(dictionary)
