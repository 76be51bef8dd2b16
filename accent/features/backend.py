"""What a backend measures of one recording: the contract that the two backends share.  Cost: none.

Shape legend: T frames of 10 ms, D columns of the schema.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from accent.audio.prepare import Speech
from accent.features.config import FeatureConfig

VOICE_REPORT_COLUMNS: tuple[str, ...] = (
    "jitter_local",
    "jitter_rap",
    "jitter_ppq5",
    "shimmer_local",
    "shimmer_apq3",
    "shimmer_apq5",
    "hnr_mean_db",
    "cpps_db",
)
"""Praat's voice report of the kept region, and the smoothed cepstral peak prominence (CPPS).  Jitter and shimmer are
ratios: 0.01 is what Praat prints as 1 %."""


@dataclass(frozen=True)
class Analysis:
    """The frames of a whole recording, and what the values of the utterance need beside them."""

    frames_TD: np.ndarray
    """float64, columns in the schema's order, frames of the whole recording; NaN where undefined."""
    smooth_intensity_T: np.ndarray
    """Intensity of the whole recording in dB through a window of 128 ms: what syllables and pauses are found in."""
    voice_report: dict[str, float]
    """A value for each of `VOICE_REPORT_COLUMNS`, over the kept region; NaN where undefined."""


Backend = Callable[[Speech, FeatureConfig, str | None], Analysis]
"""`(speech, config, sex) -> analysis`; sex is "male", "female", or None where it is not known."""
