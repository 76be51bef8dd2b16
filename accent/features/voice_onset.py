"""Voice onset time (VOT) of stops: from the burst of the release to the onset of voicing.

Voicing is followed backwards from a glottal pulse of the next phone, period by period, for as long as each period below
1 kHz resembles the one after it and is not much weaker: pulses that a pitch analysis puts into the aspiration do not
count.  The burst is where, between the beginning of the aligned stop and that onset, the energy above 1 kHz rises most
steeply out of what came before it, after the plosion index of Ananthapadmanabha et al.

Where glottal pulses of the same voice run on into the burst, voicing began before it and VOT is negative, from the
first pulse of that run; if the run goes back beyond the beginning of the stop, no onset of voicing lies in it and VOT
is undefined.  It is also undefined where no vowel, glide, liquid or nasal follows, and where no burst is found.

The instants are good to a few milliseconds; those of the alignment only say where to look.

Cost: 0.3 ms a stop.

Shape legend: N samples at 16 kHz, P glottal pulses, I intervals, B steps of half a millisecond.

Sources: Lisker and Abramson (1964), A cross-language study of voicing in initial stops; Ananthapadmanabha, Prathosh
and Ramakrishnan (2014), Detection of the closure-burst transitions of stops and affricates in continuous speech using
the plosion index; Abramson and Whalen (2017), Voice onset time (VOT) at 50, on negative and on undefined values.
"""

import math
from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from accent.dsp.butterworth import butterworth, zero_phase
from accent.features.phones import VOWELS
from accent.grid import SAMPLE_RATE

STOPS: tuple[str, ...] = ("P", "T", "K", "B", "D", "G")
VOICED_AFTER: frozenset[str] = frozenset((*VOWELS, "L", "R", "W", "Y", "M", "N", "NG"))
BURST_FROM_HZ = 1000.0
"""Above the voicing of a closure."""
STEP = SAMPLE_RATE // 2000
"""Samples of half a millisecond: the grid of the burst."""
BEFORE_STEPS, GAP_STEPS, AFTER_STEPS = 20, 2, 8
"""The rise at a step compares the 4 ms after it with 10 ms that end 1 ms before it."""
LEAST_RISE_DB = 8.0
"""A smaller rise is no burst."""
BEYOND_SECONDS = 0.01
"""The burst may lie this far after the end of the aligned stop; the next phone begins at most this far after it."""
ONSET_SECONDS = 0.002
"""The burst may lie this far after the onset of voicing: a VOT of 0."""
VOICE_TO_HZ = 1000.0
ANCHOR_SECONDS = 0.05
"""Voicing is followed back from the last pulse up to here after the stop, or up to the middle of the next phone."""
LEAST_LIKENESS = 0.7
"""Correlation of a voiced period with the next one."""
MOST_BELOW_DB = 12.0
"""A voiced period may be this much weaker than the vowel's."""
SHORTEST_LAG, LONGEST_LAG = 0.75, 1.3
"""Range of the period before, in periods."""
LONGEST_PERIOD = 0.02
"""Seconds; pulses further apart do not belong to one voice."""
SAME_VOICE = 1.7
"""Periods of closure and vowel differ at most by this factor; noise is often taken for a higher voice."""
INSIDE_SECONDS = 0.005
"""A run that begins this close to the beginning of the stop began before it."""

LONGEST_SECONDS = 0.2
"""Longer than any stop's: the alignment is wrong."""

Interval = tuple[float, float, str]


def voice_onset_times(unfiltered_N: np.ndarray, pulses_P: np.ndarray, intervals: Sequence[Interval]) -> np.ndarray:
    """Measure the voice onset time of every stop.

    Args:
        unfiltered_N: the whole recording, neither filtered nor normalised.
        pulses_P: its glottal pulses in seconds, rising, as `glottal_pulses` finds them.
        intervals: (start, end, phone) in seconds of the recording, in order of time.

    Returns:
        `[I]` seconds; NaN for phones that are no stops and where it is undefined.
    """
    found_I = np.full(len(intervals), np.nan)
    high_N = zero_phase(unfiltered_N, butterworth(BURST_FROM_HZ, SAMPLE_RATE, True))
    low_N = zero_phase(unfiltered_N, butterworth(VOICE_TO_HZ, SAMPLE_RATE, False))
    for place, (stop, after) in enumerate(pairwise(intervals)):
        follows = after[2] in VOICED_AFTER and after[0] - stop[1] < BEYOND_SECONDS
        if stop[2] in STOPS and follows:
            found_I[place] = _voice_onset_time(high_N, low_N, pulses_P, stop, after)
    return found_I


