"""Glottal pulses: one instant in each period of the voiced stretches, found by cross-correlation.

In the middle of a voiced stretch the largest sample within one period is the first pulse.  From there, pulse after
pulse to the right and then to the left, the next one lies where the sound around it is most like the sound around the
last: the lag of highest correlation between 0.8 and 1.25 periods.  Pulses that resemble their neighbour too little, or
that are too quiet, are left out.

The method is that of Praat's manual, "Sound & Pitch: To PointProcess (cc)".  The manual leaves open where windows begin
and end, what happens at the end of the range of lags, and what counts as quiet.  These were found by giving Praat
signals and pitch contours made for the question; the constants and comments below say what was found.

Cost: 0.08 ms a second of sound, nearly all of it correlations: some 100 samples x 50 lags a pulse.

Shape legend: N samples at 16 kHz, T frames of 10 ms, P glottal pulses, L lags.
"""

import math

import numpy as np

from accent.dsp.compile import kernel
from accent.grid import HOP, SAMPLE_RATE

FRAME_OFFSET = -0.5
"""The frames of the pitch analysis are centred half a sample before sample k x 160."""
SHORTEST_LAG = 0.8
"""Earliest next pulse, in periods."""
LONGEST_LAG = 1.25
"""Latest next pulse, in periods (found by experiment; the manual has 1.2)."""
MIN_CORRELATION = 0.3
"""A pulse within its voiced stretch that resembles its neighbour less is left out."""
MIN_CORRELATION_OUTSIDE = 0.7
"""The one pulse that may lie beyond either end of a stretch must resemble its neighbour this much."""
MIN_PEAK = 0.01
"""A pulse within its stretch is left out where its period's peak is below this share of the recording's peak."""
MIN_PEAK_OUTSIDE = 0.023333
"""The same, for a pulse beyond either end (found by experiment, to six digits)."""
MIN_DISTANCE = 0.8
"""A pulse found leftwards keeps this many periods away from the last pulse of the stretch before."""
HIGHEST_F0_HZ = 2500.0
"""Above, lags are so few that the search might not move on; the pitch analysis ends at 2000 Hz."""
MARGIN_PERIODS = 4
"""Silence around the sound, in longest periods: a pulse and its window reach less than two beyond a stretch, and a
stretch one frame beyond the sound."""


def frame_seconds(frames_T: np.ndarray) -> np.ndarray:
    """Return the seconds of the recording at which frames of the pitch analysis are centred."""
    return (frames_T * HOP + FRAME_OFFSET) / SAMPLE_RATE


def glottal_pulses(unfiltered_N: np.ndarray, f0_T: np.ndarray, peak_elsewhere: float = 0.0) -> np.ndarray:
    """Find the glottal pulses of a recording.

    Args:
        unfiltered_N: sound at 16 kHz, neither filtered nor normalised.
        f0_T: fundamental frequency in Hz, NaN where unvoiced.
        peak_elsewhere: of a part of a recording, the largest magnitude in the rest of it.

    Returns:
        `[P]` times in seconds of the recording, rising; sample 0 is at 0.  Some may lie just outside the sound.

    Raises:
        ValueError: if a fundamental frequency is above `HIGHEST_F0_HZ` or not above 0.

    Source: Praat manual, "Sound & Pitch: To PointProcess (cc)".
    """
    voiced_T = np.isfinite(f0_T)
    if not voiced_T.any():
        return np.empty(0)
    if not 0 < np.min(f0_T[voiced_T]) <= np.max(f0_T[voiced_T]) <= HIGHEST_F0_HZ:
        raise ValueError(f"f0_T: not all between 0 and {HIGHEST_F0_HZ:g} Hz")
    margin = math.ceil(MARGIN_PERIODS * SAMPLE_RATE / np.min(f0_T[voiced_T])) + 2 * HOP
    padded_N = np.zeros(len(unfiltered_N) + 2 * margin)
    padded_N[margin : margin + len(unfiltered_N)] = unfiltered_N
    changes = np.diff(np.concatenate([[0], voiced_T.astype(np.int8), [0]]))
    starts, stops = np.flatnonzero(changes == 1), np.flatnonzero(changes == -1)
    loudest = max(float(np.abs(unfiltered_N).max()), peak_elsewhere)
    position_P = _pulses_of_stretches(padded_N, margin, f0_T, starts, stops, loudest)
    return np.sort(position_P) / SAMPLE_RATE


