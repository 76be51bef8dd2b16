"""Speakers of accents that were never trained on: are they told from speakers of known accents, and at which threshold?

Unknownness is read off the accent head (`accent.metrics.unknownness`).  The threshold is fitted on the training
speakers alone: at most `FALSE_ALARMS` of them lie at or above it.  A model knows its training speakers better than any
others, so among unseen speakers of known accents the share called unknown is higher than that; it is reported.

Shapes: N recordings, S speakers.  Cost: a sort.
"""

from typing import Any, NamedTuple

import numpy as np

from accent.metrics import unknown_accent_auc, unknown_accent_curve, unknownness
from launch.extraction.groups import EmbeddedSpeech

FALSE_ALARMS = 0.05
"""Share of the training speakers (or their recordings) that the threshold calls unknown."""


class Unknownness(NamedTuple):
    """How little a model recognises a group of speakers."""

    recording_N: np.ndarray
    """Of each recording by itself."""
    speaker_N: np.ndarray
    """int64: the speaker of each recording."""
    whole_S: np.ndarray
    """Of all recordings of a speaker at once; speakers in the order of their numbers."""


def unknownness_of(speech: EmbeddedSpeech) -> Unknownness:
    """Return the unknownness of embedded recordings and of their speakers."""
    found = speech.utterances
    wholes = [found.sample_N[found.speaker_N == speaker] for speaker in np.unique(found.speaker_N)]
    whole_S = unknownness(speech.embed_groups(wholes).logits_GA)
    return Unknownness(unknownness(found.logits_NA), found.speaker_N, whole_S)


def measure_unknown(
    training: Unknownness, known: Unknownness, unknown: Unknownness, seed: int = 0
) -> dict[str, dict[str, Any]]:
    """Fit a threshold on the training speakers, and measure it on others.

    Args:
        training: of the training speakers.
        known: of unseen speakers of accents that were trained on.
        unknown: of speakers of other accents.
        seed: of the bootstrap.

    Returns:
        For "recordings" (one by one) and "speakers" (all recordings of each at once): "auroc", with its interval over
        speakers; "threshold"; "false_unknown", the share of the known called unknown at it; "detected", the share of
        the unknown called so; and the curve, "false_unknown_curve", "detected_curve" and "threshold_curve" (its first
        threshold, which nothing reaches, is null).
    """
    known_S, unknown_S = np.unique(known.speaker_N), np.unique(unknown.speaker_N)
    return {
        "recordings": _measured(
            training.recording_N, known.recording_N, known.speaker_N, unknown.recording_N, unknown.speaker_N, seed
        ),
        "speakers": _measured(training.whole_S, known.whole_S, known_S, unknown.whole_S, unknown_S, seed),
    }


def _measured(
    training_M: np.ndarray,
    known_K: np.ndarray,
    known_speaker_K: np.ndarray,
    unknown_U: np.ndarray,
    unknown_speaker_U: np.ndarray,
    seed: int,
) -> dict[str, Any]:
    # The next larger number after the quantile's own value: at most so many lie at or above it.
    threshold = float(np.nextafter(np.quantile(training_M, 1 - FALSE_ALARMS, method="higher"), np.inf))
    curve = unknown_accent_curve(known_K, unknown_U)
    return {
        "auroc": unknown_accent_auc(known_K, known_speaker_K, unknown_U, unknown_speaker_U, seed=seed).to_mapping(),
        "threshold": threshold,
        "false_unknown": float((known_K >= threshold).mean()),
        "detected": float((unknown_U >= threshold).mean()),
        "false_unknown_curve": curve.false_alarm_P.tolist(),
        "detected_curve": curve.detection_P.tolist(),
        "threshold_curve": [float(value) if np.isfinite(value) else None for value in curve.threshold_P],
    }