def find_burst(high_N: np.ndarray, start: float, end: float) -> float:
    """Return the instant of a release in seconds; NaN where nothing rises like one.

    Args:
        high_N: the recording without what is below 1 kHz.
        start: where to look, in seconds.
        end: where to stop looking.
    """
    first = max(math.floor(start * SAMPLE_RATE) // STEP, BEFORE_STEPS + GAP_STEPS)
    last = min(math.ceil(end * SAMPLE_RATE) // STEP, len(high_N) // STEP - AFTER_STEPS)
    if last <= first:
        return math.nan
    lead = first - BEFORE_STEPS - GAP_STEPS
    stretch = high_N[lead * STEP : (last + AFTER_STEPS) * STEP].reshape(-1, STEP)
    # Silence of zeros would rise without end; one step of 16 bits is the least sound.
    energy_B = np.maximum(np.mean(stretch**2, axis=1), 2.0**-30)
    total_B = np.concatenate([[0.0], np.cumsum(energy_B)])
    at_B = np.arange(first, last) - lead
    before_B = (total_B[at_B - GAP_STEPS] - total_B[at_B - GAP_STEPS - BEFORE_STEPS]) / BEFORE_STEPS
    after_B = (total_B[at_B + AFTER_STEPS] - total_B[at_B]) / AFTER_STEPS
    rise_B = 10 * np.log10(after_B / before_B)
    if rise_B.max() < LEAST_RISE_DB:
        return math.nan
    peak = int(np.argmax(rise_B))
    # The first step that is as loud as the middle between before and after, in decibels.
    middle = math.sqrt(before_B[peak] * after_B[peak])
    loud = energy_B[at_B[peak] : at_B[peak] + AFTER_STEPS] >= middle
    return (first + peak + int(np.argmax(loud))) * STEP / SAMPLE_RATE


def _voice_onset_time(
    high_N: np.ndarray, low_N: np.ndarray, pulses_P: np.ndarray, stop: Interval, after: Interval
) -> float:
    anchor = _anchor(pulses_P, stop, after)
    if anchor is None:
        return math.nan
    pulse, period = anchor
    onset = _first_period(low_N, pulse, period, stop[0])
    burst = find_burst(high_N, stop[0], min(onset + ONSET_SECONDS, stop[1] + BEYOND_SECONDS))
    if not math.isfinite(burst):
        return math.nan
    began = _run_into(pulses_P, burst, period)
    if began is None:
        return max(onset - burst, 0.0) if onset - burst <= LONGEST_SECONDS else math.nan
    return began - burst if began > stop[0] + INSIDE_SECONDS else math.nan


def _anchor(pulses_P: np.ndarray, stop: Interval, after: Interval) -> tuple[float, float] | None:
    """Return a pulse of the phone after a stop, early in it if there is one, and the period that it begins."""
    limit = min((after[0] + after[1]) / 2, after[0] + ANCHOR_SECONDS)
    place = int(np.searchsorted(pulses_P, limit)) - 1
    if place < 0 or pulses_P[place] < after[0] - BEYOND_SECONDS:
        place += 1
    if place + 1 >= len(pulses_P) or pulses_P[place + 1] > after[1]:
        return None
    period = float(pulses_P[place + 1] - pulses_P[place])
    return (float(pulses_P[place]), period) if period <= LONGEST_PERIOD else None


def _run_into(pulses_P: np.ndarray, burst: float, period: float) -> float | None:
    """Return the first pulse of the run of a voice that reaches the burst; None if it does not."""
    last = int(np.searchsorted(pulses_P, burst)) - 1
    first, longest = last, min(SAME_VOICE * period, LONGEST_PERIOD)
    if last < 1 or burst - pulses_P[last] > longest:
        return None
    while first > 0 and period / SAME_VOICE <= pulses_P[first] - pulses_P[first - 1] <= longest:
        first -= 1
    return float(pulses_P[first]) if first < last else None


def _first_period(low_N: np.ndarray, pulse: float, period: float, start: float) -> float:
    """Follow voicing backwards from a pulse, not beyond the start; return where its first period begins."""
    position, length = round(pulse * SAMPLE_RATE), round(period * SAMPLE_RATE)
    reference = low_N[position : position + length]
    least = np.mean(reference**2) * 10 ** (-MOST_BELOW_DB / 10)
    while True:
        shortest, longest = math.floor(SHORTEST_LAG * length), math.ceil(LONGEST_LAG * length)
        reference = low_N[position : position + length]
        earliest = position - longest
        if earliest < 0 or len(reference) < length or position - shortest < start * SAMPLE_RATE:
            break
        windows = np.lib.stride_tricks.sliding_window_view(low_N[earliest : position - shortest + length], length)
        energy = np.sum(windows**2, axis=1)
        likeness = windows @ reference / np.sqrt(np.maximum(energy * np.sum(reference**2), 1e-30))
        best = int(np.argmax(likeness))
        if likeness[best] < LEAST_LIKENESS or energy[best] / length < least:
            break
        moved = earliest + best
        length = round(0.5 * (length + position - moved))
        position = moved
    return position / SAMPLE_RATE
