"""Cepstral peak prominence of each frame, and the smoothed one (CPPS) of the kept region, from one power cepstrogram.

A voice's harmonics are a ripple in the logarithmic spectrum, hence a peak of the cepstrum at its period; how far the
peak stands out of the rest, which a straight line models, tells how periodic the voice is.  For CPPS the line is taken
away first, and the cepstrogram is averaged over time and quefrency.

What the manual leaves open (how ranges are rounded, what a peak at an end is worth, what is left of a cepstrum below
its line) was found by experiments with Praat.  Logarithms are natural ones until the end: fits, peaks and prominences
in dB are theirs times 10 / ln 10.

Cost: 1.0 ms a second of sound.

Shape legend: T frames of 10 ms, B frames of a block, W samples of a window, Q quefrencies of 0.1 ms, P pairs of points
(half of the line's), K taps of an average.
"""

import functools
import math

import numpy as np

from accent.dsp.averaging import averaging_weights
from accent.dsp.compile import kernel
from accent.dsp.resample import brick_wall_resample
from accent.dsp.robust_line import robust_line
from accent.dsp.silence import without_sound
from accent.dsp.windows import gaussian_window
from accent.features.config import FeatureConfig
from accent.features.kernels.cepstrogram import (
    PERIODS_IN_WINDOW,
    RATE,
    STEP,
    CepstrumSizes,
    emphasised_with_room,
    power_cepstra,
)
from accent.grid import FRAMES_PER_SECOND

DB = 10 / math.log(10)
STRIDE = 16
"""Quefrencies over which the trend line's power is followed by a table of its powers."""
FRAMES_IN_BLOCK = 64
"""Frames worked on together: half a megabyte an array.  The values do not depend on it."""


@kernel
def highest_peak(values_Q: np.ndarray, shortest: float, longest: float) -> tuple[float, float]:
    """Find the highest peak between two quefrencies, by parabolic interpolation of all local maxima.

    The two outermost values in the range compete as they are, so that a slope towards an end has a peak there.  A
    parabola may culminate outside the range: its height counts, at the end of the range.

    Args:
        values_Q: logarithmic cepstrum.
        shortest: lowest quefrency in samples, above 0.
        longest: highest quefrency in samples, at most Q - 2.

    Returns:
        Quefrency in samples, and height.

    Source: Praat manual, "PowerCepstrum: Get peak prominence..."; the ends by experiment.

    Cost: 0.2 us for 140 quefrencies.
    """
    first, last = math.ceil(shortest), math.floor(longest)
    height, place = values_Q[first], float(first)
    if values_Q[last] > height:
        height, place = values_Q[last], float(last)
    # First the tops of all, without branches and several at a time; then the comparisons, which seldom succeed.
    top_L = np.empty(last - first + 1)
    tops_of_maxima(values_Q[first - 1 : last + 2], top_L)
    best = -1
    for at in range(len(top_L)):
        if top_L[at] > height:
            height, best = top_L[at], at
    if best >= 0:
        left, middle, right = values_Q[first + best - 1], values_Q[first + best], values_Q[first + best + 1]
        place = first + best + 0.5 * (right - left) / (2 * middle - left - right)
    return min(max(place, shortest), longest), height


@kernel
def tops_of_maxima(values_M: np.ndarray, top_L: np.ndarray) -> None:
    """Interpolate each local maximum by a parabola: its height, and minus infinity where there is none.

    Args:
        values_M: values, one more at either end than there are places to look at.
        top_L: filled, `[M - 2]`.

    Cost: 0.5 ns a value.
    """
    for at in range(len(top_L)):
        left, middle, right = values_M[at], values_M[at + 1], values_M[at + 2]
        top = middle + 0.125 * (right - left) * (right - left) / (2 * middle - left - right)
        top_L[at] = top if (middle > left) & (middle >= right) else -np.inf


