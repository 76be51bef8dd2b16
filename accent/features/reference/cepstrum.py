"""Cepstral peak prominence by Praat, on our grid.

Cost: 8 ms a second of sound for the frames' values, 13 for the smoothed cepstral peak prominence (CPPS).

Shape legend: N samples at 16 kHz, T frames of 10 ms.
"""

import math

import numpy as np
import parselmouth
from parselmouth.praat import call

from accent.audio.prepare import Speech
from accent.dsp.resample import brick_wall_resample
from accent.dsp.silence import without_sound
from accent.features.config import FeatureConfig
from accent.features.reference.padding import padded_sound
from accent.grid import FRAMES_PER_SECOND

TIME_STEP = 1 / FRAMES_PER_SECOND
CEPSTRUM_RATE = 10_000
"""Hz; twice the highest frequency that the cepstrum sees (Praat's default of 5 kHz)."""
CEPSTRUM_PERIODS = 6
"""Periods of the cepstral floor in Praat's window."""
CEPSTRUM_PRE_EMPHASIS_HZ = 50
"""Praat's default."""
PEAK_TOLERANCE = 0.05
"""Praat's default (tolerance 0..1); it decides about rahmonics, not about the prominence."""


def power_cepstrogram(
    unfiltered_N: np.ndarray, config: FeatureConfig, first_frame: int = 0, n_frames: int | None = None
) -> parselmouth.Data:
    """Return Praat's PowerCepstrogram with one column for each frame of the grid, or of a part of it.

    Args:
        unfiltered_N: sound at 16 kHz, neither filtered nor normalised.
        config: `cpp_floor_hz` decides the window.
        first_frame: first frame wanted; its window sees the sound before it.
        n_frames: how many frames are wanted; all that follow if not given.

    Source: Praat manual, "Sound: To PowerCepstrogram...".
    """
    hop = CEPSTRUM_RATE // FRAMES_PER_SECOND
    window_seconds = CEPSTRUM_PERIODS / config.cpp_floor_hz
    resampled_N = brick_wall_resample(unfiltered_N, CEPSTRUM_RATE)
    sound, times_T = padded_sound(resampled_N, CEPSTRUM_RATE, hop, window_seconds, "odd")
    n_frames = len(times_T) - first_frame if n_frames is None else n_frames
    # What padding adds belongs to one frame; every further frame takes one hop.
    length = sound.n_samples - (len(times_T) - n_frames) * hop
    part = sound.values[0, first_frame * hop : first_frame * hop + length]
    return call(
        parselmouth.Sound(part, CEPSTRUM_RATE),
        "To PowerCepstrogram",
        config.cpp_floor_hz,
        TIME_STEP,
        CEPSTRUM_RATE / 2,
        CEPSTRUM_PRE_EMPHASIS_HZ,
    )


def cepstral_peak_prominence(unfiltered_N: np.ndarray, config: FeatureConfig) -> np.ndarray:
    """Measure the cepstral peak prominence of each frame in dB, `[T]`, NaN in digital silence.

    The height of the highest peak of the power cepstrum between 1 / ceiling and 1 / floor (parabolic interpolation)
    above a straight line fitted robustly between the two trend quefrencies.

    Source: Hillenbrand, Cleveland & Erickson (1994), Acoustic correlates of breathy vocal quality; Praat manual,
    "PowerCepstrum: Get peak prominence...".
    """
    table = call(
        power_cepstrogram(unfiltered_N, config),
        "To Table (peak prominence)",
        *_peak_and_trend(config),
    )
    columns = [call(table, "Get column label", number + 1) for number in range(call(table, "Get number of columns"))]
    prominence_T = call(table, "Down to Matrix").values[:, columns.index("cpp")].copy()
    prominence_T[without_sound(unfiltered_N, CEPSTRUM_PERIODS / config.cpp_floor_hz)] = np.nan
    return prominence_T


def smoothed_cepstral_peak(speech: Speech, config: FeatureConfig) -> float:
    """Return the CPPS of the kept region in dB: the prominence of the peak of the smoothed cepstrum.

    It is NaN where every kept frame is digital silence: Praat would measure the resampler's rounding errors.
    """
    if without_sound(speech.unfiltered_N, CEPSTRUM_PERIODS / config.cpp_floor_hz)[speech.kept].all():
        return math.nan
    cepstrogram = power_cepstrogram(speech.unfiltered_N, config, speech.first_frame, speech.n_frames)
    return call(
        cepstrogram,
        "Get CPPS",
        "yes",  # subtract the trend before smoothing
        config.cpps_time_average_seconds,
        config.cpps_quefrency_average_seconds,
        *_peak_and_trend(config),
    )


def _peak_and_trend(config: FeatureConfig) -> tuple[float | str, ...]:
    """Return Praat's arguments for the search of the peak and for the trend line."""
    return (
        config.cpp_floor_hz,
        config.cpp_ceiling_hz,
        PEAK_TOLERANCE,
        "parabolic",
        config.cpp_trend_from_seconds,
        config.cpp_trend_to_seconds,
        "Straight",
        "Robust",
    )
