"""The utterances of a shard set with their labels, as the baselines and the protocols need them.

Shapes: N utterances, T frames, D columns, S speakers.  Cost: reads the JSON of every sample, a second for 1,500.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from accent.features.schema import family_slices
from shards.shard_set.manifest import ShardSet
from shards.shard_set.reader import ShardReader
from shards.splits.split import Split


@dataclass(frozen=True, eq=False)
class Utterances:
    """All utterances of a shard set; utterance `n` is sample `n`."""

    shard_set: ShardSet

    @cached_property
    def reader(self) -> ShardReader:
        """Reads frames, phones and JSON by number."""
        return ShardReader(self.shard_set)

    @cached_property
    def metadata_N(self) -> list[dict[str, Any]]:
        """The JSON of every sample."""
        return [self.reader.metadata(number) for number in range(len(self))]

    @cached_property
    def key_N(self) -> np.ndarray:
        """str: the samples' keys."""
        return np.array([one["key"] for one in self.metadata_N])

    @cached_property
    def speaker_N(self) -> np.ndarray:
        """str: the speakers' names."""
        return np.array(self.shard_set.speakers)[self.shard_set.index["speaker"]]

    @cached_property
    def accent_N(self) -> np.ndarray:
        """int64: positions in the shard set's accents."""
        return np.asarray(self.shard_set.index["accent"], dtype=np.int64)

    @cached_property
    def prompt_N(self) -> np.ndarray:
        """str: what is read."""
        return np.array(self.shard_set.prompts)[self.shard_set.index["prompt"]]

    @property
    def accents(self) -> list[str]:
        """Names of the accents."""
        return self.shard_set.accents

    def __len__(self) -> int:
        return len(self.shard_set.index)

    def columns_TD(self, number: int, family: str) -> np.ndarray:
        """Return one feature family of an utterance, float64, NaN where undefined."""
        return self.reader.frames(number)[:, family_slices()[family]].astype(np.float64)

    def taught(self, split: Split) -> np.ndarray:
        """Return the numbers of the utterances a system may learn from, the validation speakers' included."""
        prompts = np.isin(self.prompt_N, split.held_out_prompts)
        return np.flatnonzero(np.isin(self.speaker_N, split.train + split.validation) & ~prompts)

    def tested(self, split: Split) -> np.ndarray:
        """Return the numbers of the utterances a system is tested on: held-out prompts only, where there are any."""
        chosen = np.isin(self.speaker_N, split.test)
        if split.held_out_prompts:
            chosen &= np.isin(self.prompt_N, split.held_out_prompts)
        return np.flatnonzero(chosen)

    def wholes(self, numbers: np.ndarray) -> list[np.ndarray]:
        """Group utterances by speaker, speakers in sorted order."""
        speaker_n = self.speaker_N[numbers]
        return [numbers[speaker_n == speaker] for speaker in np.unique(speaker_n)]


def speaker_of(utterances: Utterances, groups: Sequence[np.ndarray]) -> np.ndarray:
    """Return the speaker of each group."""
    return utterances.speaker_N[first_of(groups)]


def accent_of(utterances: Utterances, groups: Sequence[np.ndarray]) -> np.ndarray:
    """Return the accent of each group."""
    return utterances.accent_N[first_of(groups)]


def first_of(groups: Iterable[np.ndarray]) -> np.ndarray:
    """Return the first utterance of each group."""
    return np.array([rows[0] for rows in groups], dtype=np.int64)
