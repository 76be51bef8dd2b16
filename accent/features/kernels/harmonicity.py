"""Harmonics-to-noise ratio of frames of 120 ms (Boersma 1993).

A frame is weighed by a Gaussian; the highest maximum r of its normalised autocorrelation is the share of the power
that repeats, and the ratio is 10 log10(r / (1 - r)) dB.  Quiet frames are undefined whatever their autocorrelation,
which is therefore not computed: about 40 % of the frames of read speech.

Interpolation between lags reads 70 of them on either side, Praat more than 200.  On speech that is 0.0002 dB (99th
percentile); on white noise, whose autocorrelation turns from lag to lag, 0.02 dB (median); and above 60 dB, where
1 - r is less than a millionth, the two may differ by tens of decibels.

Cost: 0.2 ms a second of speech, half of it Fourier transforms.

Shape legend: N samples at 16 kHz, T frames of 10 ms, V frames loud enough, W samples of a window, S points of a
transform, L lags with the mirrored ones in front, P phases, D depths of interpolation.
"""

import functools

import numpy as np

from accent.dsp.compile import kernel
from accent.dsp.maxima import (
    DEEPEST,
    SLACK,
    highest_rise,
    interpolation_weights,
    positive_maxima,
    refined_maximum,
)
from accent.dsp.real_fourier import points_for
from accent.dsp.windows import gaussian_window
from accent.features.config import FeatureConfig
from accent.features.definitions import PERFECT_CORRELATION
from accent.features.kernels.autocorrelation import (
    global_peak,
    inverse_window_correlation,
    normalised_autocorrelation,
    weigh_frames,
)
from accent.grid import HOP, SAMPLE_RATE

BLOCK = 32
"""Frames worked on at a time, so that they stay in the cache."""
SHORTEST_LAG = 2
"""The shortest period looked for, in samples: that of the Nyquist frequency."""


