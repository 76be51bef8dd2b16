"""Batches for training and for evaluation, from any position, for any number of processes.

The order is decided in `shards.order`; this module reads what it says.  A loader has no position of its own:
`steps(first, last)` yields the batches of these steps, whoever asks, whenever.  So a resumed run asks for
`steps(position, end)` and is where it was; and the global batch is the same on one process and on eight.

Cost: opening sorts the index into decks once; a batch costs one `pread` a row (two with phones) and one copy.  With
`workers` > 0 the batches are made in worker processes, which are started at each call of `steps`: call it once for many
steps.  Nothing draws from torch's global random generator.

Shape legend: N samples, B rows of this process's batch.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from accent.errors import AccentError
from shards.batch import Batch
from shards.manifest import ShardSet
from shards.order import (
    NO_SAMPLE,
    BatchShape,
    Decks,
    build_decks,
    crop_starts,
    evaluation_batches,
    rank_share,
    training_rows,
)
from shards.reader import ShardReader
from shards.splits import Split
from shards.statistics import Statistics
from shards.steps import Rows, Steps, load


@dataclass(frozen=True)
class BatchConfig:
    """What a batch holds, over all processes, and who makes it."""

    accents_per_batch: int | None = None
    """Accents in a global training batch; nothing: all of them."""
    speakers_per_accent: int = 2
    """Speakers of each accent in a batch: with two or more, every utterance meets its accent in another voice."""
    utterances_per_speaker: int = 4
    """Utterances of each speaker in a batch."""
    crop_frames: int = 300
    """Length of a training crop in frames of 10 ms; shorter utterances are padded and masked."""
    evaluation_frames_per_batch: int = 12_000
    """Most frames of 10 ms in one process's evaluation batch, padding counted; a longer utterance comes alone."""
    workers: int = 0
    """Processes that prepare batches for each training process; 0: the training process itself."""

    def __post_init__(self) -> None:
        for name in ("speakers_per_accent", "utterances_per_speaker", "crop_frames", "evaluation_frames_per_batch"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}: {getattr(self, name)} is too small, at least 1")
        if self.accents_per_batch is not None and self.accents_per_batch < 1:
            raise ValueError(f"accents_per_batch: {self.accents_per_batch} is too small, at least 1, or null for all")
        if self.workers < 0:
            raise ValueError(f"workers: {self.workers} is too small, at least 0")