@kernel
def _pulses_of_stretches(
    padded_N: np.ndarray, margin: int, f0_T: np.ndarray, starts: np.ndarray, stops: np.ndarray, global_peak: float
) -> np.ndarray:
    """Find the pulses of all voiced stretches.

    Args:
        padded_N: the sound with silence around it.
        margin: samples of silence before it.
        f0_T: fundamental frequency in Hz of the frames.
        starts: first frame of each stretch.
        stops: the frame after its last.
        global_peak: largest magnitude of the whole recording.

    Returns:
        Positions `[P]` in samples of the recording, stretch by stretch, not sorted.

    Source: Praat manual, "Sound & Pitch: To PointProcess (cc)".  Cost: 2 us a voiced frame.
    """
    # A pulse every second sample at most, and one more at either end and in the middle of each stretch.
    position_P = np.empty(np.sum(stops - starts) * (HOP // 2) + 3 * len(starts))
    n_pulses = 0
    last_of_stretches = -np.inf
    for stretch in range(len(starts)):
        start, stop = starts[stretch], stops[stretch]
        left = (start - 0.5) * HOP + FRAME_OFFSET
        right = (stop - 0.5) * HOP + FRAME_OFFSET
        middle = 0.5 * (left + right)
        period = _period(f0_T, start, stop, middle)
        first = _extremum(padded_N, margin, middle - 0.5 * period, middle + 0.5 * period)
        position_P[n_pulses] = first
        n_pulses += 1
        last_of_stretch = first
        for direction in (1, -1):
            position = first
            while left <= position <= right:
                period = _period(f0_T, start, stop, position)
                position, correlation, peak = _neighbour(padded_N, margin, position, period, direction)
                inside = left <= position <= right
                alike = correlation > (MIN_CORRELATION if inside else MIN_CORRELATION_OUTSIDE)
                loud = peak > (MIN_PEAK if inside else MIN_PEAK_OUTSIDE) * global_peak
                free = direction > 0 or position - last_of_stretches > MIN_DISTANCE * period
                if alike and loud and free:
                    position_P[n_pulses] = position
                    n_pulses += 1
                    last_of_stretch = max(last_of_stretch, position)
        last_of_stretches = max(last_of_stretches, last_of_stretch)
    return position_P[:n_pulses]


@kernel
def _period(f0_T: np.ndarray, start: int, stop: int, position: float) -> float:
    """Return the period in samples at a position, F0 running straight between the frames of its stretch."""
    frame = min(max((position - FRAME_OFFSET) / HOP, float(start)), float(stop - 1))
    below = min(int(frame), stop - 1)
    above = min(below + 1, stop - 1)
    return SAMPLE_RATE / (f0_T[below] + (frame - below) * (f0_T[above] - f0_T[below]))


@kernel
def _extremum(padded_N: np.ndarray, margin: int, from_position: float, to_position: float) -> float:
    """Return the position of the highest or lowest sample, whichever is further from 0, refined by a parabola.

    The range includes the samples just beyond its two ends; on these two the parabola is not used.  Of equal samples
    the first counts, the highest before the lowest; a constant has its extremum in the middle.
    """
    first = math.floor(from_position) + margin
    last = math.ceil(to_position) + margin
    highest, lowest = first, first
    for sample in range(first + 1, last + 1):
        if padded_N[sample] > padded_N[highest]:
            highest = sample
        if padded_N[sample] < padded_N[lowest]:
            lowest = sample
    if highest == lowest:
        return 0.5 * (from_position + to_position)
    extremum = highest if abs(padded_N[highest]) >= abs(padded_N[lowest]) else lowest
    refined = float(extremum)
    if first < extremum < last:
        before, here, after = padded_N[extremum - 1], padded_N[extremum], padded_N[extremum + 1]
        refined += 0.5 * (after - before) / (2.0 * here - before - after)
    return refined - margin


@kernel
def _neighbour(
    padded_N: np.ndarray, margin: int, position: float, period: float, direction: int
) -> tuple[float, float, float]:
    """Find the position whose surroundings, one period long, are most like those of the last pulse.

    Lags are looked through in the order of time.  Three habits of Praat decide what happens at the ends of their range:
    before the first lag the correlation counts as 0; the last lag can be no maximum; and where the first correlation is
    not above 0, the 0 before it is a maximum of its own.

    Args:
        padded_N: the sound with silence around it.
        margin: samples of silence before it.
        position: the last pulse, in samples of the recording.
        period: in samples.
        direction: 1 to the right, -1 to the left.

    Returns:
        The new position, its correlation by the parabola through three lags (-1 where there is no maximum: then it lies
        one period further), and the largest magnitude around it.

    Source: Praat manual, "Sound & Pitch: To PointProcess (cc)".  Cost: 0.5 to 1 us.
    """
    window_start = position - 0.5 * period
    first = math.floor(window_start + 0.5)
    n_samples = math.floor(position + 0.5 * period + 0.5) - first + 1
    shortest = SHORTEST_LAG * period if direction > 0 else -LONGEST_LAG * period
    longest = LONGEST_LAG * period if direction > 0 else -SHORTEST_LAG * period
    first_lag = math.floor(window_start + shortest) - first
    last_lag = math.ceil(window_start + longest) - first
    reference_N = padded_N[first + margin : first + margin + n_samples]
    search_N = padded_N[first + margin + first_lag : first + margin + last_lag + n_samples]
    correlation_L = _correlations(reference_N, search_N, last_lag - first_lag + 1)

    best_lag, best_height, highest, integer_lag = direction * period, -1.0, -1.0, first_lag
    if correlation_L[0] <= 0.0:
        # The parabola through 0, 0 and a negative value has its top half a sample before the middle one.
        best_lag, best_height, highest = first_lag - (1.5 if correlation_L[0] < 0.0 else 1.0), 0.0, 0.0
    for index in range(len(correlation_L) - 1):
        before = correlation_L[index - 1] if index > 0 else 0.0
        here, after = correlation_L[index], correlation_L[index + 1]
        if here > before and here >= after and here > highest:
            slope, bend = 0.5 * (after - before), 2.0 * here - before - after
            highest = here
            integer_lag = first_lag + index
            best_lag = integer_lag + slope / bend
            best_height = here + 0.5 * slope * slope / bend
    # The peak is taken one sample later than the window of the highest correlation (found by experiment).
    peak_start = first + margin + integer_lag + 1
    peak = 0.0
    for sample in range(peak_start, peak_start + n_samples):
        peak = max(peak, abs(padded_N[sample]))
    return position + best_lag, best_height, peak


@kernel(reorder=True)
def _correlations(reference_N: np.ndarray, search_N: np.ndarray, n_lags: int) -> np.ndarray:
    """Return the normalised cross-correlation `[L]` of a window with each window of its length in another stretch.

    The correlation with silence is 0.

    Source: Praat manual, "Sound & Pitch: To PointProcess (cc)".  Cost: 2 x len(reference_N) multiplications a lag.
    """
    n_samples = len(reference_N)
    energy = 0.0
    for sample in range(n_samples):
        energy += reference_N[sample] * reference_N[sample]
    correlation_L = np.zeros(n_lags)
    for lag in range(n_lags):
        product, search_energy = 0.0, 0.0
        for sample in range(n_samples):
            product += reference_N[sample] * search_N[lag + sample]
            search_energy += search_N[lag + sample] * search_N[lag + sample]
        if energy > 0.0 and search_energy > 0.0:
            correlation_L[lag] = product / math.sqrt(energy * search_energy)
    return correlation_L
