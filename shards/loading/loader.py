"""Batches for training and for evaluation, from any position, for any number of processes.

The order is decided in `shards.sampling.decks`; this module reads what it says.  A loader has no position of its own:
`steps(first, last)` yields the batches of these steps, whoever asks, whenever.  So a resumed run asks for
`steps(position, end)` and is where it was; and the global batch is the same on one process and on eight.

A batch lives until the next one is asked for (`shards.loading.batch`).  The threads that read ahead, and the memory
that they read into, stay with the loader from one call of `steps` to the next (`shards.loading.prefetcher`).  Nothing
draws from torch's global random generator.

Cost: opening sorts the index into decks once (0.1 s for 100,000 samples); for a batch see
`shards.loading.batch_reader`.

Shape legend: N samples, B rows of this process's batch.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from accent.errors import AccentError
from shards.loading.batch import Batch
from shards.loading.batch_reader import Steps
from shards.loading.prefetcher import Prefetcher
from shards.sampling.by_length import evaluation_batches
from shards.sampling.decks import BatchShape, Decks, build_decks
from shards.sampling.sampler import EvaluationSampler, Rows, TrainingSampler, padding_of_crops
from shards.sampling.shared_prompts import find_shared_prompts
from shards.shard_set.manifest import ShardSet
from shards.shard_set.reader import ShardReader
from shards.shard_set.statistics import Statistics
from shards.splits.split import Split

CROPS = (300, 250, 200, 150, 100)
"""Lengths in frames that a training crop may have where none is asked for."""
MOST_PADDING = 0.10
"""Share of padding in training batches up to which one of them is taken."""


@dataclass(frozen=True)
class BatchConfig:
    """What a batch holds, over all processes, and who makes it."""

    accents_per_batch: int | None = None
    """Accents in a global training batch; nothing: all of them."""
    speakers_per_accent: int = 2
    """Speakers of each accent in a batch: with two or more, every utterance meets its accent in another voice."""
    utterances_per_speaker: int = 4
    """Utterances of each speaker in a batch."""
    same_prompts: bool = False
    """Whether the speakers of an accent in a batch read the same prompts, wherever they did (`shards.sampling.decks`
    says what is promised); utterances of prompts that one speaker of an accent reads alone then come seldom or
    never."""
    crop_frames: int | None = None
    """Length of a training crop in frames of 10 ms; shorter utterances are padded and masked.  Nothing: 300, or as much
    less, down to 100, as it takes to have at most 10 % padding in the batches of this corpus."""
    evaluation_frames_per_batch: int = 12_000
    """Most frames of 10 ms in one process's evaluation batch, padding counted; a longer utterance comes alone."""
    workers: int = 2
    """Threads that read ahead in each training process; 0: a batch is read when it is asked for."""
    verify: bool = False
    """Compare every training sample with its checksum, for which whole utterances are read and then cropped;
    evaluation does it always."""
    damaged: Literal["stop", "skip"] = "stop"
    """What a damaged sample does: it ends the run; or its row weighs nothing and is counted and logged."""

    def __post_init__(self) -> None:
        if self.crop_frames is not None and self.crop_frames < 1:
            raise ValueError(f"crop_frames: {self.crop_frames} is too small, at least 1, or null to follow the corpus")
        if self.damaged not in ("stop", "skip"):
            raise ValueError(f"damaged: '{self.damaged}' is unknown; allowed: stop, skip")
        for name in ("speakers_per_accent", "utterances_per_speaker", "evaluation_frames_per_batch"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}: {getattr(self, name)} is too small, at least 1")
        if self.same_prompts and self.speakers_per_accent < 2:
            raise ValueError("speakers_per_accent: 1 is too small, at least 2 with same_prompts")
        if self.accents_per_batch is not None and self.accents_per_batch < 1:
            raise ValueError(f"accents_per_batch: {self.accents_per_batch} is too small, at least 1, or null for all")
        if self.workers < 0:
            raise ValueError(f"workers: {self.workers} is too small, at least 0")