class TrainingLoader:
    """Batches of random crops, balanced by accent and speaker, as `shards.order` describes.

    Args:
        shard_set: where the samples are.
        split: whose samples to draw (its training speakers, without its held-out prompts); None draws everybody's.
        config: what a batch holds.
        seed: another seed, another order and other crops.
        rank: which of the processes this is.
        world_size: how many processes share the global batch.

    Raises:
        AccentError: nothing to train on, more accents a batch than there are, or a global batch that the processes
            cannot share equally.

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
        self.seed = seed
        self.rank = rank
        self.world_size = world_size
        self.speakers: list[str] = list(shard_set.speakers if split is None else split.train)
        """Names of the training speakers."""
        numbers_N = select_samples(shard_set, self.speakers)
        if split is not None and split.held_out_prompts:
            held_out = select_samples(shard_set, self.speakers, split.held_out_prompts)
            numbers_N = np.setdiff1d(numbers_N, held_out)
        if len(numbers_N) == 0:
            raise AccentError(
                f"{shard_set.root}: no sample of the {len(self.speakers)} training speakers; check the split"
            )
        self.n_samples = len(numbers_N)
        """Samples that training draws from."""
        index_N = shard_set.index[numbers_N]
        self._decks = build_decks(numbers_N, index_N["accent"], index_N["speaker"])
        self._shape = _batch_shape(self.config, self._decks, shard_set, world_size)

    @property
    def accents(self) -> list[str]:
        """Accent names; `Batch.accent_B` holds positions in this list."""
        return self.shard_set.accents

    @property
    def statistics(self) -> Statistics:
        """Mean and standard deviation of every column over the training speakers only."""
        return self.shard_set.statistics(self.speakers)

    @property
    def global_batch(self) -> int:
        """Rows of a batch over all processes."""
        return self._shape.rows

    @property
    def steps_per_epoch(self) -> int:
        """Steps after which as many samples were drawn as there are, to the nearest step; at least 1."""
        return max(1, round(self.n_samples / self.global_batch))

    def rows(self, step: int) -> Rows:
        """Tell what this process reads at a step, without reading it.

        Args:
            step: which step, from 0.

        Returns:
            Sample number, first frame and number of frames of each row of this process.
        """
        crop = self.config.crop_frames
        rows = training_rows(step, self._decks, self._shape, self.seed)
        lengths = self.shard_set.index["frames"][rows].astype(np.int64)
        # Crops are keyed by the row of the global batch, so that they do not depend on the number of processes.
        starts = crop_starts(step, lengths, crop, self.seed)
        return Rows(
            *(rank_share(column, self.rank, self.world_size) for column in (rows, starts, np.minimum(lengths, crop)))
        )

    def steps(self, first: int, last: int) -> Iterator[Batch]:
        """Yield this process's batches of the steps first ... last - 1.

        Args:
            first: first step; any, at no cost.
            last: one past the last step.

        Returns:
            An iterator over batches of `global_batch / world_size` rows and `crop_frames` frames.

        Raises:
            AccentError: a sample cannot be read.
        """
        steps = Steps(ShardReader(self.shard_set), self.rows, self.config.crop_frames)
        return load(steps, range(first, last), self.config.workers)

    def __iter__(self) -> Iterator[Batch]:
        return self.steps(0, self.steps_per_epoch)

    def __len__(self) -> int:
        return self.steps_per_epoch


class EvaluationLoader:
    """Whole utterances, by length, each exactly once over all processes.

    Every process yields the same number of batches with the same number of rows; rows that nothing is left for are
    invalid.  Checksums are verified.

    Args:
        shard_set: where the samples are.
        speakers: names of the speakers to read; None reads everybody.
        config: what a batch holds.
        rank: which of the processes this is.
        world_size: how many processes share the samples.
        prompts: read only these prompts; None reads all.

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
    ) -> None:
        self.shard_set = shard_set
        self.config = config or BatchConfig()
        self.speakers: list[str] = list(shard_set.speakers if speakers is None else speakers)
        """Names of the speakers read."""
        self.numbers_N = select_samples(shard_set, self.speakers, prompts)
        """The sample numbers that all processes together yield, ascending."""
        if len(self.numbers_N) == 0:
            limited = "" if prompts is None else f" with the {len(prompts)} prompts asked for"
            raise AccentError(f"{shard_set.root}: no sample of {len(self.speakers)} speakers{limited}; check the split")
        self._reader = ShardReader(shard_set)
        plan = evaluation_batches(
            self.numbers_N,
            shard_set.index["frames"][self.numbers_N],
            self.config.evaluation_frames_per_batch,
            world_size,
        )
        self._batches: list[np.ndarray] = [batch[rank] for batch in plan]

    @property
    def accents(self) -> list[str]:
        """Accent names; `Batch.accent_B` holds positions in this list."""
        return self.shard_set.accents

    def rows(self, batch: int) -> Rows:
        """Tell what this process reads for a batch, without reading it.

        Args:
            batch: which batch, from 0.

        Returns:
            Sample number (-1 in an invalid row), first frame and number of frames of each row of this process.
        """
        numbers_B = self._batches[batch]
        lengths_B = np.where(numbers_B == NO_SAMPLE, 0, self.shard_set.index["frames"][numbers_B]).astype(np.int64)
        return Rows(numbers_B, np.zeros_like(numbers_B), lengths_B)

    def metadata(self, sample_numbers: Iterable[int]) -> list[dict[str, Any]]:
        """Read what the shards say about samples beside their frames: key, sex, duration and so on.

        Args:
            sample_numbers: as in `Batch.sample_B`, valid rows only.

        Returns:
            The JSON of each sample, in the order asked for.

        Raises:
            AccentError: a sample cannot be read.
        """
        return [self._reader.metadata(int(number)) for number in sample_numbers]

    def __iter__(self) -> Iterator[Batch]:
        return load(Steps(self._reader, self.rows, None), range(len(self)), self.config.workers)

    def __len__(self) -> int:
        return len(self._batches)


def select_samples(shard_set: ShardSet, speakers: Iterable[str], prompts: Iterable[str] | None = None) -> np.ndarray:
    """Return the numbers of the samples of some speakers.

    Args:
        shard_set: where the samples are.
        speakers: names.
        prompts: names; None takes all prompts.

    Returns:
        int64 [N], ascending.

    Raises:
        AccentError: an unknown speaker or prompt.
    """
    chosen_N = np.isin(shard_set.index["speaker"], shard_set.speaker_positions(speakers))
    if prompts is not None:
        position = {name: number for number, name in enumerate(shard_set.prompts)}
        unknown = sorted(set(prompts) - set(position))
        if unknown:
            raise AccentError(f"{shard_set.root}: no prompt {', '.join(unknown[:5])} here; check the split")
        chosen_N &= np.isin(shard_set.index["prompt"], [position[name] for name in prompts])
    return np.flatnonzero(chosen_N)


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
