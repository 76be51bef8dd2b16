"""Normalised autocorrelation of windowed frames.

The autocorrelation of a windowed frame, divided by the autocorrelation of the window itself, estimates the
autocorrelation of the sound (Boersma 1993).  It comes from two Fourier transforms.

Cost of a frame of 640 samples: 0.1 us for the weighting, 0.8 us for the autocorrelation.

Shape legend: N samples of the sound, T frames of a block, G groups of 8 frames, W samples of a window, S points of a
transform, L lags with the mirrored ones in front.
"""

import math

import numpy as np

from accent.dsp.compile import kernel
from accent.dsp.lanes import LANES, load, load_rows, store, store_rows, transposed
from accent.dsp.maxima import DEEPEST
from accent.dsp.real_fourier import autocorrelations, points_for
from accent.grid import HOP, SAMPLE_RATE

LEAST_POWER = 1e-280
"""Frames of less power count as zeros: their products underflow."""


@kernel(reorder=True)
def weigh_frames(
    samples_N: np.ndarray, centre_T: np.ndarray, window_W: np.ndarray, mean_reach: int, frames_TS: np.ndarray
) -> None:
    """Cut frames out of a sound, take their mean away and weigh them.

    Args:
        samples_N: the sound, float64; beyond its ends there is silence.
        centre_T: int64, the sample just behind the middle of each frame: window_W[W // 2] falls on it.
        window_W: weights.
        mean_reach: the mean is that of so many samples before and after the middle.
        frames_TS: the weighted frames are written here, zeros behind sample W.

    Source: Boersma (1993), subtraction of the local mean and windowing.  Cost: 0.1 us a frame of 640 samples.
    """
    n_samples, width = len(samples_N), len(window_W)
    for frame in range(len(centre_T)):
        centre = centre_T[frame]
        middle = samples_N[max(0, centre - mean_reach) : max(0, min(n_samples, centre + mean_reach))]
        total = 0.0
        for at in range(len(middle)):
            total += middle[at]
        mean = total / (2 * mean_reach)
        start = centre - width // 2
        first = min(max(0, -start), width)
        last = max(first, min(width, n_samples - start))
        row = frames_TS[frame]
        inside, weights, weighted = samples_N[start + first : start + last], window_W[first:last], row[first:last]
        for at in range(len(weighted)):
            weighted[at] = (inside[at] - mean) * weights[at]
        for at in range(first):
            row[at] = -mean * window_W[at]
        for at in range(last, width):
            row[at] = -mean * window_W[at]
        row[width:] = 0.0


@kernel
def peaks_near_centre(frames_TS: np.ndarray, width: int, reach: int) -> np.ndarray:
    """Return the largest absolute value within `reach` samples of the middle of each weighted frame, `[T]`.

    Args:
        frames_TS: weighted frames of `weigh_frames`.
        width: samples of the window.
        reach: samples before and after the middle.

    Source: Boersma (1993), the local absolute peak.  Cost: 0.1 us a frame.
    """
    peak_T = np.zeros(len(frames_TS))
    for frame in range(len(frames_TS)):
        peak = 0.0
        for at in range(max(0, width // 2 - reach), min(width, width // 2 + reach)):
            peak = max(peak, abs(frames_TS[frame, at]))
        peak_T[frame] = peak
    return peak_T


def fft_size(width: int, highest_lag: int) -> int:
    """Return the points of a transform in which lags up to `highest_lag` of `width` samples do not wrap round."""
    return points_for(width + highest_lag)


def inverse_window_correlation(window_W: np.ndarray, highest_lag: int) -> np.ndarray:
    """Return `[highest_lag + 1]`: what the autocorrelation r(lag) / r(0) of a weighted frame is multiplied by."""
    frame_S = np.zeros(fft_size(len(window_W), highest_lag))
    frame_S[: len(window_W)] = window_W
    correlation = autocorrelations(frame_S[None], highest_lag + 1)[0, : highest_lag + 1, 0]
    return correlation[0] / correlation


def normalised_autocorrelation(frames_TS: np.ndarray, inverse_window: np.ndarray) -> np.ndarray:
    """Return the autocorrelation of the sound in each frame, mirrored at lag 0.

    Args:
        frames_TS: weighted frames, each padded with zeros to the length that `fft_size` gives, a power of two.
        inverse_window: of `inverse_window_correlation`; its length decides how many lags there are.

    Returns:
        `[T, DEEPEST + highest_lag + 1 + DEEPEST]`: the lag is the column less DEEPEST; 1 at lag 0, zeros beyond the
        highest lag.  A frame of zeros has zeros.

    Source: Boersma (1993), r(lag) of the windowed frame over that of the window.  Cost: 0.8 us a frame with transforms
    of 1024 points.
    """
    return _normalise(autocorrelations(frames_TS, len(inverse_window)), inverse_window)[: len(frames_TS)]


@kernel
def _normalise(correlation_GL8: np.ndarray, inverse_window: np.ndarray) -> np.ndarray:
    """Divide by the value at lag 0 and by the window's autocorrelation, mirror, and make each frame a row, `[T, L]`.

    The autocorrelations given are overwritten.  Cost: 0.1 us a frame.
    """
    n_groups, whole, _ = correlation_GL8.shape
    n_lags = len(inverse_window)
    length = 2 * DEEPEST + n_lags
    result_TL = np.empty((n_groups * LANES, length))
    scales = np.empty(LANES)
    for group in range(n_groups):
        for lane in range(LANES):
            power = correlation_GL8[group, 0, lane]
            scales[lane] = 1 / power if power > LEAST_POWER else 0.0
        scale = load(scales, 0)
        lag_zero = group * whole * LANES
        for lag in range(n_lags):
            at = lag_zero + lag * LANES
            store(correlation_GL8, at, load(correlation_GL8, at) * scale * inverse_window[lag])
        row_zero = group * LANES * length + DEEPEST
        for lag in range(0, whole, LANES):
            rows = load_rows(correlation_GL8, lag_zero + lag * LANES, LANES)
            store_rows(result_TL, row_zero + lag, length, transposed(rows))
        for frame in range(group * LANES, (group + 1) * LANES):
            row = result_TL[frame]
            row[DEEPEST + n_lags :] = 0.0
            row[:DEEPEST] = 0.0
            for lag in range(1, min(DEEPEST, n_lags - 1) + 1):
                row[DEEPEST - lag] = row[DEEPEST + lag]
    return result_TL


def global_peak(samples_N: np.ndarray, window_seconds: float) -> float:
    """Return the largest distance from the mean, of the sound with the silence on either side that its frames reach.

    Args:
        samples_N: sound at 16 kHz.
        window_seconds: length of the frames.
    """
    silence = 2 * (math.ceil(window_seconds / 2 * SAMPLE_RATE) + HOP // 4)
    mean = samples_N.sum() / (len(samples_N) // HOP * HOP + silence)
    return float(max(samples_N.max(initial=0.0) - mean, mean - samples_N.min(initial=0.0)))
