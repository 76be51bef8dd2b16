"""Would as many speakers be told right if accents had nothing to do with them?

Shapes: K seeds, S speakers, A accents, R permutations.  Cost: below a second.
"""

from typing import NamedTuple

import numpy as np

PERMUTATIONS = 5_000


class PermutationTest(NamedTuple):
    """The outcome of a permutation test."""

    value: float
    """Balanced accuracy with the true labels."""
    p_value: float
    """Share of the permutations, the true labels included, that score at least as high."""
    highest: float
    """The best score of a permutation."""


def permuted_accents(
    accent_S: np.ndarray, told_KS: np.ndarray, permutations: int = PERMUTATIONS, seed: int = 0
) -> PermutationTest:
    """Test balanced accuracy per speaker against accents dealt to the speakers at random.

    Whole speakers change places, never utterances: the utterances of a speaker are not independent.  Source: Ojala &
    Garriga, Permutation Tests for Studying Classifier Performance, JMLR 11, 2010; Phipson & Smyth, 2010, for the one
    that is added to both counts.

    Args:
        accent_S: the true accent of each speaker.
        told_KS: the accent told for each speaker, a row for each seed of the system.
        permutations: how many.
        seed: of the permutations.

    Returns:
        Value, p-value and the highest permuted score; scores are means over the seeds.
    """
    told = np.atleast_2d(told_KS)
    accents, accent = np.unique(accent_S, return_inverse=True)
    of_accent_AS = np.eye(len(accents))[:, accent] / np.bincount(accent)[:, None] / len(accents)
    # The weight of a speaker whose accent is told right is one over the speakers of that accent and the accents.
    told_KAS = (told[:, None, :] == accents[:, None]).astype(float)

    def score(order_S: np.ndarray) -> float:
        return float((told_KAS * of_accent_AS[:, order_S]).sum((1, 2)).mean())

    value = score(np.arange(len(accent)))
    generator = np.random.default_rng(seed)
    random_R = np.array([score(generator.permutation(len(accent))) for _ in range(permutations)])
    at_least = int((random_R >= value - 1e-12).sum())
    return PermutationTest(value, (1 + at_least) / (1 + permutations), float(random_R.max()))
