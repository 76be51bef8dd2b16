"""What a loader draws from: the samples, the shape of the batch and the length of a crop, wherever the shards are.

Cost: O(N): 0.2 us and 4 bytes a sample, the index besides mapped.

Shape legend: N samples.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from accent.errors import AccentError
from shards.loading.config import CROPS, MOST_PADDING, BatchConfig
from shards.sampling.decks import BatchShape, Decks, build_decks, padding_of_crops
from shards.sampling.shared_prompts import find_shared_prompts
from shards.shard_set.manifest import ShardSet
from shards.shard_set.select import select_samples
from shards.splits.split import Split


class TrainingSelection(NamedTuple):
    """What training draws from."""

    speakers: list[str]
    """Names of the training speakers."""
    numbers_N: np.ndarray
    """Sample numbers, ascending."""
    frames_N: np.ndarray
    """Length of all samples of the shard set in frames: a view of the index."""
    decks: Decks
    shape: BatchShape
    """Of the global batch."""
    crop_frames: int
    """Length of a crop."""
    padding: float
    """Share of padding in the batches, over a whole pass through the samples."""

    @property
    def steps_per_epoch(self) -> int:
        """Steps after which as many samples were drawn as there are, to the nearest step; at least 1."""
        return max(1, round(len(self.numbers_N) / self.shape.rows))


def select_training(
    shard_set: ShardSet, split: Split | None, config: BatchConfig, world_size: int
) -> TrainingSelection:
    """Choose what training draws from.

    Args:
        shard_set: where the samples are.
        split: whose samples to draw (its training speakers, without its held-out prompts); None draws everybody's.
        config: what a batch holds.
        world_size: how many processes share the global batch.

    Returns:
        Samples, decks, batch shape and crop.

    Raises:
        AccentError: nothing to train on, more accents a batch than there are, a global batch that the processes cannot
            share equally, or same prompts asked of an accent whose speakers share none.
    """
    speakers = list(shard_set.speakers if split is None else split.train)
    numbers_N = select_samples(shard_set, speakers, but_not_prompts=() if split is None else split.held_out_prompts)
    if len(numbers_N) == 0:
        raise AccentError(f"{shard_set.place}: no sample of the {len(speakers)} training speakers; check the split")
    index = shard_set.index
    labels = (numbers_N, index["accent"][numbers_N], index["speaker"][numbers_N])
    prompt_N = index["prompt"][numbers_N] if config.same_prompts else None
    shared = None if prompt_N is None else find_shared_prompts(*labels, prompt_N, shard_set.accents)
    decks = build_decks(*labels, shared)
    shape = _batch_shape(config, decks, shard_set, world_size)
    frames_N = np.asarray(index)["frames"]
    crop_frames = config.crop_frames or _crop_that_fits(decks, frames_N)
    padding = padding_of_crops(decks, frames_N, crop_frames)
    return TrainingSelection(speakers, numbers_N, frames_N, decks, shape, crop_frames, padding)


def select_evaluation(
    shard_set: ShardSet,
    speakers: Sequence[str] | None,
    prompts: Sequence[str] | None,
    but_not_prompts: Sequence[str] = (),
) -> tuple[list[str], np.ndarray]:
    """Choose what evaluation reads.

    Args:
        shard_set: where the samples are.
        speakers: names; None takes everybody.
        prompts: names; None takes all.
        but_not_prompts: names of prompts that are left out.

    Returns:
        The speakers' names, and int64 [N], the sample numbers, ascending.

    Raises:
        AccentError: an unknown speaker or prompt, or no sample left.
    """
    names = list(shard_set.speakers if speakers is None else speakers)
    numbers_N = select_samples(shard_set, names, prompts, but_not_prompts)
    if len(numbers_N) == 0:
        limited = "" if prompts is None else f" with the {len(prompts)} prompts asked for"
        raise AccentError(f"{shard_set.place}: no sample of {len(names)} speakers{limited}; check the split")
    return names, numbers_N


def _crop_that_fits(decks: Decks, frames_N: np.ndarray) -> int:
    fitting = (crop for crop in CROPS if padding_of_crops(decks, frames_N, crop) <= MOST_PADDING)
    return next(fitting, CROPS[-1])


def _batch_shape(config: BatchConfig, decks: Decks, shard_set: ShardSet, world_size: int) -> BatchShape:
    available = len(decks.accents_A)
    shape = BatchShape(
        available if config.accents_per_batch is None else config.accents_per_batch,
        config.speakers_per_accent,
        config.utterances_per_speaker,
    )
    if shape.accents > available:
        names = ", ".join(shard_set.accents[accent] for accent in decks.accents_A)
        raise AccentError(
            f"batch.accents_per_batch: {shape.accents} accents a batch, but the training speakers have {available} "
            f"({names}); ask for at most {available}"
        )
    if shape.rows % world_size:
        raise AccentError(
            f"global batch {shape.rows} = {shape.accents} accents x {shape.speakers} speakers x {shape.utterances} "
            f"utterances cannot be shared by {world_size} processes; change batch.utterances_per_speaker, "
            "batch.speakers_per_accent or batch.accents_per_batch, or the number of processes"
        )
    return shape
