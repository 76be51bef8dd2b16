"""What training and evaluation ask of a loader, wherever its samples come from.

`TrainingLoader` and `EvaluationLoader` read a shard set in a local folder; `shards.streaming.loader` has those that
stream one from elsewhere.  Whatever has these attributes will do.  Cost: none.
"""

from abc import abstractmethod
from collections.abc import Iterator
from typing import Protocol

import numpy as np

from shards.loading.batch import Batch
from shards.loading.config import BatchConfig
from shards.shard_set.manifest import ShardSet
from shards.shard_set.statistics import Statistics


class TrainingBatches(Protocol):
    """Batches for training, from any step, shared by all processes."""

    shard_set: ShardSet
    config: BatchConfig
    seed: int
    rank: int
    """Which of the processes this is."""
    world_size: int
    """How many processes share the global batch."""
    speakers: list[str]
    """Names of the training speakers."""
    n_samples: int
    """Samples that training draws from; with `same_prompts` some of them rarely or never."""
    global_batch: int
    """Rows of a batch over all processes."""
    crop_frames: int
    """Length of all batches in frames."""
    steps_per_epoch: int
    """Steps after which as many samples were drawn as there are, to the nearest step; at least 1."""
    padding: float
    """Share of padding in the batches, over a whole pass through the samples."""

    @abstractmethod
    def steps(self, first: int, last: int) -> Iterator[Batch]:
        """Yield this process's batches of the steps first ... last - 1.

        Args:
            first: first step.
            last: one past the last step.

        Returns:
            An iterator over batches of `global_batch / world_size` rows and `crop_frames` frames; each is valid until
            the next is requested.

        Raises:
            AccentError: a sample cannot be read.
        """
        ...

    @property
    @abstractmethod
    def skipped(self) -> int:
        """Rows or samples left out so far because they are damaged."""
        ...

    @property
    def accents(self) -> list[str]:
        """Accent names; `Batch.accent_B` holds positions in this list."""
        return self.shard_set.accents

    @property
    def statistics(self) -> Statistics:
        """Mean and standard deviation of each column over the training speakers only."""
        return self.shard_set.statistics(self.speakers)

    @abstractmethod
    def __iter__(self) -> Iterator[Batch]:
        """Yield the batches of the first epoch."""
        ...

    def __len__(self) -> int:
        return self.steps_per_epoch


class EvaluationBatches(Protocol):
    """Whole utterances, each exactly once over all processes.

    All processes yield equally many batches, with equally many rows and frames at the same batch; rows that nothing is
    left for are invalid.
    """

    shard_set: ShardSet
    config: BatchConfig
    speakers: list[str]
    """Names of the speakers read."""
    numbers_N: np.ndarray
    """The sample numbers that all processes together yield, ascending."""

    @property
    @abstractmethod
    def skipped(self) -> int:
        """Rows left out so far because their samples are damaged."""
        ...

    @abstractmethod
    def __iter__(self) -> Iterator[Batch]: ...

    @abstractmethod
    def __len__(self) -> int: ...

    @property
    def accents(self) -> list[str]:
        """Accent names; `Batch.accent_B` holds positions in this list."""
        return self.shard_set.accents
