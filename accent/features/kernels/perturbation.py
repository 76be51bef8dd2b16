"""Jitter and shimmer: how much neighbouring periods, and their amplitudes, differ.

Every measure has the same form.  Each value of a sequence (periods, or amplitudes) is compared with its neighbour
(local), or with the mean of the three or five values about it (rap and apq3, ppq5 and apq5); the mean of these
differences is divided by the mean value.  Where two values in a row are too unequal or too far apart to be neighbours,
no comparison reaches across.

What belongs to a pulse is computed once for the whole recording: its period, its amplitude, its differences.  The
windows, which overlap, only add up.

The definitions are those of Praat's manual.  Where it is silent or says otherwise, experiments decided, on signals with
one impulse at a time and on random pulses: how the amplitude of a pulse is measured, which pulses have one, which of
them are neighbours, and that the mean amplitude leaves out the last.

Cost: 0.02 ms a second of sound for the frames, as much for the report.

Shape legend: N samples at 16 kHz, T frames of 10 ms (or other windows), P glottal pulses, I intervals between them,
A pulses that have an amplitude, V values of either kind.
"""

import math

import numpy as np

from accent.dsp.compile import kernel
from accent.features.config import FeatureConfig
from accent.features.definitions import LONGEST_PERIOD, SHORTEST_PERIOD
from accent.features.kernels.pulses import frame_seconds
from accent.grid import FRAMES_PER_SECOND, SAMPLE_RATE

AMPLITUDE_REACH = 0.2
"""The amplitude of a pulse is measured this far into the periods on either side, in periods (found by experiment)."""
JITTERS = {"jitter_local": 2, "jitter_rap": 3, "jitter_ppq5": 5}
"""The voice report's jitters, and how many periods each compares."""
SHIMMERS = {"shimmer_local": 2, "shimmer_apq3": 3, "shimmer_apq5": 5}
"""The voice report's shimmers, and how many amplitudes each compares."""


def jitter_and_shimmer(
    unfiltered_N: np.ndarray, times_P: np.ndarray, n_frames: int, config: FeatureConfig
) -> tuple[np.ndarray, np.ndarray]:
    """Measure local jitter and local shimmer around each frame.

    A frame reads the pulses up to `jitter_window_seconds` away.  Both are NaN where they hold fewer than
    `jitter_min_periods` periods.

    Args:
        unfiltered_N: sound at 16 kHz, neither filtered nor normalised.
        times_P: the glottal pulses of the whole recording, in seconds, rising.
        n_frames: frames of the whole recording.
        config: window, limits of the period, factors of neighbouring periods and amplitudes.

    Returns:
        Jitter and shimmer `[T]` as ratios: the mean difference between neighbouring periods (amplitudes) over their
        mean.

    Source: Praat manual, "PointProcess: Get jitter (local)..." and "Voice 3. Shimmer".
    """
    centre_T = frame_seconds(np.arange(n_frames))
    limits = (config.period_floor_seconds, config.period_ceiling_seconds)
    windows = _Windows(
        unfiltered_N,
        times_P,
        centre_T - config.jitter_window_seconds,
        centre_T + config.jitter_window_seconds,
        limits,
        config,
    )
    jitter_T, periods_T = windows.jitter(JITTERS["jitter_local"])
    shimmer_T = windows.shimmer(SHIMMERS["shimmer_local"])
    too_few_T = periods_T < config.jitter_min_periods
    jitter_T[too_few_T] = np.nan
    shimmer_T[too_few_T] = np.nan
    return jitter_T, shimmer_T


