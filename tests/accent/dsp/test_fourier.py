"""The Fourier transform of frames side by side: against NumPy's, and the same bytes wherever a frame stands."""

import numpy as np
import pytest

from accent.dsp.compile import kernel
from accent.dsp.fourier import reversed_order, rotations, transform
from accent.dsp.lanes import (
    ALIGNMENT,
    LANES,
    aligned_empty,
    load,
    load_rows,
    store,
    store_rows,
    transposed,
)
from accent.dsp.real_fourier import (
    autocorrelations,
    cosine_transforms,
    lanes_to_rows,
    points_for,
    power_spectra,
)

SIZES = [2**power for power in range(2, 14)]
REAL_SIZES = [size for size in SIZES if size >= 16]
ROUNDING = 1e-13
"""Of the largest value of a frame's result."""


def sequences(n_points: int, seed: int = 0) -> np.ndarray:
    real, imaginary = np.random.default_rng(seed).standard_normal((2, LANES, n_points))
    return np.asarray(real + 1j * imaginary)


def transformed(sequences_8M: np.ndarray) -> np.ndarray:
    n_points = sequences_8M.shape[1]
    points = np.ascontiguousarray(np.stack([sequences_8M.real.T, sequences_8M.imag.T], axis=1))
    transform(points, n_points, rotations(n_points))
    return np.asarray((points[:, 0] + 1j * points[:, 1])[reversed_order(n_points)[:-1]].T)


