"""Scores of speaker trials, made comparable over speakers and accents: adaptive s-norm with cohorts by accent.

A raw cosine depends on the accents of the two sides: two Koreans sound alike to a model that heard few of them, so
impostors of one accent score high.  Compared with impostors of the same accent, a score says what it should.

    score' = 1/2 [ (score - mean(enrol's cohort)) / std(...)  +  (score - mean(test's cohort)) / std(...) ]

A side's cohort scores are its cosines with the `top` nearest of the cohort's speakers of its own accent (or of all
speakers, if the accent is not named).

Shapes: n trials, N embeddings, C cohort speakers, E embedding.  Cost: N x C cosines and a partial sort of each row.

Source: Cumani et al. 2011, "Comparison of speaker recognition approaches for real applications", for adaptive s-norm;
Matejka et al. 2017, "Analysis of score normalization in multilingual speaker recognition", for cohorts by language.
"""

from typing import NamedTuple

import numpy as np

from accent.metrics.estimate import unit_length


class CohortStatistics(NamedTuple):
    """Mean and standard deviation of each embedding's scores with its cohort."""

    mean_N: np.ndarray
    std_N: np.ndarray


def cohort_statistics(
    embedding_NE: np.ndarray,
    cohort_CE: np.ndarray,
    top: int = 100,
    accent_N: np.ndarray | None = None,
    cohort_accent_C: np.ndarray | None = None,
    left_out_N: np.ndarray | None = None,
) -> CohortStatistics:
    """Measure each embedding's scores with the nearest of its cohort.

    Args:
        embedding_NE: one side of the trials.
        cohort_CE: one embedding a cohort speaker; speakers who are in no trial.
        top: how many of the nearest count; all of a cohort that is smaller.
        accent_N: accent of each embedding; None takes the whole cohort for everybody.
        cohort_accent_C: accent of each cohort speaker; needed with `accent_N`.
        left_out_N: the cohort speaker who speaks in each embedding and must not count, -1 for none.

    Returns:
        Mean and deviation.

    Raises:
        ValueError: a cohort of fewer than two speakers, or accents of one side only.
    """
    if (accent_N is None) != (cohort_accent_C is None):
        raise ValueError("accents are needed of both the embeddings and the cohort, or of neither")
    score_NC = unit_length(embedding_NE) @ unit_length(cohort_CE).T
    if left_out_N is not None:
        own = np.flatnonzero(left_out_N >= 0)
        score_NC[own, left_out_N[own]] = -np.inf
    mean_N, std_N = np.empty(len(score_NC)), np.empty(len(score_NC))
    accents = np.zeros(len(score_NC), int) if accent_N is None else np.asarray(accent_N)
    cohort_accents = np.zeros(score_NC.shape[1], int) if cohort_accent_C is None else np.asarray(cohort_accent_C)
    for accent in np.unique(accents):
        rows, columns = np.flatnonzero(accents == accent), np.flatnonzero(cohort_accents == accent)
        if len(columns) < 2:
            raise ValueError(f"the cohort of {accent} has {len(columns)} speakers; at least 2 are needed")
        nearest = np.sort(score_NC[np.ix_(rows, columns)], axis=1)[:, -top:]
        nearest = np.ma.masked_invalid(nearest)
        mean_N[rows], std_N[rows] = nearest.mean(1), nearest.std(1)
    return CohortStatistics(mean_N, np.maximum(std_N, 1e-6))


def adaptive_s_norm(
    score_n: np.ndarray, enrol_n: np.ndarray, test_n: np.ndarray, enrol: CohortStatistics, test: CohortStatistics
) -> np.ndarray:
    """Normalise scores.

    Args:
        score_n: raw scores.
        enrol_n: row of each trial's first side in `enrol`.
        test_n: row of each trial's second side in `test`.
        enrol: cohort statistics of first sides.
        test: those of second sides.

    Returns:
        float64 [n].
    """
    first = (score_n - enrol.mean_N[enrol_n]) / enrol.std_N[enrol_n]
    second = (score_n - test.mean_N[test_n]) / test.std_N[test_n]
    return np.asarray((first + second) / 2)
