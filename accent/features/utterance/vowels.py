"""The size of the vowel space, independent of the length of the vocal tract.  Cost: 0.05 ms an utterance.

Shape legend: T frames of 10 ms of the kept region.
"""

import math
import statistics
from collections import defaultdict
from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from accent.features.utterance.rhythm import Interval
from accent.grid import FRAMES_PER_SECOND

VOWEL_COLUMNS: tuple[str, ...] = ("vowel_space_area_lobanov",)
"""In squared standard deviations."""
MONOPHTHONGS: tuple[str, ...] = ("AA", "AE", "AH", "AO", "EH", "IH", "IY", "UH", "UW")
"""Vowels with one place in the F1-F2 plane: neither diphthongs nor the r-coloured ER."""
MIN_CATEGORIES = 3
Point = tuple[float, float]
"""A place in the plane: F1 and F2."""


def vowel_space(
    f1_T: np.ndarray, f2_T: np.ndarray, first_frame: int, intervals: Sequence[Interval]
) -> dict[str, float]:
    """Measure the area that the utterance's vowels span in the F1-F2 plane.

    Each vowel said is a point: the medians of F1 and F2 over its middle half.  F1 and F2 are brought to mean 0 and
    standard deviation 1 over all points (Lobanov), averaged over each vowel category, and the area is that of the
    convex hull of the categories.

    Args:
        f1_T: Hz, NaN where undefined.
        f2_T: Hz, NaN where undefined.
        first_frame: where frame 0 of these lies on the recording's grid.
        intervals: the phones, in seconds of the recording.

    Returns:
        The area by name; NaN with fewer than three categories or without any spread.

    Source: Lobanov (1971), Classification of Russian vowels spoken by different speakers.
    """
    said: defaultdict[str, list[Point]] = defaultdict(list)
    for start, end, label in intervals:
        if label not in MONOPHTHONGS:
            continue
        middle = _middle_frames(start, end, first_frame, len(f1_T))
        frames = [
            (f1, f2)
            for f1, f2 in zip(f1_T[middle].tolist(), f2_T[middle].tolist(), strict=True)
            if math.isfinite(f1) and math.isfinite(f2)
        ]
        if frames:
            said[label].append((statistics.median(f1 for f1, _ in frames), statistics.median(f2 for _, f2 in frames)))
    if len(said) < MIN_CATEGORIES:
        return {VOWEL_COLUMNS[0]: math.nan}
    every_one = [point for points in said.values() for point in points]
    centre = _mean(every_one)
    variance = _mean([((f1 - centre[0]) ** 2, (f2 - centre[1]) ** 2) for f1, f2 in every_one])
    if not min(variance) > 0:
        return {VOWEL_COLUMNS[0]: math.nan}
    corners = [_mean(points) for points in said.values()]
    # Scaling both axes scales the area, so the corners need not be scaled one by one.
    return {VOWEL_COLUMNS[0]: hull_area(corners) / math.sqrt(variance[0] * variance[1])}


def hull_area(points: Sequence[Point]) -> float:
    """Return the area of the convex hull of points; 0 where they lie on one line.

    Source: Andrew (1979), Another efficient algorithm for convex hulls in two dimensions.
    """
    ordered = sorted(points)
    return max((_doubled_area_under(ordered, 1) - _doubled_area_under(ordered, -1)) / 2, 0.0)


def _doubled_area_under(ordered: Sequence[Point], side: int) -> float:
    """Return twice the area under the hull's upper (side 1) or lower (-1) border, for points from left to right."""
    border: list[Point] = []
    for x, y in ordered:
        while len(border) > 1:
            (x1, y1), (x2, y2) = border[-2:]
            if side * ((x2 - x1) * (y - y1) - (y2 - y1) * (x - x1)) < 0:
                break
            border.pop()
        border.append((x, y))
    return sum((x2 - x1) * (y1 + y2) for (x1, y1), (x2, y2) in pairwise(border))


def _mean(points: Sequence[Point]) -> Point:
    return math.fsum(x for x, _ in points) / len(points), math.fsum(y for _, y in points) / len(points)


def _middle_frames(start: float, end: float, first_frame: int, n_frames: int) -> slice:
    """Return the frames in the middle half of a phone, or the one nearest its middle; only those that are kept."""
    quarter = (end - start) / 4
    first = math.ceil((start + quarter) * FRAMES_PER_SECOND - 1e-6)
    last = math.floor((end - quarter) * FRAMES_PER_SECOND + 1e-6)
    if last < first:
        first = last = round((start + end) / 2 * FRAMES_PER_SECOND)
    return slice(max(first - first_frame, 0), max(min(last + 1 - first_frame, n_frames), 0))
