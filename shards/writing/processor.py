"""Turn a corpus into a shard set, on all cores and many machines, and resume where an earlier run stopped.

Workers compute features (`encode`); this process writes what they return, in the order of the plan (`plan`), one shard
at a time.  A finished shard and its record are renamed into place, so a run that was killed anywhere loses at most the
shards it was working on, and the bytes depend neither on how often it was killed nor on the number of workers or
machines.

Memory is bounded: too long recordings are refused before they are read (`audio.max_seconds`), the recordings worked on
at once take at most half of what is free (`workers.memory_estimate`, `workers.scheduler`), and results wait for their
turn for at most two blocks of 256.

Cost: that of the features divided by the workers, and 0.2 ms a sample in this process.

This module and what it imports must not import torch.
"""

import itertools
import logging
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path

from accent.errors import AccentError
from shards.corpora import open_corpus
from shards.corpora.corpus import Corpus, Utterance
from shards.shard_set.manifest import Refused, ShardSet
from shards.shard_set.statistics import Moments
from shards.writing.encode import Encoded, encode, prepare
from shards.writing.lock import locked
from shards.writing.merge import assemble_shards, missing_shards
from shards.writing.partition import Partition
from shards.writing.plan import FeaturizeConfig, Plan, make_plan
from shards.writing.progress import FeaturizeProgress
from shards.writing.resume import Intent, begin, remove_temporaries
from shards.writing.shard_record import Labels, ShardRecord, save_record, shard_name
from shards.writing.tar_writer import ShardWriter
from shards.writing.workers.memory_estimate import footprint
from shards.writing.workers.pool import WorkerPool
from shards.writing.workers.prefetch_audio import read_ahead
from shards.writing.workers.resources import available_cores

__all__ = ["FeatureProcessor", "FeaturizeConfig", "Partition"]

_logger = logging.getLogger(__name__)
_Results = Iterator[tuple[Utterance, Encoded | Refused]]


