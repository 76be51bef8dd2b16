"""Harmonics-to-noise ratio by Praat, on our grid.

Cost: 32 ms a second of sound.

Shape legend: N samples at 16 kHz, T frames of 10 ms.
"""

import numpy as np

from accent.features.config import FeatureConfig
from accent.features.reference.padding import padded_sound
from accent.grid import FRAMES_PER_SECOND, HOP, SAMPLE_RATE

PRAAT_NO_HARMONICITY = -200.0
"""What Praat answers, in dB, for a frame without any periodicity."""


def harmonicity(unfiltered_N: np.ndarray, config: FeatureConfig) -> np.ndarray:
    """Measure the harmonics-to-noise ratio in dB, `[T]`, NaN where Praat finds no periodicity.

    Source: Boersma (1993); Praat manual, "Sound: To Harmonicity (ac)...".
    """
    window_seconds = 2 * config.hnr_periods_per_window / config.hnr_floor_hz
    sound, _ = padded_sound(unfiltered_N, SAMPLE_RATE, HOP, window_seconds, "even")
    harmonicity_T = sound.to_harmonicity_ac(
        time_step=1 / FRAMES_PER_SECOND,
        minimum_pitch=config.hnr_floor_hz,
        silence_threshold=config.hnr_silence_threshold,
        periods_per_window=config.hnr_periods_per_window,
    ).values[0]
    return np.where(harmonicity_T == PRAAT_NO_HARMONICITY, np.nan, harmonicity_T)
