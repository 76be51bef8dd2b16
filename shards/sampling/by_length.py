"""Whole utterances for evaluation, grouped by length so that little of a batch is padding.

Cost: a radix sort of the lengths and one step a distinct length, 30 ns and 4 bytes a sample.

Shape legend: N samples, b batches, B rows of one process's batch.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import overload

import numpy as np

from accent.grouped import compact, stable_order
from shards.sampling.sampler import NO_SAMPLE, Rows


@dataclass(frozen=True, eq=False)
class EvaluationPlan(Sequence[np.ndarray]):
    """Which samples each process reads in each batch; item b is int64 [world_size, B], a row a process."""

    order_N: np.ndarray
    """Sample numbers, the longest sample first."""
    frames_N: np.ndarray
    """Length of each of `order_N`."""
    starts_b: np.ndarray
    """int64 [b + 1]: where each batch begins in `order_N`, and where the last one ends."""
    world_size: int

    def __len__(self) -> int:
        return len(self.starts_b) - 1

    @overload
    def __getitem__(self, batch: int) -> np.ndarray: ...
    @overload
    def __getitem__(self, batch: slice) -> list[np.ndarray]: ...
    def __getitem__(self, batch: int | slice) -> np.ndarray | list[np.ndarray]:
        """Return the sample numbers of a batch, -1 where there is none left."""
        if isinstance(batch, slice):
            return [self[number] for number in range(*batch.indices(len(self)))]
        if not -len(self) <= batch < len(self):
            raise IndexError(f"batch {batch} of {len(self)}")
        return np.stack([self.share(batch % len(self), rank) for rank in range(self.world_size)])

    @property
    def rows_b(self) -> np.ndarray:
        """B of each batch: no more rows than a small last group needs."""
        return -(-np.diff(self.starts_b) // self.world_size)

    def share(self, batch: int, rank: int) -> np.ndarray:
        """Return one process's samples of a batch, int64 [B], -1 where there is none left."""
        begin, end = self.starts_b[batch : batch + 2].tolist()
        rows = -(-(end - begin) // self.world_size)
        mine = self.order_N[begin + rank * rows : min(end, begin + (rank + 1) * rows)]
        numbers_B = np.full(rows, NO_SAMPLE, np.int64)
        numbers_B[: len(mine)] = mine
        return numbers_B

    def most(self, rank: int) -> tuple[int, int]:
        """Return the most rows, and the most frames with padding, of a process's batches."""
        rows_b = self.rows_b
        first_b = self.starts_b[:-1] + rank * rows_b
        longest_b = np.where(
            first_b < self.starts_b[1:], self.frames_N[np.minimum(first_b, len(self.frames_N) - 1)], 0
        ).astype(np.int64)
        return int(rows_b.max()), int((rows_b * np.maximum(longest_b, 1)).max())


@dataclass(frozen=True, eq=False)
class EvaluationSampler:
    """Batch number -> rows."""

    frames_N: np.ndarray
    """Length of each sample of the shard set."""
    plan: EvaluationPlan
    """Who reads which samples."""
    rank: int

    def __call__(self, batch: int) -> Rows:
        """Return what this process reads for a batch, without reading it."""
        numbers_B = self.plan.share(batch, self.rank)
        lengths_B = np.where(numbers_B == NO_SAMPLE, 0, self.frames_N[numbers_B]).astype(np.int64)
        return Rows(numbers_B, np.zeros_like(numbers_B), lengths_B)


def evaluation_batches(
    numbers_N: np.ndarray, frames_N: np.ndarray, frames_per_batch: int, world_size: int
) -> EvaluationPlan:
    """Share whole utterances among processes by length: each exactly once, the same shape of plan on all ranks.

    The longest come first, so that a batch too large for the memory fails at once.

    Args:
        numbers_N: integers [N], sample numbers, each once.
        frames_N: integers [N], length of each in frames.
        frames_per_batch: most frames of one rank's batch, padding counted; an utterance longer than that comes alone.
        world_size: number of processes.

    Returns:
        The plan.  B differs from batch to batch, not from rank to rank.

    Raises:
        ValueError: a sample is given twice.
    """
    numbers_N, frames_N = np.asarray(numbers_N), compact(frames_N)
    if not (numbers_N[1:] > numbers_N[:-1]).all():
        ascending_N = np.argsort(numbers_N)
        numbers_N, frames_N = numbers_N[ascending_N], frames_N[ascending_N]
        if (numbers_N[1:] == numbers_N[:-1]).any():
            raise ValueError("a sample number is given twice")
    # Of equally long samples the one with the smaller number comes first.
    longest_first_N = stable_order(frames_N.max(initial=0) - frames_N)
    frames_N = compact(frames_N[longest_first_N])
    # Samples of one length make equal groups until the next length; a group may reach into it.
    run_ends = [*(np.flatnonzero(frames_N[1:] != frames_N[:-1]) + 1).tolist(), len(frames_N)]
    starts, start = [], 0
    for run_end in run_ends:
        if start < run_end:
            group = max(1, frames_per_batch // max(1, int(frames_N[start]))) * world_size
            starts.append(np.arange(start, run_end, group))
            start += len(starts[-1]) * group
    starts_b = np.concatenate([*starts, [len(frames_N)]]).astype(np.int64)
    return EvaluationPlan(compact(numbers_N[longest_first_N]), frames_N, starts_b, world_size)
