"""Groups of a speaker's utterances, and a system's answer to a group: one embedding of one, two or all utterances.

Shapes: N utterances, G groups, n utterances of all groups, E embedding, A accents.  Cost: about 2 us a group, 5 us an
utterance of a group whose size no other has; 12 bytes for each group and member.
"""

from collections.abc import Callable, Sequence
from itertools import combinations
from math import comb
from typing import NamedTuple, overload

import numpy as np

from accent.grouped import Grouped
from accent.metrics.estimate import unit_length

MOST_SUBSETS = 16
"""Subsets of one size drawn for each speaker; all of them where there are no more."""
MOST_AT_ONCE = 16_384
"""Utterances whose embeddings are averaged at a time."""


class RowGroups(Sequence[np.ndarray]):
    """Groups of rows as two arrays; a group is a view of them, made when it is asked for.

    Args:
        rows_n: the rows of all groups, group after group.
        starts_G: integers [G + 1]: where each group begins, and where the last one ends.
    """

    def __init__(self, rows_n: np.ndarray, starts_G: np.ndarray) -> None:
        self.rows_n, self.starts_G = rows_n, starts_G

    @classmethod
    def of(cls, groups: Sequence[np.ndarray]) -> "RowGroups":
        """Return groups as arrays; those that are so already, as they are."""
        if isinstance(groups, RowGroups):
            return groups
        starts_G = np.cumsum([0, *map(len, groups)])
        return cls(np.concatenate(groups) if len(groups) else np.empty(0, np.int64), starts_G)

    @classmethod
    def singles(cls, rows_N: np.ndarray) -> "RowGroups":
        """Return a group for each row."""
        return cls(rows_N, np.arange(len(rows_N) + 1))

    @classmethod
    def joined(cls, parts: Sequence["RowGroups"]) -> "RowGroups":
        """Return the groups of one part after those of another."""
        ends = [part.starts_G[1:] + sum(len(one.rows_n) for one in parts[:at]) for at, part in enumerate(parts)]
        return cls(np.concatenate([part.rows_n for part in parts]), np.concatenate([np.zeros(1, np.int64), *ends]))

    @overload
    def __getitem__(self, at: int) -> np.ndarray: ...
    @overload
    def __getitem__(self, at: slice) -> list[np.ndarray]: ...
    def __getitem__(self, at: int | slice) -> np.ndarray | list[np.ndarray]:
        if isinstance(at, slice):
            return [self[one] for one in range(*at.indices(len(self)))]
        if not -len(self) <= at < len(self):
            raise IndexError(f"group {at} of {len(self)}")
        begin, end = self.starts_G[at % len(self) : at % len(self) + 2]
        return self.rows_n[begin:end]

    def __len__(self) -> int:
        return len(self.starts_G) - 1

    @property
    def counts_G(self) -> np.ndarray:  # noqa: N802 - G is the shape
        """Rows of each group."""
        return np.diff(self.starts_G)

    @property
    def first_G(self) -> np.ndarray:  # noqa: N802 - G is the shape
        """The first row of each group."""
        return self.rows_n[self.starts_G[:-1]]

    def renamed(self, names_N: np.ndarray) -> "RowGroups":
        """Return the same groups with other numbers for their rows: row r is called names_N[r]."""
        return RowGroups(names_N[self.rows_n], self.starts_G)


class GroupOutput(NamedTuple):
    """A system's answer to groups of utterances."""

    embedding_GE: np.ndarray
    """One embedding a group."""
    logits_GA: np.ndarray
    """One score an accent; a higher score means a likelier accent."""


EmbedGroups = Callable[[Sequence[np.ndarray]], GroupOutput]
"""Takes groups of utterance numbers and answers each group as a whole."""


def mean_of_utterances(embedding_NE: np.ndarray, logits_NA: np.ndarray) -> EmbedGroups:
    """Embed a group by the mean of its utterances, for systems that can only embed one utterance.

    Args:
        embedding_NE: one embedding an utterance.
        logits_NA: one score an accent for every utterance.

    Returns:
        A function of groups of row numbers: the mean of the embeddings at unit length, and the mean of the logits.
    """

    def embed_groups(groups: Sequence[np.ndarray]) -> GroupOutput:
        asked = RowGroups.of(groups)
        embedding_GE = np.empty((len(asked), embedding_NE.shape[1]))
        logits_GA = np.empty((len(asked), logits_NA.shape[1]))
        for size, places in Grouped(asked.counts_G).items():
            # Groups of one size are averaged side by side.
            block = max(1, MOST_AT_ONCE // size)
            for first in range(0, len(places), block):
                place_g = places[first : first + block]
                rows_gk = asked.rows_n[asked.starts_G[place_g][:, None] + np.arange(size)]
                unit = unit_length(embedding_NE[rows_gk.ravel()]).reshape(*rows_gk.shape, -1)
                embedding_GE[place_g] = unit.mean(1)
                logits_GA[place_g] = np.asarray(logits_NA[rows_gk], dtype=np.float64).mean(1)
        return GroupOutput(embedding_GE, logits_GA)

    return embed_groups


def subsets_of_speakers(speaker_N: np.ndarray, size: int, most: int = MOST_SUBSETS, seed: int = 0) -> RowGroups:
    """Draw subsets of each speaker's utterances.

    Args:
        speaker_N: the speakers.
        size: utterances in a subset; speakers with fewer utterances are left out.
        most: subsets of a speaker; where there are no more than `most`, all are taken.  Of single utterances all are
            taken however many there are.
        seed: of the draws.

    Returns:
        int64 [size] row numbers each, ascending and distinct; speakers in sorted order.
    """
    generator = np.random.default_rng(seed)
    _, position_N = np.unique(speaker_N, return_inverse=True)
    by_speaker = Grouped(position_N)
    if size == 1:
        return RowGroups.singles(by_speaker.rows_N.astype(np.int64))
    subsets = [np.empty((0, size), np.int64)]
    for mine in by_speaker.values():
        if len(mine) < size:
            continue
        if comb(len(mine), size) <= most:
            chosen = list(combinations(mine.tolist(), size))
        else:
            drawn: dict[tuple[int, ...], None] = {}
            while len(drawn) < most:
                drawn[tuple(np.sort(generator.choice(mine, size, replace=False)).tolist())] = None
            chosen = list(drawn)
        subsets.append(np.array(chosen, dtype=np.int64))
    rows_n = np.concatenate(subsets).ravel()
    return RowGroups(rows_n, np.arange(0, len(rows_n) + 1, size))
