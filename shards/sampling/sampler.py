"""Which samples, and which of their frames, a process reads at a step.  Cost: some look-ups in tables.

Shape legend: N samples of the shard set, B rows of this process's batch.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from shards.sampling.decks import NO_SAMPLE, BatchShape, Decks, crop_starts, rank_share, training_rows


class Rows(NamedTuple):
    """What one process reads at one step."""

    numbers_B: np.ndarray
    """int64: sample numbers, -1 for an invalid row."""
    starts_B: np.ndarray
    """int64: first frame of each."""
    counts_B: np.ndarray
    """int64: frames of each."""


@dataclass(frozen=True, eq=False)
class TrainingSampler:
    """Step -> rows.  Apart from its loader, so that the ring, which asks it, does not keep the loader alive."""

    frames_N: np.ndarray
    """Length of every sample of the shard set."""
    decks: Decks
    shape: BatchShape
    crop_frames: int
    seed: int
    rank: int
    world_size: int

    def __call__(self, step: int) -> Rows:
        """Return what this process reads at a step, without reading it."""
        numbers = training_rows(step, self.decks, self.shape, self.seed)
        lengths = self.frames_N[numbers].astype(np.int64)
        # Crops are keyed by the row of the global batch, so that they do not depend on the number of processes.
        starts = crop_starts(step, lengths, self.crop_frames, self.seed)
        columns = (numbers, starts, np.minimum(lengths, self.crop_frames))
        return Rows(*(rank_share(column, self.rank, self.world_size) for column in columns))


@dataclass(frozen=True, eq=False)
class EvaluationSampler:
    """Batch number -> rows."""

    frames_N: np.ndarray
    """Length of every sample of the shard set."""
    batches: list[np.ndarray]
    """Sample numbers of this process's batches, -1 in invalid rows."""

    def __call__(self, batch: int) -> Rows:
        """Return what this process reads for a batch, without reading it."""
        numbers_B = self.batches[batch]
        lengths_B = np.where(numbers_B == NO_SAMPLE, 0, self.frames_N[numbers_B]).astype(np.int64)
        return Rows(numbers_B, np.zeros_like(numbers_B), lengths_B)

    def shape(self, batch: int) -> tuple[int, int]:
        """Return rows and frames of a batch."""
        lengths_B = self(batch).counts_B
        return len(lengths_B), max(1, int(lengths_B.max()))
