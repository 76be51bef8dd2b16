"""The size of the vowel space, independent of the length of the vocal tract.  Cost: under 1 ms an utterance.

Shape legend: T frames of 10 ms of the kept region, V vowels said.
"""

from collections.abc import Sequence

import numpy as np
from scipy.spatial import ConvexHull, QhullError

from accent.features.schema import FRAMES_PER_SECOND
from accent.features.utterance.rhythm import Interval

VOWEL_COLUMNS: tuple[str, ...] = ("vowel_space_area_lobanov",)
"""In squared standard deviations."""
MONOPHTHONGS: tuple[str, ...] = ("AA", "AE", "AH", "AO", "EH", "IH", "IY", "UH", "UW")
"""Vowels with one place in the F1-F2 plane: neither diphthongs nor the r-coloured ER."""
MIN_CATEGORIES = 3


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
    labels, points = [], []
    for start, end, label in intervals:
        if label not in MONOPHTHONGS:
            continue
        middle = _middle_frames(start, end, first_frame, len(f1_T))
        f1, f2 = f1_T[middle], f2_T[middle]
        both = np.isfinite(f1) & np.isfinite(f2)
        if both.any():
            labels.append(label)
            points.append((np.median(f1[both]), np.median(f2[both])))
    categories = sorted(set(labels))
    if len(categories) < MIN_CATEGORIES:
        return {VOWEL_COLUMNS[0]: float("nan")}
    points_V2 = np.array(points, dtype=np.float64)
    spread = points_V2.std(axis=0)
    if not np.all(spread > 0):
        return {VOWEL_COLUMNS[0]: float("nan")}
    scores_V2 = (points_V2 - points_V2.mean(axis=0)) / spread
    label_V = np.array(labels)
    corners = np.array([scores_V2[label_V == category].mean(axis=0) for category in categories])
    return {VOWEL_COLUMNS[0]: hull_area(corners)}


def hull_area(points: np.ndarray) -> float:
    """Return the area of the convex hull of points `[number, 2]`; 0 where they lie on one line."""
    try:
        # SciPy calls the measure of the inside "volume"; in the plane that is the area.
        return float(ConvexHull(points).volume)
    except QhullError:
        return 0.0


def _middle_frames(start: float, end: float, first_frame: int, n_frames: int) -> np.ndarray:
    """Return the frames in the middle half of a phone, or the one nearest its middle; only those that are kept."""
    quarter = (end - start) / 4
    first = int(np.ceil((start + quarter) * FRAMES_PER_SECOND - 1e-6))
    last = int(np.floor((end - quarter) * FRAMES_PER_SECOND + 1e-6))
    if last < first:
        first = last = round((start + end) / 2 * FRAMES_PER_SECOND)
    frames = np.arange(first, last + 1) - first_frame
    return frames[(frames >= 0) & (frames < n_frames)]