def frames(n_frames: int, n_samples: int, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((n_frames, n_samples))


def as_rows(values_GF8: np.ndarray) -> np.ndarray:
    return np.swapaxes(values_GF8, 1, 2).reshape(-1, values_GF8.shape[1])


def assert_close(found_BF: np.ndarray, expected_BF: np.ndarray) -> None:
    for found_F, expected_F in zip(found_BF, expected_BF, strict=True):
        np.testing.assert_allclose(found_F, expected_F, rtol=0, atol=ROUNDING * np.abs(expected_F).max())


def correlation_by_definition(frame_S: np.ndarray, n_lags: int) -> np.ndarray:
    return np.correlate(frame_S, frame_S, "full")[len(frame_S) - 1 :][:n_lags]


# The complex transform


@pytest.mark.parametrize("n_points", SIZES)
def test_the_transform_is_numpys(n_points: int) -> None:
    assert_close(transformed(sequences(n_points)), np.fft.fft(sequences(n_points)))


@pytest.mark.parametrize("n_points", SIZES)
def test_the_transform_of_an_impulse_is_a_rotation_and_that_of_a_constant_exactly_one_line(n_points: int) -> None:
    impulses = np.zeros((LANES, n_points), dtype=complex)
    impulses[np.arange(LANES), np.arange(LANES) % n_points] = 1
    turns = np.outer(np.arange(LANES) % n_points, np.arange(n_points)) / n_points
    np.testing.assert_allclose(transformed(impulses), np.exp(-2j * np.pi * turns), atol=1e-14)
    constant = transformed(np.full((LANES, n_points), 0.3 - 0.1j))
    assert (constant[:, 1:] == 0).all()


@pytest.mark.parametrize("n_points", [8, 64, 512, 1024])
def test_the_transform_is_linear(n_points: int) -> None:
    first, second = sequences(n_points, 2), sequences(n_points, 3)
    mixed = transformed(0.7 * first - 2j * second)
    assert_close(mixed, 0.7 * transformed(first) - 2j * transformed(second))


@pytest.mark.parametrize("n_points", SIZES)
def test_zeros_stay_zeros(n_points: int) -> None:
    assert (transformed(np.zeros((LANES, n_points))) == 0).all()


@pytest.mark.parametrize("n_points", [16, 512, 1024])
def test_a_sequence_has_the_same_bytes_in_every_lane_whatever_its_neighbours(n_points: int) -> None:
    alone = sequences(n_points)[0]
    everywhere = transformed(np.tile(alone, (LANES, 1)))
    for lane in range(LANES):
        assert everywhere[lane].tobytes() == everywhere[0].tobytes()
        among_others = 1e9 * sequences(n_points, 4)
        among_others[lane] = alone
        assert transformed(among_others)[lane].tobytes() == everywhere[0].tobytes()


@pytest.mark.parametrize("n_points", [0, 1, 2, 3, 12, 960])
def test_other_sizes_are_refused(n_points: int) -> None:
    with pytest.raises(ValueError, match="power of two"):
        rotations(n_points)


# Real frames


@pytest.mark.parametrize("n_points", REAL_SIZES)
@pytest.mark.parametrize("n_frames", [1, 8, 13])
def test_power_spectra_are_numpys(n_points: int, n_frames: int) -> None:
    frames_BS = frames(n_frames, n_points)
    found_BF = as_rows(power_spectra(frames_BS, n_points))
    assert_close(found_BF[:n_frames], np.abs(np.fft.rfft(frames_BS)) ** 2)
    assert (found_BF[n_frames:] == 0).all()


def test_samples_behind_the_points_of_the_transform_are_not_read() -> None:
    longer_BS = frames(9, 1200)
    longer_BS[:, 1024:] = np.nan
    shorter_BS = np.ascontiguousarray(longer_BS[:, :1024])
    np.testing.assert_array_equal(power_spectra(longer_BS, 1024), power_spectra(shorter_BS, 1024))


@pytest.mark.parametrize("n_points", REAL_SIZES)
def test_cosine_transforms_are_the_spectra_of_even_sequences(n_points: int) -> None:
    values_GF8 = frames(3 * LANES, n_points // 2 + 1).reshape(3, n_points // 2 + 1, LANES)
    values_BF = as_rows(values_GF8)
    even_BS = np.concatenate([values_BF, values_BF[:, -2:0:-1]], axis=1)
    assert_close(cosine_transforms(values_GF8), np.fft.rfft(even_BS).real)


@pytest.mark.parametrize("n_points", REAL_SIZES[:8])
@pytest.mark.parametrize("n_frames", [1, 8, 13])
def test_autocorrelations_are_sums_of_products(n_points: int, n_frames: int) -> None:
    frames_BS = frames(n_frames, n_points)
    frames_BS[:, n_points * 5 // 8 :] = 0
    # From here on lags would wrap round; they are more than a quarter of the points.
    n_lags = n_points - n_points * 5 // 8 + 1
    found_BL = as_rows(autocorrelations(frames_BS, n_lags))
    assert_close(
        found_BL[:n_frames, :n_lags], np.stack([correlation_by_definition(each, n_lags) for each in frames_BS])
    )
    assert (found_BL[:, n_lags:] == 0).all()
    assert (found_BL[n_frames:] == 0).all()


def test_autocorrelations_reach_lags_of_half_the_points_and_no_further() -> None:
    frames_BS = frames(2, 64)
    frames_BS[:, 31:] = 0
    found_BL = as_rows(autocorrelations(frames_BS, 33))[:2, :33]
    assert_close(found_BL, np.stack([correlation_by_definition(each, 33) for each in frames_BS]))
    with pytest.raises(ValueError, match="34 lags"):
        autocorrelations(frames_BS, 34)


def test_lags_that_wrap_round_change_their_sign() -> None:
    frame_S = frames(1, 64)
    found_L = as_rows(autocorrelations(frame_S, 33))[0, :33]
    whole_L = correlation_by_definition(frame_S[0], 64)
    expected_L = whole_L[:33] - np.append(0, whole_L[:31:-1])[:33]
    assert_close(found_L[None], expected_L[None])


@pytest.mark.parametrize("n_points", [512, 1024, 2048])
def test_a_frame_has_the_same_bytes_wherever_it_stands(n_points: int) -> None:
    frames_BS = frames(21, n_points)
    power_BF, correlation_BL = as_rows(power_spectra(frames_BS, n_points)), as_rows(autocorrelations(frames_BS, 99))
    cosine_BF = cosine_transforms(power_spectra(frames_BS, n_points))
    for first, last in ((0, 1), (3, 11), (5, 21), (20, 21)):
        part_BS = frames_BS[first:last]
        n_frames = last - first
        power_GF8 = power_spectra(part_BS, n_points)
        assert as_rows(power_GF8)[:n_frames].tobytes() == power_BF[first:last].tobytes()
        assert cosine_transforms(power_GF8)[:n_frames].tobytes() == cosine_BF[first:last].tobytes()
        assert as_rows(autocorrelations(part_BS, 99))[:n_frames].tobytes() == correlation_BL[first:last].tobytes()


def test_a_frame_of_zeros_stays_one_beside_loud_ones() -> None:
    frames_BS = 1e6 * frames(16, 512)
    frames_BS[5] = 0
    assert (as_rows(power_spectra(frames_BS, 512))[5] == 0).all()
    assert (as_rows(autocorrelations(frames_BS, 100))[5] == 0).all()


def test_the_points_are_the_next_power_of_two() -> None:
    assert [points_for(n) for n in (1, 16, 17, 512, 513, 1000, 2044)] == [16, 16, 32, 512, 1024, 1024, 2048]


@pytest.mark.parametrize("n_values", [1, 7, 8, 65, 513])
def test_lanes_become_rows(n_values: int) -> None:
    values_F8, rows_8F = frames(n_values, LANES), np.empty((LANES, n_values))
    lanes_to_rows(values_F8, rows_8F)
    np.testing.assert_array_equal(rows_8F, values_F8.T)


# Lanes


@kernel
def _combined(left: np.ndarray, right: np.ndarray, number: float, result: np.ndarray) -> None:
    first, second = load(left, 3), load(right, 0)
    store(result, 5, (first + second) * number - first * second - number)


@kernel
def _turned(matrix: np.ndarray, result: np.ndarray) -> None:
    store_rows(result, 2, 11, transposed(load_rows(matrix, 1, 20)))


def test_lanes_are_added_subtracted_and_multiplied_one_by_one() -> None:
    left, right, result = frames(1, 12)[0], frames(1, 8, 5)[0], np.zeros(14)
    _combined(left, right, 0.5, result)
    inner = left[3:11]
    np.testing.assert_array_equal(result[5:13], (inner + right) * 0.5 - inner * right - 0.5)
    assert (result[:5] == 0).all()
    assert result[13] == 0


def test_eight_rows_of_eight_are_transposed() -> None:
    matrix, result = frames(8, 20), np.zeros((8, 11))
    _turned(matrix, result)
    np.testing.assert_array_equal(result[:, 2:10], matrix[:, 1:9].T)
    assert (result[:, [0, 1, 10]] == 0).all()


@pytest.mark.parametrize("n_rows", [1, 2, 100, 5000])
def test_aligned_arrays_start_at_a_line_of_the_cache(n_rows: int) -> None:
    array = aligned_empty(n_rows)
    assert array.ctypes.data % ALIGNMENT == 0
    assert array.shape == (n_rows * LANES,)