def harmonicity(unfiltered_N: np.ndarray, config: FeatureConfig, peak_elsewhere: float = 0.0) -> np.ndarray:
    """Measure the harmonics-to-noise ratio in dB, `[T]`, NaN where nothing repeats or the sound is too quiet.

    Args:
        unfiltered_N: sound at 16 kHz, neither filtered nor normalised.
        config: lowest F0, periods of it in a window, and the silence threshold.
        peak_elsewhere: of a part of a recording, the largest magnitude in the rest of it.

    Source: Boersma (1993); Praat manual, "Sound: To Harmonicity (ac)...".
    """
    samples_N = np.ascontiguousarray(unfiltered_N, dtype=np.float64)
    window_seconds = 2 * config.hnr_periods_per_window / config.hnr_floor_hz
    centre_T = np.arange(len(samples_N) // HOP + 1, dtype=np.int64) * HOP
    harmonicity_T = np.full(len(centre_T), np.nan)

    longest_period = int(SAMPLE_RATE / config.hnr_floor_hz)
    window_W, inverse_window, weights_DPL, highest_lag, last_lag = _tables(
        window_seconds, config.hnr_periods_per_window
    )
    width = len(window_W)

    share_T = local_peaks(samples_N, centre_T, window_W, longest_period, longest_period // 2 + 1)
    share_T /= max(global_peak(samples_N, window_seconds), peak_elsewhere, np.finfo(np.float64).tiny)
    least_T = _least_correlation(share_T, config.hnr_silence_threshold)
    loud_V = np.flatnonzero(least_T < 1)
    frames_VS = np.empty((BLOCK, _fft_size(width, len(inverse_window))))
    for start in range(0, len(loud_V), BLOCK):
        loud = loud_V[start : start + BLOCK]
        block_VS = frames_VS[: len(loud)]
        weigh_frames(samples_N, centre_T[loud], window_W, longest_period, block_VS)
        correlation_VL = normalised_autocorrelation(block_VS, inverse_window)
        strongest_V = strongest_repetition(
            correlation_VL, least_T[loud], inverse_window, highest_lag, last_lag, weights_DPL
        )
        harmonicity_T[loud] = decibels(strongest_V, least_T[loud])
    return harmonicity_T


@functools.lru_cache(maxsize=8)
def _tables(window_seconds: float, periods_per_window: float) -> tuple[np.ndarray, np.ndarray, np.ndarray, int, int]:
    """Return the window, what its autocorrelation does, the weights of the interpolation, and two lags.

    They are the longest one looked for and the last one that interpolation may read.
    """
    # These lengths are Praat's, found by experiment.  Two samples are missing, which would weigh nothing.
    width = 2 * (int(window_seconds * SAMPLE_RATE) // 2 - 1)
    last_lag = width // 4
    highest_lag = min(int(width / (2 * periods_per_window)) + 1, last_lag - 2)
    window_W = gaussian_window(width)
    inverse_window = inverse_window_correlation(window_W, min(highest_lag + 1 + DEEPEST, last_lag))
    weights_DPL = interpolation_weights(min(DEEPEST, last_lag - highest_lag - 1))
    return window_W, inverse_window, weights_DPL, highest_lag, last_lag


def decibels(correlation_T: np.ndarray, least_T: np.ndarray) -> np.ndarray:
    """Turn the share of the power that repeats into a harmonics-to-noise ratio in dB.

    Args:
        correlation_T: 0..1.
        least_T: the correlation that a frame must exceed to be defined.

    Returns:
        `[T]`, between -150 and 150 dB; NaN where undefined.

    Source: Boersma (1993), equation 4.
    """
    harmonic_T = np.clip(correlation_T, 1 - PERFECT_CORRELATION, PERFECT_CORRELATION)
    return np.where(correlation_T > least_T, 10 * np.log10(harmonic_T / (1 - harmonic_T)), np.nan)


@kernel
def local_peaks(
    samples_N: np.ndarray, centre_T: np.ndarray, window_W: np.ndarray, mean_reach: int, peak_reach: int
) -> np.ndarray:
    """Return the largest absolute value about the middle of each frame, without its mean, weighed: `[T]`.

    Args:
        samples_N: the sound, float64; beyond its ends there is silence.
        centre_T: int64, the sample just behind the middle of each frame.
        window_W: weights.
        mean_reach: the mean is that of so many samples before and after the middle.
        peak_reach: the peak is looked for in so many samples before and after the middle.

    Source: Boersma (1993), section 3.2, step 3.3.  Cost: 0.4 us a frame.
    """
    n_samples, width = len(samples_N), len(window_W)
    reach = min(peak_reach, width // 2)
    peak_T = np.zeros(len(centre_T))
    for frame in range(len(centre_T)):
        centre = centre_T[frame]
        total = 0.0
        for sample in range(max(0, centre - mean_reach), min(n_samples, centre + mean_reach)):
            total += samples_N[sample]
        mean = total / (2 * mean_reach)
        peak = 0.0
        for offset in range(-reach, reach):
            sample = centre + offset
            value = samples_N[sample] if 0 <= sample < n_samples else 0.0
            peak = max(peak, abs(value - mean) * window_W[width // 2 + offset])
        peak_T[frame] = peak
    return peak_T


@kernel
def strongest_repetition(
    correlation_TL: np.ndarray,
    least_T: np.ndarray,
    inverse_window: np.ndarray,
    highest_lag: int,
    last_lag: int,
    weights_DPL: np.ndarray,
) -> np.ndarray:
    """Return the height of the highest maximum of each frame's autocorrelation, `[T]`.

    Maxima that cannot matter, since the autocorrelation does not rise enough between two lags, are not interpolated.

    Args:
        correlation_TL: of `normalised_autocorrelation`.
        least_T: correlation below which a frame's height does not matter.
        inverse_window: of `inverse_window_correlation`.
        highest_lag: longest period looked for, in samples.
        last_lag: last lag that interpolation may read.
        weights_DPL: of `interpolation_weights`.

    Returns:
        `[T]`; 0 where there is no maximum, or none that may exceed `least_T`.

    Source: Boersma (1993), section 3.2, step 3.10.  Cost: 0.6 us a frame.
    """
    strongest_T = np.zeros(len(correlation_TL))
    lag_K = np.empty(max(highest_lag - SHORTEST_LAG + 1, 0), dtype=np.int64)
    for frame in range(len(correlation_TL)):
        correlation_L = correlation_TL[frame]
        rise = highest_rise(correlation_L, inverse_window)
        strongest = least_T[frame]
        n_maxima = positive_maxima(correlation_L, SHORTEST_LAG, highest_lag, lag_K)
        if n_maxima == 0:
            continue
        # The highest whole lag comes first: then hardly any other may still be higher.
        first = 0
        for number in range(1, n_maxima):
            if correlation_L[DEEPEST + lag_K[number]] > correlation_L[DEEPEST + lag_K[first]]:
                first = number
        for turn in range(-1, n_maxima):
            lag = lag_K[first if turn < 0 else turn]
            bound = correlation_L[DEEPEST + lag] + rise * inverse_window[lag] + SLACK
            if turn == first or bound <= strongest:
                continue
            _, height = refined_maximum(correlation_L, lag, last_lag, weights_DPL)
            # A height above 1 comes of a sound that swells within the frame: it is as far from 1 as one below.
            height = min(height, 1 / height)
            if height > strongest:
                strongest = strongest_T[frame] = height
    return strongest_T


def _least_correlation(share_T: np.ndarray, silence_threshold: float) -> np.ndarray:
    """Return the correlation below which a frame is undefined, by its peak as a share of the global peak.

    Source: Boersma (1993), equation 23, for a voicing threshold of 0.
    """
    if silence_threshold == 0:
        return np.zeros(len(share_T))
    return np.maximum(0, 2 - share_T / silence_threshold)


def _fft_size(width: int, n_lags: int) -> int:
    """Return the points of the Fourier transform of a weighted frame.

    The longest lags may wrap round by a twelfth of the window.  Only samples of its two ends meet there, whose product
    weighs less than 1e-9.
    """
    return points_for(width + max(0, n_lags - width // 12))
