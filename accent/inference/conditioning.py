"""Vectors between accents, for a system that converts or synthesises speech.

An accent's vector is the mean of its speakers' embeddings.  From one accent to another leads their difference; moved
along it, a vector keeps the rest of what it is, which is how the speaker differs from other speakers of the accent:

    moved(v, w) = v + w (mean of the other accent - mean of the first), brought to unit length

At w = 0 nothing changes, at w = 1 the whole difference of the two means has been added; w may lie outside 0 ... 1.

Shapes: A accents, E embedding, W weights, any leading shape `...`.  Cost: none.
"""

from collections.abc import Sequence

import numpy as np


def between(first_E: np.ndarray, second_E: np.ndarray, weights: Sequence[float]) -> np.ndarray:
    """Return vectors on the way from one accent to another, `[W, E]` of unit length.

    Args:
        first_E: vector of the first accent.
        second_E: vector of the second.
        weights: 0 is the first, 1 the second.

    >>> between(np.array([1.0, 0.0]), np.array([0.0, 1.0]), [0, 0.5]).round(3).tolist()
    [[1.0, 0.0], [0.707, 0.707]]
    """
    return moved(first_E, first_E, second_E, weights)


def moved(vectors_E: np.ndarray, first_E: np.ndarray, second_E: np.ndarray, weights: Sequence[float]) -> np.ndarray:
    """Return vectors moved from one accent towards another, each with its own speaker kept.

    Args:
        vectors_E: `[..., E]`.
        first_E: vector of the accent that is left.
        second_E: vector of the accent that is gone to.
        weights: how much of the way.

    Returns:
        `[W, ..., E]` of unit length.
    """
    vectors_E, way_E = np.asarray(vectors_E, np.float64), np.asarray(second_E, np.float64) - first_E
    return np.stack([_unit(vectors_E + weight * way_E) for weight in weights])


def directions(accent_AE: np.ndarray) -> np.ndarray:
    """Return the direction of each accent, `[A, E]` of unit length: its vector less the mean of the others' vectors.

    >>> directions(np.array([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]])).round(3).tolist()[1]
    [0.0, 1.0]
    """
    accent_AE = np.asarray(accent_AE, np.float64)
    others = max(len(accent_AE) - 1, 1)
    return _unit(accent_AE - (accent_AE.sum(0) - accent_AE) / others)


def share_of_the_way(before_E: np.ndarray, after_E: np.ndarray, first_E: np.ndarray, second_E: np.ndarray) -> float:
    """Return how much of the way from one accent to another a vector has gone: 0 nothing, 1 the whole difference.

    Args:
        before_E: where it was.
        after_E: where it is.
        first_E: vector of the accent that is left.
        second_E: vector of the accent that is gone to; another one.
    """
    way_E = np.asarray(second_E, np.float64) - first_E
    return float((np.asarray(after_E, np.float64) - before_E) @ way_E / (way_E @ way_E))


def _unit(vectors_E: np.ndarray) -> np.ndarray:
    return vectors_E / np.maximum(np.linalg.norm(vectors_E, axis=-1, keepdims=True), 1e-12)
