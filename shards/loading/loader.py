"""Batches for training and for evaluation, from any position, for any number of processes.

The order is decided in `shards.sampling`; this module reads what it says.  A loader has no position of its own:
`steps(first, last)` yields the batches of these steps whenever it is called.  So a resumed run calls
`steps(position, end)`; and the global batch is the same on one process and on eight.  Nothing draws from torch's global
random generator.

Cost: that of `shards.loading.selection` once; for a batch see `shards.loading.batch_reader`.

Shape legend: N samples, B rows of this process's batch.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from shards.loading.batch import Batch
from shards.loading.batch_reader import BatchReader
from shards.loading.config import BatchConfig
from shards.loading.prefetcher import Prefetcher
from shards.loading.protocol import EvaluationBatches, TrainingBatches
from shards.loading.selection import select_evaluation, select_training
from shards.sampling.by_length import EvaluationSampler, evaluation_batches
from shards.sampling.sampler import Rows, TrainingSampler
from shards.shard_set.manifest import ShardSet
from shards.shard_set.reader import ShardReader
from shards.splits.split import Split


class TrainingLoader(TrainingBatches):
    """Batches of random crops, balanced by accent and speaker, as `shards.sampling.sampler` describes.

    Args:
        shard_set: where the samples are.
        split: whose samples to draw (its training speakers, without its held-out prompts); None draws everybody's.
        config: what a batch holds.
        seed: another seed, another order and other crops.
        rank: which of the processes this is.
        world_size: how many processes share the global batch.

    Raises:
        AccentError: nothing to train on, more accents a batch than there are, a global batch that the processes cannot
            share equally, or same prompts asked of an accent whose speakers share none.

    Example:
        >>> loader = TrainingLoader(shard_set, split, BatchConfig())  # doctest: +SKIP
        >>> for batch in loader.steps(120, 200): ...  # doctest: +SKIP
    """

    def __init__(
        self,
        shard_set: ShardSet,
        split: Split | None = None,
        config: BatchConfig | None = None,
        seed: int = 0,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        self.shard_set = shard_set
        self.split = split
        self.config = config or BatchConfig()
        self.seed, self.rank, self.world_size = seed, rank, world_size
        chosen = select_training(shard_set, split, self.config, world_size)
        self.speakers, self.n_samples = chosen.speakers, len(chosen.numbers_N)
        self.global_batch, self.crop_frames, self.padding = chosen.shape.rows, chosen.crop_frames, chosen.padding
        self.steps_per_epoch = chosen.steps_per_epoch
        self._sampler = TrainingSampler(
            chosen.frames_N, chosen.decks, chosen.shape, chosen.crop_frames, seed, rank, world_size
        )
        rows = self.global_batch // world_size
        reader = BatchReader(shard_set, self._sampler, self.crop_frames, self.config.verify, self.config.damaged)
        self._prefetcher = Prefetcher(reader, rows, rows * self.crop_frames, self.config.workers)

    def rows(self, step: int) -> Rows:
        """Return what this process reads at a step, without reading it.

        Args:
            step: which step, from 0.

        Returns:
            Sample number, first frame and number of frames of each row of this process.
        """
        return self._sampler(step)

    def steps(self, first: int, last: int) -> Iterator[Batch]:
        """Yield this process's batches of the steps first ... last - 1; see `TrainingBatches`.

        All first steps cost the same.
        """
        return self._prefetcher.batches(range(first, last))

    def __iter__(self) -> Iterator[Batch]:
        return self.steps(0, self.steps_per_epoch)

    @property
    def skipped(self) -> int:
        """Rows made invalid so far, in the batches handed out here, because their samples are damaged."""
        return self._prefetcher.damage.count


class EvaluationLoader(EvaluationBatches):
    """Whole utterances, by length, each exactly once over all processes; checksums are verified.

    Args:
        shard_set: where the samples are.
        speakers: names of the speakers to read; None reads everybody.
        config: what a batch holds.
        rank: which of the processes this is.
        world_size: how many processes share the samples.
        prompts: read only these prompts; None reads all.
        but_not_prompts: leave these prompts out.

    Raises:
        AccentError: an unknown speaker or prompt, or no sample left.
    """

    def __init__(
        self,
        shard_set: ShardSet,
        speakers: Sequence[str] | None = None,
        config: BatchConfig | None = None,
        rank: int = 0,
        world_size: int = 1,
        prompts: Sequence[str] | None = None,
        but_not_prompts: Sequence[str] = (),
    ) -> None:
        self.shard_set = shard_set
        self.config = config or BatchConfig()
        self.speakers, self.numbers_N = select_evaluation(shard_set, speakers, prompts, but_not_prompts)
        self._reader = ShardReader(shard_set)
        frames_N = np.asarray(shard_set.index)["frames"]
        most_frames = self.config.evaluation_frames_per_batch
        plan = evaluation_batches(self.numbers_N, frames_N[self.numbers_N], most_frames, world_size)
        self._sampler = EvaluationSampler(frames_N, plan, rank)
        rows, frames = plan.most(rank)
        reader = BatchReader(shard_set, self._sampler, None, True, self.config.damaged)
        self._prefetcher = Prefetcher(reader, rows, frames, self.config.workers)

    def rows(self, batch: int) -> Rows:
        """Return what this process reads for a batch, without reading it.

        Args:
            batch: which batch, from 0.

        Returns:
            Sample number (-1 in an invalid row), first frame and number of frames of each row of this process.
        """
        return self._sampler(batch)

    @property
    def skipped(self) -> int:
        """Rows made invalid so far, in the batches handed out here, because their samples are damaged."""
        return self._prefetcher.damage.count

    def metadata(self, sample_numbers: Iterable[int]) -> list[dict[str, Any]]:
        """Read what the shards hold of samples besides their frames: key, sex, duration and so on.

        Args:
            sample_numbers: as in `Batch.sample_B`, valid rows only.

        Returns:
            The JSON of each sample, in the order asked for.

        Raises:
            AccentError: a sample cannot be read.
        """
        return [self._reader.metadata(int(number)) for number in sample_numbers]

    def keys(self, sample_numbers: np.ndarray) -> np.ndarray:
        """Read the keys of samples; arguments and errors as for `metadata`.

        Returns:
            str [N], in the order asked for.
        """
        return self._reader.keys(sample_numbers)

    def __iter__(self) -> Iterator[Batch]:
        return self._prefetcher.batches(range(len(self)))

    def __len__(self) -> int:
        return len(self._sampler.plan)
