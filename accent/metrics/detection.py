"""Detection at a threshold: where the equal error rate lies, and the cost of decisions at the best threshold.

Shapes: n trials.  Cost: a sort of the trials.
"""

from typing import NamedTuple

import numpy as np
from sklearn.metrics import roc_curve


class OperatingPoint(NamedTuple):
    """A threshold and its errors."""

    threshold: float
    """Scores above it are accepted."""
    false_acceptance: float
    """Share of the other trials accepted."""
    false_rejection: float
    """Share of the target trials rejected."""


def equal_error_point(score_n: np.ndarray, target_n: np.ndarray) -> OperatingPoint:
    """Return the threshold at which the two rates of errors are closest to each other.

    Args:
        score_n: higher means more alike.
        target_n: bool, true where the pair belongs together.

    Returns:
        A threshold half-way between two scores that occur, and the rates there.

    Raises:
        ValueError: only targets, or only non-targets.
    """
    target_n = np.asarray(target_n, bool)
    if target_n.all() or not target_n.any():
        raise ValueError("an equal error rate needs both target and non-target trials")
    false_acceptance, true_acceptance, at = roc_curve(
        target_n, np.asarray(score_n, np.float64), drop_intermediate=False
    )
    best = int(np.argmin(np.abs(false_acceptance - (1 - true_acceptance))))
    highest = at[1] + 1.0
    accepted = at[best] if best else highest
    rejected = at[best + 1] if best + 1 < len(at) else at[-1] - 1.0
    return OperatingPoint(
        float((accepted + rejected) / 2), float(false_acceptance[best]), float(1 - true_acceptance[best])
    )


def min_dcf(score_n: np.ndarray, target_n: np.ndarray, target_prior: float = 0.01) -> float:
    """Return the smallest detection cost over all thresholds, a miss and a false alarm costing the same.

    Source: NIST speaker recognition evaluations; normalised by the cost of the better of accepting all and rejecting
    all, so that 1 is a system that says nothing.

    Args:
        score_n: higher means more alike.
        target_n: bool, true where the pair belongs together.
        target_prior: probability of a target that the cost supposes.

    Returns:
        0 (perfect) ... 1.

    Raises:
        ValueError: only targets, or only non-targets; a prior that is no probability between 0 and 1.
    """
    target_n = np.asarray(target_n, bool)
    if target_n.all() or not target_n.any():
        raise ValueError("a detection cost needs both target and non-target trials")
    if not 0 < target_prior < 1:
        raise ValueError(f"target_prior: {target_prior} is not between 0 and 1")
    false_acceptance, true_acceptance, _ = roc_curve(target_n, np.asarray(score_n, np.float64))
    cost = target_prior * (1 - true_acceptance) + (1 - target_prior) * false_acceptance
    return float(cost.min() / min(target_prior, 1 - target_prior))
