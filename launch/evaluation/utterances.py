"""The utterances of a shard set with their labels, as the baselines and the protocols need them.

Shapes: N utterances, T frames, D columns, S speakers.  Cost: reads the JSON of every sample, a second for 1,500.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from accent.features.schema import family_slices
from accent.grouped import Grouped
from shards.shard_set.manifest import ShardSet
from shards.shard_set.reader import ShardReader
from shards.splits.split import Split


@dataclass(frozen=True, eq=False)
class Utterances:
    """All utterances of a shard set; utterance `n` is sample `n`."""

    shard_set: ShardSet
    reader: ShardReader
    """Reads frames, phones and JSON by number."""
    key_N: np.ndarray
    """str: the samples' keys."""
    speaker_N: np.ndarray
    """str: the speakers' names."""
    accent_N: np.ndarray
    """int64: positions in the shard set's accents."""
    prompt_N: np.ndarray
    """str: what is read."""

    @classmethod
    def of(cls, shard_set: ShardSet) -> "Utterances":
        """Read the key of every sample of a shard set.

        Raises:
            AccentError: a sample cannot be read.
        """
        reader = ShardReader(shard_set)
        return cls(
            shard_set,
            reader,
            reader.keys(np.arange(len(shard_set))),
            np.array(shard_set.speakers)[shard_set.index["speaker"]],
            np.asarray(shard_set.index["accent"], dtype=np.int64),
            np.array(shard_set.prompts)[shard_set.index["prompt"]],
        )

    @property
    def accents(self) -> list[str]:
        """Names of the accents."""
        return self.shard_set.accents

    def __len__(self) -> int:
        return len(self.key_N)

    def family(self, number: int, name: str) -> np.ndarray:
        """Return a feature family of an utterance, float64 [T, D], NaN where undefined."""
        return self.reader.frames(number)[:, family_slices()[name]].astype(np.float64)

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
        _, speaker_n = np.unique(self.speaker_N[numbers], return_inverse=True)
        return [numbers[rows] for rows in Grouped(speaker_n).values()]


def speaker_of(utterances: Utterances, groups: Sequence[np.ndarray]) -> np.ndarray:
    """Return the speaker of each group."""
    return utterances.speaker_N[first_of(groups)]


def accent_of(utterances: Utterances, groups: Sequence[np.ndarray]) -> np.ndarray:
    """Return the accent of each group."""
    return utterances.accent_N[first_of(groups)]


def first_of(groups: Iterable[np.ndarray]) -> np.ndarray:
    """Return the first utterance of each group."""
    return np.array([rows[0] for rows in groups], dtype=np.int64)
