"""Which samples, and which of their frames, a process reads at a step.  Cost: some look-ups in tables.

Shape legend: N samples of the shard set, B rows of this process's batch.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from accent.keyed_random import random_words
from shards.sampling.decks import BatchShape, Decks, Purpose, training_rows

NO_SAMPLE = -1
"""Sample number of an invalid row: one that only makes the batches of all ranks equally large."""


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
    """Step -> rows.  It holds no loader, so that the prefetcher, which calls it, keeps none alive."""

    frames_N: np.ndarray
    """Length of each sample of the shard set."""
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
    """Length of each sample of the shard set."""
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


def rank_share(rows_B: np.ndarray, rank: int, world_size: int) -> np.ndarray:
    """Return one process's contiguous share of the global batch.

    Args:
        rows_B: the rows of the global batch, whatever they hold.
        rank: which process.
        world_size: how many processes; it must divide B.

    Returns:
        B / world_size rows.

    Raises:
        ValueError: the rows cannot be shared equally.
    """
    share, rest = divmod(len(rows_B), world_size)
    if rest:
        raise ValueError(f"{len(rows_B)} rows cannot be shared equally by {world_size} processes")
    return rows_B[rank * share : (rank + 1) * share]


def crop_starts(step: int, frames_B: np.ndarray, crop_frames: int, seed: int) -> np.ndarray:
    """Return where the crop of each row of the global batch begins, keyed by (seed, step, row).

    Args:
        step: which batch.
        frames_B: integers [B], the length of each row's utterance in frames.
        crop_frames: length of a crop; a shorter utterance is taken whole.
        seed: another seed, other crops.

    Returns:
        int64 [B], each in 0 ... max(0, frames - crop_frames), all equally likely.
    """
    choices_B = np.maximum(np.asarray(frames_B, np.int64) - crop_frames, 0) + 1
    words_B = random_words(len(choices_B), seed, Purpose.CROPS, step, 0)
    return (words_B % choices_B.astype(np.uint64)).astype(np.int64)


def padding_of_crops(decks: Decks, frames_N: np.ndarray, crop_frames: int) -> float:
    """Return the share of padding in training batches: all accents, and all speakers of an accent, weigh the same.

    So do all utterances of a speaker, which with shared prompts makes it an estimate.

    Args:
        decks: what is drawn from.
        frames_N: integers, the length of each sample in frames, by sample number.
        crop_frames: length of a crop.

    Returns:
        1 - real frames / frames of the batches, over a whole pass through all decks.
    """
    filled = [
        np.mean([np.minimum(frames_N[decks.samples[int(speaker)]], crop_frames).mean() for speaker in speakers_S])
        for speakers_S in decks.speakers.values()
    ]
    return float(1 - np.mean(filled) / crop_frames)
