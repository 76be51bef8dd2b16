"""Moments of spectra and of columns, each against its definition in NumPy."""

import numpy as np
import pytest
from scipy.signal import get_window

from accent.dsp.moments import column_moments, moments_of_spectrum
from accent.grid import SAMPLE_RATE
from tests.support.sound.synthesis import noise


def moments_by_definition(samples_N: np.ndarray, lowest_hz: float) -> list[float]:
    power_F = np.abs(np.fft.rfft(samples_N * get_window("hann", len(samples_N)))) ** 2
    hertz_F = np.fft.rfftfreq(len(samples_N), 1 / SAMPLE_RATE)
    power_F[hertz_F < lowest_hz] = 0
    centre = np.average(hertz_F, weights=power_F)
    second, third, fourth = (np.average((hertz_F - centre) ** order, weights=power_F) for order in (2, 3, 4))
    return [centre, np.sqrt(second), third / second**1.5, fourth / second**2 - 3]


@pytest.mark.parametrize("n_samples", [128, 129, 500, 501, 1009])
@pytest.mark.parametrize("lowest_hz", [0.0, 300.0, 4000.0])
def test_moments_are_those_of_the_hann_weighted_sound(n_samples: int, lowest_hz: float) -> None:
    samples_N = noise(0.1, db_per_octave=-3.0)[:n_samples]
    found = moments_of_spectrum(np.fft.rfft(samples_N), n_samples, SAMPLE_RATE / n_samples, lowest_hz)
    np.testing.assert_allclose(found, moments_by_definition(samples_N, lowest_hz), rtol=1e-10, atol=1e-10)


def test_no_power_and_power_at_one_frequency_have_no_moments() -> None:
    silent_F = np.zeros(65, dtype=np.complex128)
    assert np.isnan(moments_of_spectrum(silent_F, 128, 125.0, 300.0)).all()
    silent_F[64] = 1.0
    # Above 7,950 Hz there is one frequency.
    assert np.isnan(moments_of_spectrum(silent_F, 128, 125.0, 7950.0)).all()


@pytest.mark.parametrize("n_frames", [0, 1, 2, 301])
@pytest.mark.parametrize("undefined_share", [0.0, 0.3, 1.0])
def test_column_moments_are_numpys_over_the_defined_values(n_frames: int, undefined_share: float) -> None:
    generator = np.random.default_rng(3)
    values_TD = generator.normal(generator.normal(0, 1000, 13), 1.0, (n_frames, 13))
    values_TD[generator.random(values_TD.shape) < undefined_share] = np.nan
    count_D, mean_D, squares_D = column_moments(values_TD)
    for column, values_T in enumerate(values_TD.T):
        defined = values_T[~np.isnan(values_T)]
        assert count_D[column] == len(defined)
        assert mean_D[column] == pytest.approx(defined.mean() if len(defined) else 0.0, rel=1e-13)
        assert squares_D[column] == pytest.approx(defined.var() * len(defined) if len(defined) else 0.0, rel=1e-10)


@pytest.mark.parametrize("n_columns", [1, 7, 143])
def test_column_moments_are_those_of_sums_from_first_to_last_bit_for_bit(n_columns: int) -> None:
    # One order and no fused product: the same on every processor, however wide its registers.
    generator = np.random.default_rng(5)
    values_TD = generator.normal(generator.normal(0, 100, n_columns), 3.0, (333, n_columns)).astype(np.float16)
    values_TD = values_TD.astype(np.float64)
    values_TD[generator.random(values_TD.shape) < 0.3] = np.nan
    total_D, squares_D = np.zeros(n_columns), np.zeros(n_columns)
    for frame_D in values_TD:
        total_D += np.where(np.isnan(frame_D), 0.0, frame_D)
    expected_D = total_D / (~np.isnan(values_TD)).sum(0)
    for frame_D in values_TD:
        distance_D = np.where(np.isnan(frame_D), 0.0, frame_D - expected_D)
        squares_D += distance_D * distance_D
    _, mean_D, found_D = column_moments(values_TD)
    assert mean_D.tobytes() == expected_D.tobytes()
    assert found_D.tobytes() == squares_D.tobytes()


def test_a_far_mean_costs_no_digits_of_the_variance() -> None:
    values_TD = 1e6 + np.random.default_rng(1).normal(0, 1e-3, (1000, 1))
    squares = column_moments(values_TD)[2][0]
    assert squares / 1000 == pytest.approx(np.var(values_TD - 1e6), rel=1e-6)