class FeatureProcessor:
    """Featurize a corpus into a folder of tar shards.

    Args:
        input_root: the corpus: a folder, or a table file.
        output_root: the folder for the shard set; made if need be.
        config: what is read and computed.
        workers: processes; by default one for each core this process may use.

    Raises:
        AccentError: fewer than one worker.

    Example:
        >>> shard_set = FeatureProcessor("L2-ARCTIC", "work/shards").process_dataset()  # doctest: +SKIP
    """

    def __init__(
        self,
        input_root: Path | str,
        output_root: Path | str,
        config: FeaturizeConfig = FeaturizeConfig(),  # noqa: B008 - frozen
        workers: int | None = None,
    ) -> None:
        if workers is not None and workers < 1:
            raise AccentError(f"workers: {workers} is not at least 1; leave it out to use all cores")
        self.input_root = Path(input_root)
        self.output_root = Path(output_root)
        self.config = config
        self.workers = available_cores() if workers is None else workers

    def process_dataset(self) -> ShardSet:
        """Write the shard set, or the rest of it; a complete one is opened at once.

        Inputs that cannot be used are left out; the manifest lists them with their reasons.

        Returns:
            The opened shard set.

        Raises:
            AccentError: the corpus cannot be read, none of its inputs can be used, the folder holds another set or
                is being written by another process, the disk refuses, or a worker process died.
            RuntimeError: a fault of the program, naming the input.
        """
        shard_set = self._process(Partition())
        assert isinstance(shard_set, ShardSet)
        return shard_set

    def process_part(self, part: Partition) -> int:
        """Write one part of the shards; other processes, here or elsewhere, write the others into the same folder.

        `merge` makes a shard set of them when all are there; so does `process_dataset`.

        Args:
            part: which part.

        Returns:
            How many shards of the whole set are still missing; 0 if the set can be merged, or is.

        Raises:
            AccentError, RuntimeError: as `process_dataset`; also if this part is being written by another process.
        """
        found = self._process(part)
        return 0 if isinstance(found, ShardSet) else len(found)

    def _process(self, part: Partition) -> ShardSet | list[int]:
        """Make the shards of a part; return the set if it is whole, else the numbers of the shards that are missing."""
        if self.output_root.is_file():
            raise AccentError(f"{self.output_root}: a file; name a folder for the shards")
        corpus = open_corpus(self.input_root, self.config.corpus)
        if self.input_root.is_dir() and self.output_root.resolve().is_relative_to(self.input_root.resolve()):
            raise AccentError(f"{self.output_root}: lies inside the corpus; choose a folder outside {self.input_root}")
        plan = make_plan(corpus, self.config)
        try:
            self.output_root.mkdir(parents=True, exist_ok=True)
            with locked(self.output_root, part):
                complete = begin(self.output_root, plan, part)
                if complete is not None:
                    _logger.info("%s: complete, nothing to do", self.output_root)
                    return complete
                mine = part.of(len(plan.shards))
                try:
                    self._make_shards(corpus, plan, mine)
                    if not part.is_everything:
                        return missing_shards(self.output_root, range(len(plan.shards)), hashed=False)
                    intent = Intent.read(self.output_root)
                    assert intent is not None
                    return assemble_shards(self.output_root, intent)
                except BaseException:
                    remove_temporaries(self.output_root, mine, everything=part.is_everything)
                    raise
        except OSError as error:
            raise AccentError(
                f"{error.filename or self.output_root}: {error.strerror or error}; "
                "free some space or choose another folder, and run again: finished shards are kept"
            ) from error

    def _make_shards(self, corpus: Corpus, plan: Plan, numbers: Sequence[int]) -> None:
        missing = missing_shards(self.output_root, numbers, hashed=True)
        if not missing:
            return
        count = sum(len(plan.shards[number]) for number in missing)
        finished = sum(len(plan.shards[number]) for number in numbers) - count
        max_seconds = self.config.features.audio.max_seconds
        prepare(self.config.features)
        with (
            FeaturizeProgress(count + finished, finished) as progress,
            WorkerPool(
                partial(encode, root=corpus.root, config=self.config.features),
                min(self.workers, count),
                ahead=read_ahead,
            ) as pool,
            ThreadPoolExecutor(1) as finishing,
        ):
            results = pool.in_order(
                (plan.shards[number] for number in missing),
                name=lambda utterance: str(utterance.path),
                footprint=lambda utterance: footprint(utterance.path, plan.sizes[utterance.key], max_seconds),
                done=lambda result: progress.advance(None if isinstance(result, Refused) else result.seconds),
            )
            before: Future[None] | None = None
            for number in missing:
                finish = self._fill_shard(number, itertools.islice(results, len(plan.shards[number])))
                # In a thread: while the disk takes this shard, the next one is filled and the workers have work.
                latest = finishing.submit(finish)
                if before is not None:
                    before.result()
                before = latest
            latest.result()

    def _fill_shard(self, number: int, results: _Results) -> Callable[[], None]:
        """Write the samples of a shard; what is returned ends it and must be called."""
        labels: list[Labels] = []
        refused: list[Refused] = []
        moments: dict[str, Moments] = {}
        sources: dict[str, Counter[str]] = defaultdict(Counter)
        remarks: Counter[str] = Counter()
        with ExitStack() as stack:
            writer = stack.enter_context(ShardWriter(self.output_root / shard_name(number)))
            for utterance, result in results:
                if isinstance(result, Refused):
                    refused.append(result)
                    continue
                writer.add(result.sample)
                labels.append(_labels(utterance))
                sources[utterance.accent][result.source] += 1
                remarks.update(result.remarks)
                known = moments.get(utterance.speaker)
                moments[utterance.speaker] = result.moments if known is None else known.merged(result.moments)
            record = ShardRecord(number, None, writer.rows, tuple(labels), moments, tuple(refused), sources, remarks)
            return partial(_finish, self.output_root, writer, record, stack.pop_all())


def _finish(root: Path, writer: ShardWriter, record: ShardRecord, stack: ExitStack) -> None:
    with stack:
        entry = writer.finish() if record.labels else None
    save_record(root, replace(record, entry=entry))


def _labels(utterance: Utterance) -> Labels:
    return Labels(
        utterance.speaker, utterance.accent, utterance.prompt, utterance.corpus, utterance.sex, utterance.split
    )
