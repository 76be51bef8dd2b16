"""Recursive filters against SciPy's, in one piece and in stretches."""

import numpy as np
import pytest
from scipy.signal import butter, sosfilt, sosfiltfilt

from accent.dsp.butterworth import EXTENSION, butterworth, filter_in_place, steady_state, zero_phase
from accent.grid import SAMPLE_RATE
from tests.support.sound.synthesis import noise

FILTERS = [(20.0, True), (50.0, True), (300.0, True), (4000.0, False), (7900.0, False), (60.0, False)]


def sections(edge_hz: float, highpass: bool) -> np.ndarray:
    return butter(4, edge_hz, "highpass" if highpass else "lowpass", fs=SAMPLE_RATE, output="sos")


def filtered(samples_N: np.ndarray, edge_hz: float, highpass: bool, backwards: bool = False) -> np.ndarray:
    result_N = samples_N.copy()
    coefficients_25 = np.array(butterworth(edge_hz, SAMPLE_RATE, highpass))
    filter_in_place(result_N, coefficients_25, np.zeros((2, 2)), backwards)
    return result_N


@pytest.mark.parametrize(("edge_hz", "highpass"), FILTERS)
def test_one_way_is_scipys(edge_hz: float, highpass: bool) -> None:
    samples_N = noise(1.0) + 0.3
    expected_N = sosfilt(sections(edge_hz, highpass), samples_N)
    tolerance = 1e-11 * np.abs(expected_N).max()
    np.testing.assert_allclose(filtered(samples_N, edge_hz, highpass), expected_N, rtol=0, atol=tolerance)


@pytest.mark.parametrize(("edge_hz", "highpass"), FILTERS)
@pytest.mark.parametrize("n_samples", [EXTENSION + 1, 1600, 16_001])
def test_both_ways_is_scipys(edge_hz: float, highpass: bool, n_samples: int) -> None:
    samples_N = noise(2.0)[:n_samples] + 0.3
    expected_N = sosfiltfilt(sections(edge_hz, highpass), samples_N)
    found_N = zero_phase(samples_N, butterworth(edge_hz, SAMPLE_RATE, highpass))
    print(f"\n{edge_hz} Hz: {np.abs(found_N - expected_N).max() / np.abs(expected_N).max():.1e} of the peak")
    np.testing.assert_allclose(found_N, expected_N, rtol=0, atol=1e-11 * np.abs(expected_N).max())


def test_stretches_one_after_the_other_are_the_whole() -> None:
    samples_N = noise(1.0)
    whole_N, pieces_N = filtered(samples_N, 50.0, True), samples_N.copy()
    coefficients_25, state_22 = np.array(butterworth(50.0, SAMPLE_RATE, True)), np.zeros((2, 2))
    for start, end in ((0, 1), (1, 160), (160, 9999), (9999, len(samples_N))):
        filter_in_place(pieces_N[start:end], coefficients_25, state_22, False)
    np.testing.assert_array_equal(pieces_N, whole_N)


def test_backwards_is_forwards_on_the_reversed_sound() -> None:
    samples_N = noise(0.5)
    reversed_N = np.ascontiguousarray(samples_N[::-1])
    np.testing.assert_array_equal(
        filtered(samples_N, 50.0, True, backwards=True), filtered(reversed_N, 50.0, True)[::-1]
    )


@pytest.mark.parametrize(("edge_hz", "highpass", "level"), [(50.0, True, 0.0), (4000.0, False, 0.3)])
def test_a_steady_offset_makes_no_step(edge_hz: float, highpass: bool, level: float) -> None:
    pair, samples_N = butterworth(edge_hz, SAMPLE_RATE, highpass), np.full(2000, 0.3)
    np.testing.assert_allclose(zero_phase(samples_N, pair), level, atol=1e-12)
    filter_in_place(samples_N, np.array(pair), 0.3 * steady_state(pair), False)
    np.testing.assert_allclose(samples_N, level, atol=1e-12)
