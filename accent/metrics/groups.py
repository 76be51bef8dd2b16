"""Groups of a speaker's utterances, and a system's answer to a group: one embedding of one, two or all utterances.

Shapes: N utterances, G groups, E embedding, A accents.  Cost: milliseconds.
"""

from collections.abc import Callable, Sequence
from itertools import combinations
from math import comb
from typing import NamedTuple

import numpy as np

from accent.metrics.estimate import unit_length

MOST_SUBSETS = 16
"""Subsets of one size drawn for each speaker; all of them where there are no more."""


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
    unit_NE = unit_length(embedding_NE)
    logits = np.asarray(logits_NA, dtype=np.float64)

    def embed_groups(groups: Sequence[np.ndarray]) -> GroupOutput:
        return GroupOutput(
            np.stack([unit_NE[rows].mean(0) for rows in groups]), np.stack([logits[rows].mean(0) for rows in groups])
        )

    return embed_groups


def subsets_of_speakers(speaker_N: np.ndarray, size: int, most: int = MOST_SUBSETS, seed: int = 0) -> list[np.ndarray]:
    """Draw subsets of each speaker's utterances.

    Args:
        speaker_N: the speakers.
        size: utterances in a subset; speakers with fewer utterances are left out.
        most: subsets of a speaker; where there are no more than `most`, all are taken.  Of single utterances all are
            taken however many there are.
        seed: of the draws.

    Returns:
        int [size] row numbers each, ascending and distinct; speakers in sorted order.
    """
    generator = np.random.default_rng(seed)
    subsets: list[np.ndarray] = []
    for speaker in np.unique(speaker_N):
        mine = np.flatnonzero(speaker_N == speaker)
        if len(mine) < size:
            continue
        if size == 1 or comb(len(mine), size) <= most:
            chosen = [tuple(rows) for rows in combinations(mine.tolist(), size)]
        else:
            drawn: dict[tuple[int, ...], None] = {}
            while len(drawn) < most:
                drawn[tuple(np.sort(generator.choice(mine, size, replace=False)).tolist())] = None
            chosen = list(drawn)
        subsets += [np.array(rows, dtype=np.int64) for rows in chosen]
    return subsets
