"""Speakers of accents that were never trained on: are they told from speakers of known accents, and at which threshold?

Unknownness is read off the accent head (`accent.inference.calibration`). A threshold is fitted on the training
speakers: at most `FALSE_ALARMS` of them lie at or above it. A model knows them better than any others, so it calls
far more of the unseen speakers of known accents unknown; a second threshold is therefore fitted on the validation
speakers, where the run has some. Neither sees a tested speaker.

Shapes: N recordings, S speakers.  Cost: a sort.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from accent.grouped import Grouped
from accent.inference.calibration import unknownness
from accent.metrics import unknown_accent_auc, unknown_accent_curve
from launch.extraction.groups import EmbeddedSpeech

FALSE_ALARMS = 0.05
"""Share of the speakers (or their recordings) a threshold is fitted on that it may call unknown."""


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
    wholes = list(Grouped(found.speaker_N, found.sample_N).values())
    whole_S = unknownness(speech.embed_groups(wholes).logits_GA)
    return Unknownness(unknownness(found.logits_NA), found.speaker_N, whole_S)


def measure_unknown(
    fitted: Mapping[str, Unknownness], known: Unknownness, unknown: Unknownness, seed: int = 0
) -> dict[str, dict[str, Any]]:
    """Fit thresholds on groups of speakers of known accents, and measure them on others.

    Args:
        fitted: by name, the groups that a threshold is fitted on: training, validation.
        known: of unseen speakers of accents that were trained on.
        unknown: of speakers of other accents.
        seed: of the bootstrap.

    Returns:
        For "recordings" (one by one) and "speakers" (all recordings of each at once): "auroc", with its interval over
        speakers; "thresholds", for each group "threshold", "false_unknown", the share of the known called unknown at
        it, and "detected", the share of the unknown called so; and the curve, "false_unknown_curve", "detected_curve"
        and "threshold_curve" (its first threshold, which nothing reaches, is null).
    """
    known_S, unknown_S = np.unique(known.speaker_N), np.unique(unknown.speaker_N)
    return {
        "recordings": _measured(
            {name: one.recording_N for name, one in fitted.items()},
            known.recording_N,
            known.speaker_N,
            unknown.recording_N,
            unknown.speaker_N,
            seed,
        ),
        "speakers": _measured(
            {name: one.whole_S for name, one in fitted.items()},
            known.whole_S,
            known_S,
            unknown.whole_S,
            unknown_S,
            seed,
        ),
    }


def _measured(
    fitted: Mapping[str, np.ndarray],
    known_K: np.ndarray,
    known_speaker_K: np.ndarray,
    unknown_U: np.ndarray,
    unknown_speaker_U: np.ndarray,
    seed: int,
) -> dict[str, Any]:
    curve = unknown_accent_curve(known_K, unknown_U)
    return {
        "auroc": unknown_accent_auc(known_K, known_speaker_K, unknown_U, unknown_speaker_U, seed=seed).to_mapping(),
        "thresholds": {name: _rates(_threshold(values_M), known_K, unknown_U) for name, values_M in fitted.items()},
        "false_unknown_curve": curve.false_alarm_P.tolist(),
        "detected_curve": curve.detection_P.tolist(),
        "threshold_curve": [float(value) if np.isfinite(value) else None for value in curve.threshold_P],
    }


def _threshold(values_M: np.ndarray) -> float:
    # The next larger number after the quantile's own value: at most so many lie at or above it.
    return float(np.nextafter(np.quantile(values_M, 1 - FALSE_ALARMS, method="higher"), np.inf))


def _rates(threshold: float, known_K: np.ndarray, unknown_U: np.ndarray) -> dict[str, float]:
    return {
        "threshold": threshold,
        "false_unknown": float((known_K >= threshold).mean()),
        "detected": float((unknown_U >= threshold).mean()),
    }
