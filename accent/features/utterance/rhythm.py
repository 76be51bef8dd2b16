"""Rhythm and timing from an alignment: vocalic and consonantal intervals, phone rate, mean phone durations.

Neighbouring vowels form one vocalic interval, neighbouring consonants one consonantal interval.  A pause, unknown
speech or a gap in the alignment ends an interval, and no pair of intervals reaches over it.

Cost: 0.05 ms an utterance.
"""

import math
from collections.abc import Callable, Sequence
from itertools import chain, groupby, pairwise

from accent.features.phones import PHONES, SILENCE, UNKNOWN, VOWELS

Interval = tuple[float, float, str]
"""Start and end in seconds of the original recording, and a label of `PHONES`."""

SPOKEN_PHONES: tuple[str, ...] = tuple(phone for phone in PHONES if phone not in (SILENCE, UNKNOWN))
_SPOKEN = frozenset(SPOKEN_PHONES)
_VOWELS = frozenset(VOWELS)
RHYTHM_COLUMNS: tuple[str, ...] = (
    "phones_per_second",
    "percent_v",
    "delta_c_ms",
    "varco_v_percent",
    "npvi_v",
    "rpvi_c_ms",
)
DURATION_COLUMNS: tuple[str, ...] = tuple(f"mean_duration_{phone.lower()}_seconds" for phone in SPOKEN_PHONES)
GAP_SECONDS = 0.001
"""A longer gap between two phones is a pause; a shorter one is rounding in the file."""


def rhythm(intervals: Sequence[Interval]) -> dict[str, float]:
    """Measure rhythm and articulation rate.

    - phones_per_second: phones over the time they fill, pauses left out.
    - percent_v: share of that time that is vocalic.
    - delta_c_ms: standard deviation (of a sample, n - 1) of consonantal intervals.
    - varco_v_percent: standard deviation of vocalic intervals over their mean.
    - npvi_v: mean over pairs of successive vocalic intervals of 200 |a - b| / (a + b).
    - rpvi_c_ms: mean over pairs of successive consonantal intervals of |a - b|.

    Args:
        intervals: phones in order of time.

    Returns:
        A value for each of `RHYTHM_COLUMNS`; NaN where there are too few intervals.

    Source: Ramus, Nespor & Mehler (1999), Correlates of linguistic rhythm in the speech signal (%V, delta C); Dellwo
    (2006), Rhythm and speech rate: a variation coefficient for delta C, and White & Mattys (2007), Calibrating rhythm
    (VarcoV); Grabe & Low (2002), Durational variability in speech and the rhythm class hypothesis (PVI).
    """
    merged = [merge_into_intervals(stretch) for stretch in stretches_without_pause(intervals)]
    vocalic = [_durations(stretch, vocalic=True) for stretch in merged]
    consonantal = [_durations(stretch, vocalic=False) for stretch in merged]
    every_v, every_c = list(chain.from_iterable(vocalic)), list(chain.from_iterable(consonantal))
    vocalic_seconds = math.fsum(every_v)
    spoken_seconds = vocalic_seconds + math.fsum(every_c)
    n_phones = sum(end > start and label in _SPOKEN for start, end, label in intervals)
    values = (
        n_phones / spoken_seconds if n_phones else math.nan,
        100 * vocalic_seconds / spoken_seconds if n_phones else math.nan,
        1000 * _deviation(every_c) if len(every_c) > 1 else math.nan,
        100 * _deviation(every_v) / _mean(every_v) if len(every_v) > 1 else math.nan,
        _mean_over_pairs(vocalic, lambda a, b: 200 * abs(a - b) / (a + b)),
        _mean_over_pairs(consonantal, lambda a, b: 1000 * abs(a - b)),
    )
    return dict(zip(RHYTHM_COLUMNS, values, strict=True))


def phone_durations(intervals: Sequence[Interval]) -> dict[str, float]:
    """Return the mean duration of each phone in seconds, by `DURATION_COLUMNS`; NaN for phones that do not occur."""
    durations: dict[str, list[float]] = {phone: [] for phone in SPOKEN_PHONES}
    for start, end, label in intervals:
        if label in durations:
            durations[label].append(end - start)
    return {
        column: _mean(found) if found else math.nan
        for column, found in zip(DURATION_COLUMNS, durations.values(), strict=True)
    }


def stretches_without_pause(intervals: Sequence[Interval]) -> list[list[Interval]]:
    """Cut a row of phones at pauses, unknown speech and gaps; phones without length are left out."""
    stretches: list[list[Interval]] = [[]]
    last_end = float("-inf")
    for start, end, label in intervals:
        if end <= start:
            continue
        if label not in _SPOKEN or start - last_end > GAP_SECONDS:
            stretches.append([])
        if label in _SPOKEN:
            stretches[-1].append((start, end, label))
            last_end = end
    return [stretch for stretch in stretches if stretch]


def merge_into_intervals(stretch: Sequence[Interval]) -> list[tuple[bool, float]]:
    """Merge neighbouring vowels and neighbouring consonants; return (is it vocalic, seconds) in order of time."""
    return [
        (is_vowel, sum(end - start for start, end, _ in phones))
        for is_vowel, phones in groupby(stretch, key=lambda phone: phone[2] in _VOWELS)
    ]


def _durations(merged: Sequence[tuple[bool, float]], vocalic: bool) -> list[float]:
    return [seconds for is_vowel, seconds in merged if is_vowel == vocalic]


def _mean_over_pairs(stretches: Sequence[Sequence[float]], difference: Callable[[float, float], float]) -> float:
    """Average over all pairs of successive durations; no pair reaches over a pause."""
    differences = [difference(a, b) for durations in stretches for a, b in pairwise(durations)]
    return _mean(differences) if differences else math.nan


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)


def _deviation(values: Sequence[float]) -> float:
    """Return the standard deviation of a sample (n - 1)."""
    mean = _mean(values)
    return math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (len(values) - 1))
