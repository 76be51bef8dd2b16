"""Calibration: does a probability of 0.7 come true seven times in ten?

Shapes: N utterances (or speakers), A accents, n trials, B bins.  Cost: milliseconds.
"""

from typing import NamedTuple

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, logsumexp

BINS = 15
_LONGEST_STEP = 6.0
"""The temperature is searched between e^-6 and e^6."""


def expected_calibration_error(probability_NA: np.ndarray, accent_N: np.ndarray, bins: int = BINS) -> float:
    """Return the mean distance between confidence and accuracy.

    Source: Guo et al., On Calibration of Modern Neural Networks, ICML 2017, section 2.

    Args:
        probability_NA: probabilities of the accents, rows of sum 1.
        accent_N: true accents.
        bins: of equal width over the confidence; a confidence on an edge belongs to the lower bin.

    Returns:
        0 (calibrated) .. 1.
    """
    count_B, confidence_B, accuracy_B = reliability(probability_NA, accent_N, bins)
    filled_B = count_B > 0
    gap_B = np.abs(accuracy_B - confidence_B)[filled_B]
    return float((count_B[filled_B] * gap_B).sum() / len(accent_N))


class Reliability(NamedTuple):
    """What a reliability diagram shows, a value a bin of the confidence; NaN where a bin is empty."""

    count_B: np.ndarray
    """Answers in the bin."""
    confidence_B: np.ndarray
    """Their mean probability of the accent told."""
    accuracy_B: np.ndarray
    """The share of them that is right."""


def reliability(probability_NA: np.ndarray, accent_N: np.ndarray, bins: int = BINS) -> Reliability:
    """Sort answers by how sure they are, and say how often they are right.

    Source: Guo et al., 2017, section 2.

    Args:
        probability_NA: probabilities of the accents, rows of sum 1.
        accent_N: true accents.
        bins: of equal width over the confidence; a confidence on an edge belongs to the lower bin.

    Returns:
        B bins, the least sure ones first.
    """
    confidence_N = probability_NA.max(1)
    right_N = probability_NA.argmax(1) == accent_N
    bin_N = np.clip(np.ceil(confidence_N * bins).astype(int) - 1, 0, bins - 1)
    count_B = np.bincount(bin_N, minlength=bins)
    divisor_B = np.where(count_B > 0, count_B, np.nan)
    return Reliability(
        count_B, np.bincount(bin_N, confidence_N, bins) / divisor_B, np.bincount(bin_N, right_N, bins) / divisor_B
    )


def cllr(target_n: np.ndarray, other_n: np.ndarray) -> float:
    """Return the cost of log likelihood ratios in bits.

    Source: Brümmer & du Preez, Application-independent evaluation of speaker detection, Comput. Speech Lang. 20, 2006.

    Args:
        target_n: natural log likelihood ratios of trials that belong together.
        other_n: those of trials that do not.

    Returns:
        0 for perfect ratios, 1 for ratios that say nothing (0 everywhere), above 1 for misleading ones.
    """
    cost = np.logaddexp(0, -np.asarray(target_n, float)).mean() + np.logaddexp(0, np.asarray(other_n, float)).mean()
    return float(cost / 2 / np.log(2))


def accent_cllr(logits_NA: np.ndarray, accent_N: np.ndarray) -> float:
    """Return the mean over the tested accents of Cllr, each accent detected against the others.

    The likelihood ratio of an accent compares its likelihood with the mean likelihood of the other accents, as in
    NIST's language recognition evaluations.

    Args:
        logits_NA: log likelihoods of the accents, up to a constant a row; logits of a classifier trained with equally
            frequent accents are such.
        accent_N: true accents.

    Returns:
        Bits; 1 for a system that says nothing.

    Raises:
        ValueError: fewer than two accents are tested.
    """
    tested = np.unique(accent_N)
    if len(tested) < 2:
        raise ValueError("Cllr needs utterances of two accents")
    logits = np.asarray(logits_NA, dtype=np.float64)
    n_accents = logits.shape[1]
    costs = []
    for accent in tested:
        others = np.delete(np.arange(n_accents), accent)
        ratio_N = logits[:, accent] - (logsumexp(logits[:, others], axis=1) - np.log(n_accents - 1))
        costs.append(cllr(ratio_N[accent_N == accent], ratio_N[accent_N != accent]))
    return float(np.mean(costs))


def fit_temperature(logits_NA: np.ndarray, accent_N: np.ndarray) -> float:
    """Return the temperature that makes logits of unseen speakers most probable, every accent weighing the same.

    Source: Guo et al., 2017, section 4.2.  It changes no decision, only how certain the system says it is.

    Args:
        logits_NA: scores of speakers that the system did not learn from, other than the tested ones.
        accent_N: true accents.

    Returns:
        What to divide logits by, between e^-6 and e^6.
    """
    logits = np.asarray(logits_NA, dtype=np.float64)
    weight_N = 1 / np.bincount(accent_N, minlength=logits.shape[1])[accent_N]
    rows = np.arange(len(logits))

    def surprise(log_temperature: float) -> float:
        return float(-(weight_N * log_softmax(logits / np.exp(log_temperature), axis=1)[rows, accent_N]).sum())

    bounds = (-_LONGEST_STEP, _LONGEST_STEP)
    return float(np.exp(minimize_scalar(surprise, bounds=bounds, method="bounded").x))