class TrainingLoader:
    """Batches of random crops, balanced by accent and speaker, as `shards.sampling.decks` describes.

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
                f"{shard_set.place}: no sample of the {len(self.speakers)} training speakers; check the split"
            )
        self.n_samples = len(numbers_N)
        """Samples that training draws from; with `same_prompts` some of them seldom or never."""
        index_N = shard_set.index[numbers_N]
        labels = (numbers_N, index_N["accent"], index_N["speaker"])
        same_prompts = self.config.same_prompts
        shared = find_shared_prompts(*labels, index_N["prompt"], shard_set.accents) if same_prompts else None
        decks = build_decks(*labels, shared)
        self._shape = _batch_shape(self.config, decks, shard_set, world_size)
        frames_N = np.array(shard_set.index["frames"])
        self.crop_frames = self.config.crop_frames or _crop_that_fits(decks, frames_N)
        """Length of every batch in frames."""
        self.padding = padding_of_crops(decks, frames_N, self.crop_frames)
        """Share of padding in the batches, over a whole pass through all decks."""
        self._plan = TrainingSampler(frames_N, decks, self._shape, self.crop_frames, seed, rank, world_size)
        rows = self._shape.rows // world_size
        steps = Steps(shard_set, self._plan, self.crop_frames, self.config.verify, self.config.damaged)
        self._prefetcher = Prefetcher(steps, rows, rows * self.crop_frames, self.config.workers)

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
        return self._plan(step)

    def steps(self, first: int, last: int) -> Iterator[Batch]:
        """Yield this process's batches of the steps first ... last - 1.

        Args:
            first: first step; any, at no cost.
            last: one past the last step.

        Returns:
            An iterator over batches of `global_batch / world_size` rows and `crop_frames` frames; each lives until the
            next one is asked for.

        Raises:
            AccentError: a sample cannot be read.
        """
        return self._prefetcher.batches(range(first, last))

    @property
    def skipped(self) -> int:
        """Rows that weighed nothing so far, in the batches handed out here, because their samples are damaged."""
        return self._prefetcher.skipped

    def __iter__(self) -> Iterator[Batch]:
        return self.steps(0, self.steps_per_epoch)

    def __len__(self) -> int:
        return self.steps_per_epoch


class EvaluationLoader:
    """Whole utterances, by length, each exactly once over all processes.

    Every process yields the same number of batches with the same number of rows; rows that nothing is left for are
    invalid.  Checksums are verified.  A batch lives until the next one is asked for.

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
            raise AccentError(
                f"{shard_set.place}: no sample of {len(self.speakers)} speakers{limited}; check the split"
            )
        self._reader = ShardReader(shard_set)
        plan = evaluation_batches(
            self.numbers_N,
            shard_set.index["frames"][self.numbers_N],
            self.config.evaluation_frames_per_batch,
            world_size,
        )
        self._plan = EvaluationSampler(np.array(shard_set.index["frames"]), [batch[rank] for batch in plan])
        shapes = [self._plan.shape(batch) for batch in range(len(plan))]
        most_rows, most_frames = max(rows for rows, _ in shapes), max(rows * frames for rows, frames in shapes)
        steps = Steps(shard_set, self._plan, None, True, self.config.damaged)
        self._prefetcher = Prefetcher(steps, most_rows, most_frames, self.config.workers)

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
        return self._plan(batch)

    @property
    def skipped(self) -> int:
        """Rows left out so far, in the batches handed out here, because their samples are damaged."""
        return self._prefetcher.skipped

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
        return self._prefetcher.batches(range(len(self)))

    def __len__(self) -> int:
        return len(self._plan.batches)


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
            raise AccentError(f"{shard_set.place}: no prompt {', '.join(unknown[:5])} here; check the split")
        chosen_N &= np.isin(shard_set.index["prompt"], [position[name] for name in prompts])
    return np.flatnonzero(chosen_N)


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
