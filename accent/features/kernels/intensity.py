"""Intensity in decibels, through a Kaiser window whose sidelobes lie below -190 dB.

The power about a frame's centre is a weighted mean of the squared distance from the plain mean of the same samples; it
is worked out at frame centres only.

Cost: 0.02 ms a second of sound each.

Shape legend: N samples at 16 kHz, T frames of 10 ms, W samples of a window.
"""

import functools

import numpy as np

from accent.dsp.compile import kernel
from accent.dsp.silence import without_sound
from accent.features.config import FeatureConfig
from accent.features.definitions import INTENSITY_PERIODS, SMOOTH_INTENSITY_FLOOR_HZ
from accent.grid import HOP, SAMPLE_RATE

KAISER_SHAPE = 2 * np.pi**2 + 0.5
"""Shape of the Kaiser window ("Kaiser-20"), fitted to Praat's values: they agree within 2e-7 dB."""
REFERENCE_POWER = 4e-10
"""Square of 20 micropascal: 0 dB."""
SILENCE_DB = -300.0
"""Praat's lowest intensity."""


def intensity(unfiltered_N: np.ndarray, config: FeatureConfig) -> np.ndarray:
    """Measure intensity.

    Args:
        unfiltered_N: sound at 16 kHz, neither filtered nor normalised.
        config: `config.pitch_floor_hz` decides the window: 6.4 periods.

    Returns:
        `[T]` dB relative to 2e-5 (full scale is 1), NaN in digital silence.

    Source: Praat manual, "Sound: To Intensity...", with the mean subtracted.
    """
    intensity_T = _intensity(unfiltered_N, config.pitch_floor_hz)
    intensity_T[without_sound(unfiltered_N, INTENSITY_PERIODS / config.pitch_floor_hz)] = np.nan
    return intensity_T


def smooth_intensity(unfiltered_N: np.ndarray) -> np.ndarray:
    """Return the intensity of a recording in dB, `[T]`, through a window of 128 ms; -300 in digital silence."""
    return _intensity(unfiltered_N, SMOOTH_INTENSITY_FLOOR_HZ)


def _intensity(unfiltered_N: np.ndarray, floor_hz: float) -> np.ndarray:
    window_W = kaiser_window(INTENSITY_PERIODS / floor_hz)
    reach = len(window_W) // 2
    # The last frame may be centred just behind the last sample.
    padded_N = np.zeros(len(unfiltered_N) + 2 * reach + 1)
    padded_N[reach : reach + len(unfiltered_N)] = unfiltered_N
    power_T = weighted_power(padded_N, np.arange(len(unfiltered_N) // HOP + 1) * HOP, window_W)
    with np.errstate(divide="ignore"):
        return np.maximum(10 * np.log10(power_T / REFERENCE_POWER), SILENCE_DB)


@functools.lru_cache(maxsize=8)
def kaiser_window(seconds: float) -> np.ndarray:
    """Return the Kaiser window of a physical length, `[W]`, W odd, of sum 1.

    Source: Praat manual, "Sound: To Intensity...".
    """
    reach = int(0.5 * seconds * SAMPLE_RATE)
    place_W = np.arange(-reach, reach + 1) / (0.5 * seconds * SAMPLE_RATE)
    window_W = np.i0(KAISER_SHAPE * np.sqrt(1 - place_W**2))
    return window_W / window_W.sum()


@kernel(reorder=True)
def weighted_power(samples_N: np.ndarray, first_T: np.ndarray, window_W: np.ndarray) -> np.ndarray:
    """Return the weighted power of each frame about the frame's plain mean, `[T]`.

    Args:
        samples_N: the sound, float64.
        first_T: int64, the first sample of each frame; all W of them must exist.
        window_W: weights of sum 1.

    Source: Praat manual, "Sound: To Intensity...".  Cost: 0.1 us a frame of 1365 samples.
    """
    width = len(window_W)
    power_T = np.empty(len(first_T))
    for frame in range(len(first_T)):
        frame_W = samples_N[first_T[frame] : first_T[frame] + width]
        # Distances from one of the samples: then an offset, however large, costs no digits, and a constant is 0.
        origin = frame_W[width // 2]
        total = weighted = weighted_square = 0.0
        for at in range(width):
            distance = frame_W[at] - origin
            total += distance
            weighted += window_W[at] * distance
            weighted_square += window_W[at] * distance * distance
        mean = total / width
        # Rounding must not make it negative.
        power_T[frame] = max(weighted_square - mean * (2 * weighted - mean), 0.0)
    return power_T