@kernel
def lines_and_prominences(
    log_cepstra_BQ: np.ndarray, shortest: float, longest: float, trend_from: int, trend_to: int
) -> tuple[np.ndarray, np.ndarray]:
    """Fit the trend line of each cepstrum and measure how far its highest peak stands out of it.

    Args:
        log_cepstra_BQ: natural logarithms of power cepstra.
        shortest: lowest quefrency of the peak in samples.
        longest: highest quefrency of the peak in samples.
        trend_from: first quefrency of the line.
        trend_to: last quefrency of the line.

    Returns:
        `[B, 2]` the lines' slope a sample and value at quefrency 0; `[B]` prominences in dB.

    Source: Hillenbrand, Cleveland & Erickson (1994), Acoustic correlates of breathy vocal quality; Praat manual,
    "PowerCepstrum: Get peak prominence...".

    Cost: 1.1 us a frame.
    """
    n_points = trend_to - trend_from + 1
    rises_P, residuals_N = np.empty(n_points // 2), np.empty(n_points)
    lines_B2 = np.empty((len(log_cepstra_BQ), 2))
    prominence_B = np.empty(len(log_cepstra_BQ))
    # Windows overlap, so that a frame's line is expected to be like the one before.
    rise, middle = np.nan, np.nan
    for frame in range(len(log_cepstra_BQ)):
        ordinates_N = log_cepstra_BQ[frame, trend_from : trend_to + 1]
        slope, at_start = robust_line(ordinates_N, rises_P, residuals_N, rise, middle)
        rise, middle = slope * (n_points - n_points // 2), at_start + slope * (n_points // 2)
        intercept = at_start - slope * trend_from
        place, height = highest_peak(log_cepstra_BQ[frame], shortest, longest)
        lines_B2[frame, 0], lines_B2[frame, 1] = slope, intercept
        prominence_B[frame] = DB * (height - (intercept + slope * place))
    return lines_B2, prominence_B


@kernel
def above_the_line(power_BQ: np.ndarray, lines_B2: np.ndarray) -> np.ndarray:
    """Divide power cepstra by their trend lines, as power ratios `[B, Q]`; what lies below the line is 1 (0 dB).

    Args:
        power_BQ: power cepstra.
        lines_B2: slopes and intercepts of the lines through their natural logarithms.

    Source: by experiment with Praat's "Subtract trend...".

    Cost: 0.3 us a frame.
    """
    n_quefrencies = power_BQ.shape[1]
    above_BQ = np.empty(power_BQ.shape)
    powers_of_step = np.empty(STRIDE)
    for frame in range(len(power_BQ)):
        slope, intercept = lines_B2[frame]
        power_Q, above_Q = power_BQ[frame], above_BQ[frame]
        # The line's power falls by the same factor from each quefrency to the next.
        for place in range(STRIDE):
            powers_of_step[place] = np.exp(-slope * place)
        for start in range(0, n_quefrencies, STRIDE):
            at_start = np.exp(-(intercept + slope * start))
            power_part, above_part = power_Q[start : start + STRIDE], above_Q[start : start + STRIDE]
            for place in range(len(above_part)):
                ratio = power_part[place] * at_start * powers_of_step[place]
                above_part[place] = 1.0 if ratio < 1 else ratio
        # Praat takes the line half a sample further on there.
        above_Q[0] = max(power_Q[0] * np.exp(-(intercept + 0.5 * slope)), 1.0)
    return above_BQ


@kernel(reorder=True)
def smoothed(
    power_BQ: np.ndarray, first_row: int, time_weights_TK: np.ndarray, quefrency_weights_KQ: np.ndarray
) -> np.ndarray:
    """Average cepstra over time, then over quefrency.

    Args:
        power_BQ: cepstra of consecutive frames.
        first_row: the first frame to smooth, as a row of `power_BQ`; those before and after it are its neighbours.
        time_weights_TK: for each frame to smooth, what its neighbours weigh.
        quefrency_weights_KQ: for each quefrency, what its neighbours weigh.

    Returns:
        `[T, Q]` cepstra of the frames to smooth.

    Source: Praat manual, "PowerCepstrogram: Smooth...".

    Cost: 0.6 us a frame with 3 and 7 taps.
    """
    n_frames, n_times = time_weights_TK.shape
    n_places, n_quefrencies = quefrency_weights_KQ.shape
    reach_time, reach = n_times // 2, n_places // 2
    smoothed_TQ = np.empty((n_frames, n_quefrencies))
    average_Q = np.zeros(n_quefrencies + 2 * reach)
    middle_Q = average_Q[reach : reach + n_quefrencies]
    for frame in range(n_frames):
        middle_Q[:] = 0
        for tap in range(n_times):
            weight = time_weights_TK[frame, tap]
            if weight > 0:
                row_Q = power_BQ[first_row + frame + tap - reach_time]
                for place in range(n_quefrencies):
                    middle_Q[place] += weight * row_Q[place]
        smoothed_Q = smoothed_TQ[frame]
        # The middle tap, then those on either side of it two by two: half as many passes as taps.
        for place in range(n_quefrencies):
            smoothed_Q[place] = quefrency_weights_KQ[reach, place] * middle_Q[place]
        for distance in range(1, reach + 1):
            before_Q, after_Q = quefrency_weights_KQ[reach - distance], quefrency_weights_KQ[reach + distance]
            left_Q, right_Q = average_Q[reach - distance :], average_Q[reach + distance :]
            for place in range(n_quefrencies):
                smoothed_Q[place] += before_Q[place] * left_Q[place] + after_Q[place] * right_Q[place]
    return smoothed_TQ


def cepstral_peaks(
    unfiltered_N: np.ndarray, config: FeatureConfig, first_frame: int, n_frames: int
) -> tuple[np.ndarray, float]:
    """Measure the cepstral peak prominence of each frame, and the smoothed one (CPPS) of the kept region, in dB.

    Args:
        unfiltered_N: sound at 16 kHz, neither filtered nor normalised.
        config: search range, trend range and averaging windows.
        first_frame: first frame of the kept region.
        n_frames: frames of the kept region.

    Returns:
        `[T]` prominences of all frames, NaN in digital silence, and the mean of the prominences in the smoothed
        cepstrogram of the kept region.  Silent frames take part in that mean, as they do in Praat's; it is NaN where
        all are silent.

    Source: Hillenbrand, Cleveland & Erickson (1994); Hillenbrand & Houde (1996), Acoustic correlates of breathy vocal
    quality: dysphonic voices and continuous speech; Praat manual, "PowerCepstrogram: Get CPPS...".

    Cost: 1.0 ms a second of sound.
    """
    silent_T = without_sound(unfiltered_N, PERIODS_IN_WINDOW / config.cpp_floor_hz)
    return resampled_peaks(brick_wall_resample(unfiltered_N, RATE), silent_T, config, first_frame, n_frames)


@functools.lru_cache(maxsize=8)
def _window(length: int) -> np.ndarray:
    """Return the window of a frame."""
    return gaussian_window(length)


@functools.lru_cache(maxsize=8)
def _quefrency_weights(n_quefrencies: int, width: float) -> np.ndarray:
    """Return `[K, Q]` what the neighbours of each quefrency weigh in an average `width` samples wide."""
    return np.ascontiguousarray(averaging_weights(n_quefrencies, width, 0.0).T)


def resampled_peaks(
    resampled_N: np.ndarray, silent_T: np.ndarray, config: FeatureConfig, first_frame: int, n_frames: int
) -> tuple[np.ndarray, float]:
    """Measure the same as `cepstral_peaks` from a sound that is already at 10 kHz.

    Args:
        resampled_N: the sound at 10 kHz.
        silent_T: bool `[T]`, for each frame of the recording, whether its window holds no sound.
        config: search range, trend range and averaging windows.
        first_frame: first frame of the kept region.
        n_frames: frames of the kept region.
    """
    sizes = CepstrumSizes.of(config)
    search = (sizes.shortest, sizes.longest, sizes.trend_from, sizes.trend_to)
    n_all = len(silent_T)
    emphasised_N = emphasised_with_room(resampled_N, n_all, sizes)
    window_W = _window(sizes.window_length)
    time_weights_TK = averaging_weights(n_frames, config.cpps_time_average_seconds * FRAMES_PER_SECOND, 0.5)
    width = config.cpps_quefrency_average_seconds / (1 / RATE)
    quefrency_weights_KQ = _quefrency_weights(sizes.fft_length // 2 + 1, width)
    reach = time_weights_TK.shape[1] // 2
    prominence_T, smoothed_prominence_T = np.empty(n_all), np.empty(n_frames)

    # With their neighbours, the frames of a block are whole eights: transforms are of eight frames.
    step = max(FRAMES_IN_BLOCK - 2 * reach, (FRAMES_IN_BLOCK + 1) // 2)
    for start in range(0, n_all, step):
        stop = min(start + step, n_all)
        # The neighbours that smoothing needs are analysed again with the next block: no state between blocks.
        wide_start, wide_stop = max(start - reach, 0), min(stop + reach, n_all)
        power_BQ = power_cepstra(emphasised_N, wide_start * STEP, wide_stop - wide_start, window_W, sizes.fft_length)
        lines_B2, prominence_B = lines_and_prominences(np.log(power_BQ), *search)
        prominence_T[start:stop] = prominence_B[start - wide_start : stop - wide_start]
        kept_start, kept_stop = max(start, first_frame), min(stop, first_frame + n_frames)
        if kept_start < kept_stop:
            kept = slice(kept_start - first_frame, kept_stop - first_frame)
            smoothed_BQ = smoothed(
                above_the_line(power_BQ, lines_B2),
                kept_start - wide_start,
                time_weights_TK[kept],
                quefrency_weights_KQ,
            )
            _, smoothed_prominence_T[kept] = lines_and_prominences(np.log(smoothed_BQ, out=smoothed_BQ), *search)

    prominence_T[silent_T] = np.nan
    all_silent = silent_T[first_frame : first_frame + n_frames].all()
    return prominence_T, math.nan if all_silent else float(np.mean(smoothed_prominence_T))
