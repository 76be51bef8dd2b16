"""The definitions of the measures: the numbers that both backends share.  Cost: none.

Shape legend: T frames of 10 ms.
"""

import numpy as np

from accent.features.config import FeatureConfig

N_FFT = 512
"""Points of the spectral families' Fourier transform."""
WINDOW = 400
"""Samples of their window, of zero crossings and of RMS: 25 ms."""
MEL_FROM_HZ = 80.0
MEL_TO_HZ = 7600.0
CONTRAST_FROM_HZ = 200.0
"""First edge of the contrast bands: 0-200, 200-400, ... 3200-6400 and 6400-8000 Hz."""
SILENT_DB = -100.0
"""RMS up to which a frame is digital silence (and where the decibels of librosa end): its spectrum has no shape."""

PITCH_PERIODS = 3
"""Periods of the floor in the pitch window."""
TWO_PASS_FLOOR = 0.75
TWO_PASS_CEILING = 1.5
INTENSITY_PERIODS = 6.4
"""Periods of the floor in the intensity window."""
SMOOTH_INTENSITY_FLOOR_HZ = 50.0
"""Pitch floor of the contour in which syllables are looked for: a window of 128 ms."""

N_FORMANTS = 4
"""Formants kept, the lowest of those looked for."""

SHORTEST_PERIOD = 0.8
"""Shortest period of the voice report, in periods of the pitch ceiling (found by experiment)."""
LONGEST_PERIOD = 1.25
"""Longest period of the voice report, in periods of the pitch floor (found by experiment)."""
PERFECT_CORRELATION = 1 - 1e-15
"""Autocorrelation that counts as 1, so that a synthetic tone has 150 dB and not infinity."""


def second_pass_range(f0_T: np.ndarray, config: FeatureConfig) -> tuple[float, float]:
    """Return floor and ceiling of the second pass of the pitch analysis in Hz.

    Args:
        f0_T: Hz, of the first pass; NaN where unvoiced.
        config: floor and ceiling of the first pass, which the second never exceeds.

    Source: Hirst (2011), The analysis by synthesis of speech melody: from data to models.
    """
    voiced = f0_T[np.isfinite(f0_T)]
    if len(voiced) == 0:
        return config.pitch_floor_hz, config.pitch_ceiling_hz
    lower, upper = np.quantile(voiced, [0.25, 0.75])
    return (
        float(max(config.pitch_floor_hz, TWO_PASS_FLOOR * lower)),
        float(min(config.pitch_ceiling_hz, TWO_PASS_CEILING * upper)),
    )


def mean_harmonicity(correlation_T: np.ndarray) -> float:
    """Return the mean harmonics-to-noise ratio in dB of the voiced frames: the voice report's, from the pitch analysis.

    Praat's own differs by some hundredths of a decibel where the region begins or ends within a voiced stretch.  The
    frame column `hnr_db` comes from an analysis of its own with a longer window and covers unvoiced frames too.

    Args:
        correlation_T: autocorrelation of the chosen candidate, 0 where unvoiced.

    Returns:
        NaN where no frame is voiced.

    Source: Boersma (1993), equation 4; Praat manual, "Voice 4. Additive noise".
    """
    voiced = correlation_T[correlation_T > 0]
    if len(voiced) == 0:
        return float("nan")
    harmonic = np.clip(voiced, 1 - PERFECT_CORRELATION, PERFECT_CORRELATION)
    return float(np.mean(10 * np.log10(harmonic / (1 - harmonic))))
