"""What a backend measures of one recording: the contract that the two backends share.  Cost: none.

Shape legend: T frames of 10 ms, D columns of the schema.
"""

from dataclasses import dataclass
from typing import Protocol

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
    """The frames of a whole recording, and what the values of the utterance need besides them."""

    frames_TD: np.ndarray
    """float64, columns in the schema's order, frames of the whole recording; NaN where undefined."""
    smooth_intensity_T: np.ndarray
    """Intensity of the whole recording in dB through a window of 128 ms: what syllables and pauses are found in."""
    voice_report: dict[str, float]
    """A value for each of `VOICE_REPORT_COLUMNS`, over the kept region; NaN where undefined."""


class Backend(Protocol):
    """Computes all columns of a recording: `analyse` of `accent.features.kernels.backend`, and of the reference."""

    def __call__(self, speech: Speech, config: FeatureConfig, sex: str | None = None) -> Analysis:
        """Compute all columns of all frames of a recording.

        Args:
            speech: the prepared recording.
            config: the settings of the analyses.
            sex: "male" or "female" where known; decides the formant ceiling if the configuration has one for men.

        Returns:
            The frames of the whole recording and the voice report of its kept region.
        """
        ...