def voice_perturbation(
    unfiltered_N: np.ndarray, times_P: np.ndarray, from_seconds: float, to_seconds: float, config: FeatureConfig
) -> dict[str, float]:
    """Measure the jitters and shimmers of a voice report, whose limits of the period are narrower than the frames'.

    Args:
        unfiltered_N: sound at 16 kHz, neither filtered nor normalised.
        times_P: the glottal pulses of the whole recording, in seconds, rising.
        from_seconds: beginning of the region: its first frame on the grid, k / 100.
        to_seconds: end of the region: its last frame on the grid.  A region without length means the whole recording,
            as it does in Praat.
        config: pitch range, factors of neighbouring periods and amplitudes.

    Returns:
        A ratio for each of `JITTERS` and `SHIMMERS`, NaN where there are too few periods.

    Source: Praat manual, "Voice 2. Jitter" and "Voice 3. Shimmer"; "PointProcess: Get jitter (local)...", "(rap)...",
    "(ppq5)..."; "Sound & PointProcess: Get shimmer (local)...", "(apq3)...", "(apq5)...".
    """
    if to_seconds <= from_seconds:
        from_seconds, to_seconds = -math.inf, math.inf
    from_T, to_T = frame_seconds(np.array([[from_seconds], [to_seconds]]) * FRAMES_PER_SECOND)
    limits = (SHORTEST_PERIOD / config.pitch_ceiling_hz, LONGEST_PERIOD / config.pitch_floor_hz)
    region = _Windows(unfiltered_N, times_P, from_T, to_T, limits, config)
    jitters = {measure: float(region.jitter(n_compared)[0][0]) for measure, n_compared in JITTERS.items()}
    shimmers = {measure: float(region.shimmer(n_compared)[0]) for measure, n_compared in SHIMMERS.items()}
    return jitters | shimmers


class _Windows:
    """Windows over the pulses of one recording, whose jitter and shimmer can be asked for.

    Args:
        unfiltered_N: sound at 16 kHz.
        times_P: the glottal pulses of the whole recording, in seconds, rising.
        from_T: beginning of each window, in seconds.
        to_T: end of each window; pulses at either end belong to it.
        limits: shortest and longest period in seconds.
        config: factors of neighbouring periods and amplitudes.
    """

    def __init__(
        self,
        unfiltered_N: np.ndarray,
        times_P: np.ndarray,
        from_T: np.ndarray,
        to_T: np.ndarray,
        limits: tuple[float, float],
        config: FeatureConfig,
    ) -> None:
        self.interval_I, self.joined_I, self.period_I = _intervals(times_P, *limits, config.max_period_factor)
        pulse_A, self.amplitude_A, self.joined_A = _amplitudes(
            unfiltered_N, times_P, self.joined_I, *limits, config.max_amplitude_factor
        )
        first_T = np.searchsorted(times_P, from_T, side="left")
        last_T = np.searchsorted(times_P, to_T, side="right") - 1
        self.intervals = first_T, last_T
        # The first and the last pulse of a window lack a period on one side: within it, they have no amplitude.
        self.amplitudes = np.searchsorted(pulse_A, first_T + 1), np.searchsorted(pulse_A, last_T)

    def jitter(self, n_compared: int) -> tuple[np.ndarray, np.ndarray]:
        """Return one kind of jitter `[T]`, and the number of periods `[T]` that each window holds."""
        return _perturbation(self.interval_I, self.joined_I, self.period_I, *self.intervals, n_compared, False)

    def shimmer(self, n_compared: int) -> np.ndarray:
        """Return one kind of shimmer `[T]`."""
        shimmer_T, _ = _perturbation(
            self.amplitude_A, self.joined_A, self.amplitude_A, *self.amplitudes, n_compared, True
        )
        return shimmer_T


