"""Autocorrelation of frames against sums worked out by hand, and its maxima between whole lags."""

import numpy as np
import pytest

from accent.dsp.maxima import (
    DEEPEST,
    SLACK,
    highest_rise,
    interpolated,
    interpolation_weights,
    may_reach,
    positive_maxima,
    refined_maximum,
)
from accent.features.kernels.autocorrelation import (
    fft_size,
    inverse_window_correlation,
    normalised_autocorrelation,
    peaks_near_centre,
    weigh_frames,
)

WIDTH = 240
REACH = 80
HIGHEST_LAG = 119
LAST_LAG = WIDTH // 2 - 1


def hann(width: int) -> np.ndarray:
    return 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(width) / (width - 1))


def frame_by_hand(samples: np.ndarray, centre: int, window: np.ndarray) -> np.ndarray:
    padded = np.concatenate([np.zeros(1000), samples, np.zeros(1000)])
    at = centre + 1000
    mean = padded[at - REACH : at + REACH].mean()
    return (padded[at - len(window) // 2 : at + len(window) // 2] - mean) * window


def correlation_by_hand(frame: np.ndarray, window: np.ndarray) -> np.ndarray:
    """The normalised autocorrelation at lags 0 .. HIGHEST_LAG."""
    ratio = [np.correlate(values, values, "full")[len(window) - 1 :][: HIGHEST_LAG + 1] for values in (frame, window)]
    return (ratio[0] / ratio[0][0]) / (ratio[1] / ratio[1][0])


def sinc_sum(correlation: np.ndarray, lag: float, depth: int) -> float:
    """Boersma's interpolation, term by term; `correlation` starts at lag 0 and is even."""
    whole = int(np.floor(lag))
    phase = lag - whole
    total = 0.0
    for number in range(1, depth + 1):
        for distance, nearest, at in (
            (phase + number - 1, phase, whole + 1 - number),
            (number - phase, 1 - phase, whole + number),
        ):
            taper = 0.5 + 0.5 * np.cos(np.pi * distance / (nearest + depth))
            total += correlation[abs(at)] * np.sinc(distance) * taper
    return total


def correlations(samples: np.ndarray, centres: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    window = hann(WIDTH)
    frames = np.empty((len(centres), fft_size(WIDTH, HIGHEST_LAG)))
    weigh_frames(samples, centres, window, REACH, frames)
    return frames, normalised_autocorrelation(frames, inverse_window_correlation(window, HIGHEST_LAG))


def coloured_noise(n_samples: int, seed: int, taps: int = 3) -> np.ndarray:
    return np.convolve(np.random.default_rng(seed).standard_normal(n_samples), np.ones(taps))[:n_samples]


def maxima(row: np.ndarray) -> list[int]:
    """Whole lags of the maxima up to a third of the window."""
    lag = np.arange(2, WIDTH // 3 + 1)
    before, here, behind = (row[DEEPEST + lag + shift] for shift in (-1, 0, 1))
    return lag[(here > before) & (here >= behind) & (here > 0)].tolist()


@pytest.mark.parametrize("n_samples", [1, 10, 100, 241, 3000])
def test_frames_lose_the_mean_of_their_middle_and_beyond_the_sound_there_is_silence(n_samples: int) -> None:
    samples = coloured_noise(n_samples, 0) + 0.5
    centres = np.arange(0, n_samples + 400, 57)
    frames, _ = correlations(samples, centres)
    expected = np.stack([frame_by_hand(samples, int(centre), hann(WIDTH)) for centre in centres])
    np.testing.assert_allclose(frames[:, :WIDTH], expected, atol=1e-12)
    assert (frames[:, WIDTH:] == 0).all()
    np.testing.assert_allclose(
        peaks_near_centre(frames, WIDTH, 30), np.abs(expected[:, WIDTH // 2 - 30 : WIDTH // 2 + 30]).max(axis=1)
    )


def test_the_autocorrelation_is_that_of_the_definition_and_mirrored() -> None:
    samples = coloured_noise(3000, 1)
    centres = np.arange(0, 3000, 160)
    frames, found = correlations(samples, centres)
    expected = np.stack([correlation_by_hand(frame[:WIDTH], hann(WIDTH)) for frame in frames])
    np.testing.assert_allclose(found[:, DEEPEST : DEEPEST + HIGHEST_LAG + 1], expected, atol=1e-9)
    np.testing.assert_array_equal(found[:, :DEEPEST], found[:, 2 * DEEPEST : DEEPEST : -1])


def test_a_frame_of_zeros_has_an_autocorrelation_of_zeros() -> None:
    _, found = correlations(np.zeros(1000), np.array([0, 500]))
    assert (found == 0).all()


@pytest.mark.parametrize("depth", [1, 7, 30, DEEPEST])
def test_interpolation_is_the_published_sum(depth: int) -> None:
    _, found = correlations(coloured_noise(1000, 2), np.array([500]))
    for lag in (8.0, 8.25, 31.999, 44.5, 48.03):
        expected = sinc_sum(found[0, DEEPEST:], lag, depth)
        assert interpolated(found[0], lag, depth) == pytest.approx(expected, abs=1e-12)


def test_a_refined_maximum_is_the_highest_point_between_the_neighbours() -> None:
    """Also close to the last lag, where interpolation reads fewer lags on both sides."""
    weights = interpolation_weights(1)
    _, found = correlations(coloured_noise(4000, 3), np.arange(200, 3800, 600))
    checked = 0
    for row in found:
        for whole in maxima(row):
            lag, height = refined_maximum(row, whole, LAST_LAG, weights)
            depth_at = {shift: min(DEEPEST, LAST_LAG - whole - shift) for shift in (-1, 0)}
            assert height == pytest.approx(sinc_sum(row[DEEPEST:], lag, depth_at[int(np.floor(lag)) - whole]), abs=1e-5)
            around = np.arange(-0.95, 0.96, 0.05)
            expected = [sinc_sum(row[DEEPEST:], whole + by, depth_at[-1 if by < 0 else 0]) for by in around]
            assert abs(lag - whole) < 1
            assert height >= max(expected) - 1e-5
            checked += 1
    assert checked > 40


def test_a_cosine_has_its_maximum_at_its_period() -> None:
    weights = interpolation_weights(DEEPEST)
    lag_axis = np.arange(-DEEPEST, 300)
    for period in np.linspace(7.3, 61.7, 23):
        row = np.cos(2 * np.pi * lag_axis / period)
        lag, height = refined_maximum(row, round(period), 299, weights)
        assert lag == pytest.approx(period, abs=1e-3)
        assert height == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("taps", [1, 2, 5])
def test_no_maximum_is_ruled_out_that_reaches_the_height(taps: int) -> None:
    weights = interpolation_weights(1)
    _, found = correlations(coloured_noise(20_000, 4, taps), np.arange(200, 19_800, 100))
    ruled_out = 0
    for row in found:
        for whole in maxima(row):
            _, height = refined_maximum(row, whole, LAST_LAG, weights)
            assert may_reach(row, whole, LAST_LAG, weights, height - 1e-3)
            ruled_out += not may_reach(row, whole, LAST_LAG, weights, 2 * height + 0.1)
    assert ruled_out > 500


@pytest.mark.parametrize("taps", [1, 2, 5, 20])
def test_no_maximum_rises_higher_above_its_whole_lag_than_the_bound(taps: int) -> None:
    weights = interpolation_weights(1)
    inverse = inverse_window_correlation(hann(WIDTH), HIGHEST_LAG)
    _, found = correlations(coloured_noise(20_000, 5, taps), np.arange(200, 19_800, 100))
    excess = [
        refined_maximum(row, whole, LAST_LAG, weights)[1]
        - row[DEEPEST + whole]
        - highest_rise(row, inverse) * inverse[whole]
        for row in found
        for whole in maxima(row)
    ]
    assert len(excess) > 300
    assert max(excess) <= SLACK


def test_maxima_are_listed_where_a_search_lag_by_lag_finds_them() -> None:
    rng = np.random.default_rng(6)
    lag_K = np.empty(100, dtype=np.int64)
    for values in (rng.standard_normal(400), rng.integers(-2, 3, 400).astype(float), np.zeros(400), np.ones(400)):
        expected = [
            lag
            for lag in range(3, 103)
            if values[DEEPEST + lag] > max(0, values[DEEPEST + lag - 1])
            and values[DEEPEST + lag] >= values[DEEPEST + lag + 1]
        ]
        assert lag_K[: positive_maxima(values, 3, 102, lag_K)].tolist() == expected
    assert positive_maxima(values, 3, 2, lag_K) == 0
