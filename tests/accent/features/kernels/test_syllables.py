"""Peaks of the intensity: what holds between any two of them, whatever the intensity."""

from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from accent.features.kernels.syllables import peaks_between_dips

INTENSITIES = st.lists(st.integers(40, 60).map(float), min_size=1, max_size=60).map(np.array)


@given(INTENSITIES, st.sampled_from([0.0, 1.0, 2.0, 5.0]))
def test_between_two_peaks_the_intensity_falls_below_both(intensity_T: np.ndarray, dip_db: float) -> None:
    peaks = peaks_between_dips(intensity_T, dip_db)
    assert (np.diff(peaks) > 0).all()
    for left, right in pairwise(peaks):
        dip = intensity_T[left : right + 1].min()
        assert dip <= min(intensity_T[left], intensity_T[right]) - dip_db


@given(INTENSITIES, st.sampled_from([1.0, 2.0, 5.0]))
def test_no_peak_is_missed(intensity_T: np.ndarray, dip_db: float) -> None:
    """The most peaks with dips between them, counted by trying every chain of frames."""
    longest = np.ones(len(intensity_T), dtype=int)
    for right in range(len(intensity_T)):
        for left in range(right):
            lower = min(intensity_T[left], intensity_T[right])
            if intensity_T[left : right + 1].min() <= lower - dip_db:
                longest[right] = max(longest[right], longest[left] + 1)
    assert len(peaks_between_dips(intensity_T, dip_db)) == longest.max()


def test_of_peaks_without_a_dip_between_them_the_highest_counts_and_of_equal_ones_the_first() -> None:
    intensity_T = np.array([50.0, 60, 59, 61, 59.5, 57, 66, 64.5, 66, 40, 45, 30, 63])
    assert peaks_between_dips(intensity_T, 2.0).tolist() == [3, 6, 10, 12]


def test_undefined_intensity_is_passed_over() -> None:
    intensity_T = np.array([50.0, 60, np.nan, 50, np.nan, 61, 55])
    assert peaks_between_dips(intensity_T, 2.0).tolist() == [1, 5]
