"""Speakers of accents that a model never learnt: can a threshold on its confidence tell them apart?

Shapes: K utterances of known accents, U of unknown ones, P points of the curve.  Cost: a sort.
"""

from typing import NamedTuple

import numpy as np
from sklearn.metrics import roc_auc_score, roc_curve

from accent.metrics.estimate import (
    RESAMPLES,
    Estimate,
    percentile_interval,
    speaker_draws,
    undefined,
    why_no_interval,
)


class OpenSetCurve(NamedTuple):
    """The trade between false alarms and detections of unknown accents."""

    false_alarm_P: np.ndarray
    """Share of known accents called unknown."""
    detection_P: np.ndarray
    """Share of unknown accents called unknown."""
    threshold_P: np.ndarray
    """An unknownness at or above it is called unknown."""


def unknown_accent_curve(known_K: np.ndarray, unknown_U: np.ndarray) -> OpenSetCurve:
    """Return the ROC of detecting unknown accents.

    Args:
        known_K: unknownness of utterances (or speakers) of known accents.
        unknown_U: that of unknown accents.

    Returns:
        The curve from (0, 0) to (1, 1).
    """
    is_unknown = np.repeat([False, True], [len(known_K), len(unknown_U)])
    return OpenSetCurve(*roc_curve(is_unknown, np.concatenate([known_K, unknown_U])))


def unknown_accent_auc(
    known_K: np.ndarray,
    known_speaker_K: np.ndarray,
    unknown_U: np.ndarray,
    unknown_speaker_U: np.ndarray,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Estimate:
    """Return the area under the ROC: how often an unknown accent looks less known than a known one.

    Args:
        known_K: unknownness of utterances (or speakers) of known accents.
        known_speaker_K: their speakers.
        unknown_U: unknownness of utterances of unknown accents.
        unknown_speaker_U: their speakers.
        resamples: bootstrap draws of speakers, of known and unknown accents apart.
        seed: of the draws.

    Returns:
        1 for perfect detection; chance is 0.5.
    """
    if not len(known_K) or not len(unknown_U):
        return undefined("nobody speaks " + ("a known" if not len(known_K) else "an unknown") + " accent", 0.5)
    is_unknown = np.repeat([False, True], [len(known_K), len(unknown_U)])
    value = roc_auc_score(is_unknown, np.concatenate([known_K, unknown_U]))
    # The area is a mean over pairs, so speakers drawn again only weigh the table of their pairs of speakers.
    known_names, known_position = np.unique(known_speaker_K, return_inverse=True)
    unknown_names, unknown_position = np.unique(unknown_speaker_U, return_inverse=True)
    wins_KU = np.where(unknown_U > known_K[:, None], 1.0, np.where(unknown_U == known_K[:, None], 0.5, 0.0))
    known_SK, unknown_TU = np.eye(len(known_names))[:, known_position], np.eye(len(unknown_names))[:, unknown_position]
    wins_ST = known_SK @ wins_KU @ unknown_TU.T
    pairs_ST = np.outer(known_SK.sum(1), unknown_TU.sum(1))
    interval = None
    if min(wins_ST.shape) > 1:
        known_RS = speaker_draws(len(known_names), resamples, seed)
        unknown_RT = speaker_draws(len(unknown_names), resamples, seed + 1)
        won_R = np.einsum("rs,st,rt->r", known_RS, wins_ST, unknown_RT, optimize=True)
        interval = percentile_interval(won_R / np.einsum("rs,st,rt->r", known_RS, pairs_ST, unknown_RT, optimize=True))
    return Estimate(
        float(value),
        interval,
        chance=0.5,
        basis=f"{len(known_names)} speakers of known accents, {len(unknown_names)} of unknown ones",
        reason=None if interval else why_no_interval(min(wins_ST.shape)),
    )