@kernel
def _intervals(
    times_P: np.ndarray, floor: float, ceiling: float, max_factor: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Find which intervals between pulses are periods, and which two in a row are neighbours.

    Args:
        times_P: the pulses of the whole recording, in seconds, rising.
        floor: shortest period in seconds.
        ceiling: longest period.
        max_factor: largest ratio between neighbours.

    Returns:
        `[I]` intervals in seconds; `[I]` whether each is a neighbour of the one before, both between floor and ceiling;
        `[I]` the intervals that count in the mean period, NaN for the others: it needs one neighbour not too unequal,
        except the very first and the very last of the recording.

    Source: Praat manual, "PointProcess: Get jitter (local)..." and "PointProcess: Get mean period...".  Cost: some
    nanoseconds a pulse.
    """
    n_intervals = max(len(times_P) - 1, 0)
    interval_I, period_I = np.empty(n_intervals), np.empty(n_intervals)
    joined_I, alike_I = np.zeros(n_intervals, dtype=np.bool_), np.zeros(n_intervals + 1, dtype=np.bool_)
    alike_I[0] = alike_I[n_intervals] = True
    for index in range(n_intervals):
        interval_I[index] = times_P[index + 1] - times_P[index]
        if index > 0:
            shorter = min(interval_I[index - 1], interval_I[index])
            longer = max(interval_I[index - 1], interval_I[index])
            alike_I[index] = longer <= max_factor * shorter
            joined_I[index] = alike_I[index] and floor <= shorter and longer <= ceiling
    for index in range(n_intervals):
        within = floor <= interval_I[index] <= ceiling
        counts = within and (alike_I[index] or alike_I[index + 1])
        period_I[index] = interval_I[index] if counts else np.nan
    return interval_I, joined_I, period_I


@kernel
def _amplitudes(
    unfiltered_N: np.ndarray, times_P: np.ndarray, joined_I: np.ndarray, floor: float, ceiling: float, max_factor: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Measure the amplitudes of the pulses that stand between two neighbouring periods.

    Args:
        unfiltered_N: sound at 16 kHz.
        times_P: the pulses of the whole recording, in seconds, rising.
        joined_I: whether each interval is a neighbour of the one before.
        floor: shortest time between two neighbouring amplitudes, in seconds.
        ceiling: longest time between them.  A pulse without an amplitude may lie between the two.
        max_factor: largest ratio between neighbouring amplitudes.

    Returns:
        `[A]` indices of the pulses; `[A]` their amplitudes; `[A]` whether each is a neighbour of the one before.

    Source: Praat manual, "Voice 3. Shimmer"; experiments with random pulses.  Cost: 0.15 us a pulse.
    """
    pulse_A = np.empty(len(times_P), dtype=np.int64)
    amplitude_A, joined_A = np.empty(len(times_P)), np.zeros(len(times_P), dtype=np.bool_)
    count = 0
    for pulse in range(1, len(times_P) - 1):
        if not joined_I[pulse]:
            continue
        before, here, after = times_P[pulse - 1], times_P[pulse], times_P[pulse + 1]
        amplitude = _amplitude(unfiltered_N, here * SAMPLE_RATE, before * SAMPLE_RATE, after * SAMPLE_RATE)
        if amplitude == 0.0:
            continue
        pulse_A[count], amplitude_A[count] = pulse, amplitude
        if count > 0:
            previous = amplitude_A[count - 1]
            near = floor <= here - times_P[pulse_A[count - 1]] <= ceiling
            joined_A[count] = near and max(previous, amplitude) <= max_factor * min(previous, amplitude)
        count += 1
    return pulse_A[:count], amplitude_A[:count], joined_A[:count]


@kernel
def _amplitude(unfiltered_N: np.ndarray, position: float, before: float, after: float) -> float:
    """Return the root mean square of the sound about a pulse under a Hann window with sides of their own.

    The window reaches a fifth of the period before and a fifth of the period after.

    Args:
        unfiltered_N: sound at 16 kHz, silent outside.
        position: the pulse, in samples.
        before: the pulse before it.
        after: the pulse after it.

    Returns:
        The amplitude, 0 in silence.

    Source: experiments with one impulse at a time.  Cost: 0.15 us.
    """
    left, right = AMPLITUDE_REACH * (position - before), AMPLITUDE_REACH * (after - position)
    first, middle, last = math.ceil(position - left), math.ceil(position), math.floor(position + right)
    power_before, weights_before = _weighted_power(unfiltered_N, first, middle, position, left)
    power_after, weights_after = _weighted_power(unfiltered_N, middle, last + 1, position, right)
    power = power_before + power_after
    return math.sqrt(power / (weights_before + weights_after)) if power > 0.0 else 0.0


@kernel
def _weighted_power(
    unfiltered_N: np.ndarray, first: int, stop: int, position: float, reach: float
) -> tuple[float, float]:
    """Return the power of the samples on one side of a pulse under half a Hann window, and the sum of its squares.

    Args:
        unfiltered_N: sound at 16 kHz, silent outside.
        first: first sample of that side.
        stop: the sample after its last.
        position: the pulse, in samples: where the window is 1.
        reach: how far from there it is 0.

    Source: the definition; cosines of equal steps follow from the two before by cos(a + b) + cos(a - b) =
    2 cos a cos b.  Cost: 1 ns a sample.
    """
    power, weights = 0.0, 0.0
    step = math.pi / reach
    cosine, next_cosine = math.cos(step * (first - position)), math.cos(step * (first + 1 - position))
    factor = 2.0 * math.cos(step)
    for sample in range(first, stop):
        weight = 0.5 + 0.5 * cosine
        cosine, next_cosine = next_cosine, factor * next_cosine - cosine
        weights += weight * weight
        if 0 <= sample < len(unfiltered_N):
            power += (weight * unfiltered_N[sample]) ** 2
    return power, weights


@kernel
def _perturbation(
    values_V: np.ndarray,
    joined_V: np.ndarray,
    counted_V: np.ndarray,
    first_T: np.ndarray,
    stop_T: np.ndarray,
    n_compared: int,
    without_last: bool,
) -> tuple[np.ndarray, np.ndarray]:
    """Divide the mean comparison within each window by the mean value in it.

    Args:
        values_V: intervals or amplitudes.
        joined_V: whether each is a neighbour of the one before.
        counted_V: the values that count in the mean, NaN for the others.
        first_T: first value of each window.
        stop_T: the value after its last.
        n_compared: how many values a comparison takes: 2 (the difference between neighbours), or 3 or 5 (the difference
            between the middle one and the mean of them all).
        without_last: leave the last value out of the mean, as Praat does with amplitudes (found by experiment).

    Returns:
        `[T]` ratios, NaN where a window holds no comparison; `[T]` how many values count in each.

    Source: Praat manual, "PointProcess: Get jitter (local)...", "(rap)...", "(ppq5)...".  Cost: 0.1 us a window.
    """
    comparison_V = np.full(len(values_V), np.nan)
    for first in range(len(values_V) - n_compared + 1):
        total, joined = values_V[first], True
        for value in range(first + 1, first + n_compared):
            total += values_V[value]
            joined &= joined_V[value]
        if joined and n_compared == 2:
            comparison_V[first] = abs(values_V[first + 1] - values_V[first])
        elif joined:
            comparison_V[first] = abs(values_V[first + n_compared // 2] - total / n_compared)
    ratio_T, counts_T = np.full(len(first_T), np.nan), np.zeros(len(first_T), dtype=np.int64)
    for window in range(len(first_T)):
        difference, _ = _mean(comparison_V, first_T[window], stop_T[window] - n_compared + 1, False)
        mean, counts_T[window] = _mean(counted_V, first_T[window], stop_T[window], without_last)
        ratio_T[window] = difference / mean
    return ratio_T, counts_T


@kernel
def _mean(values_V: np.ndarray, first: int, stop: int, without_last: bool) -> tuple[float, int]:
    """Return the mean of the defined values from `first` up to but not including `stop`, and how many they are.

    The mean of none is NaN.  `without_last` leaves out the last defined one.
    """
    total, last, count = 0.0, 0.0, 0
    for index in range(first, stop):
        if values_V[index] == values_V[index]:
            last = values_V[index]
            total += last
            count += 1
    if without_last and count > 0:
        total -= last
        count -= 1
    return (total / count if count > 0 else math.nan), count
