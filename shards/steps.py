"""Steps to batches: reads the rows of a step and lays them side by side, here or in worker processes.

The plan (which rows make up step t) comes from outside as a function of the step.  Torch's DataLoader runs the
workers; its own sampling, shuffling and batching are not used.  Cost: one `pread` a row, two with phones, and one copy
from float16 to float32; a batch made in a worker comes back through shared memory.

Shape legend: B rows of this process's batch.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from accent.errors import AccentError
from accent.features.schema import N_COLUMNS
from shards.batch import Batch, Sample, collate
from shards.order import NO_SAMPLE
from shards.reader import ShardReader


class Rows(NamedTuple):
    """What one process reads at one step."""

    numbers_B: np.ndarray
    """int64: sample numbers, -1 for an invalid row."""
    starts_B: np.ndarray
    """int64: first frame of each."""
    counts_B: np.ndarray
    """int64: frames of each."""


class Steps(Dataset[Batch | AccentError]):
    """The batch of any step; an item that cannot be read is returned as the error it is.

    Args:
        reader: where the samples are.
        plan: step -> rows.  With workers it must be possible to pickle it.
        n_frames: length of every batch in frames; None: the longest of its samples.
    """

    def __init__(self, reader: ShardReader, plan: Callable[[int], Rows], n_frames: int | None) -> None:
        self._reader = reader
        self._plan = plan
        self._n_frames = n_frames

    def __getitem__(self, step: int) -> Batch | AccentError:
        # Raised in a worker, the error would come out with the worker's traceback inside its message.
        try:
            rows = zip(*(column.tolist() for column in self._plan(step)), strict=True)
            return collate([self._sample(*row) for row in rows], N_COLUMNS, self._n_frames)
        except AccentError as error:
            return error

    def _sample(self, number: int, start: int, count: int) -> Sample | None:
        if number == NO_SAMPLE:
            return None
        row = self._reader.shard_set.index[number]
        return Sample(
            number=number,
            accent=int(row["accent"]),
            speaker=int(row["speaker"]),
            prompt=int(row["prompt"]),
            frames_TD=self._reader.frames(number, start, count),
            phones_T=self._reader.phones(number, start, count),
        )


def load(steps: Steps, order: range, workers: int) -> Iterator[Batch]:
    """Yield the batches of some steps in order.

    Args:
        steps: where they come from.
        order: which steps.
        workers: processes that make them, started here and ended with the iterator; 0: this process.

    Returns:
        An iterator over batches, pinned where there is a GPU.

    Raises:
        AccentError: a sample cannot be read; raised when its batch's turn comes.
    """
    loader = DataLoader(
        steps,
        batch_size=None,
        sampler=order,
        num_workers=min(workers, len(order)),
        pin_memory=torch.cuda.is_available(),
        # Its own generator: the default draws from torch's global state at every start.
        generator=torch.Generator(),
    )
    for batch in loader:
        if isinstance(batch, AccentError):
            raise batch
        yield batch
