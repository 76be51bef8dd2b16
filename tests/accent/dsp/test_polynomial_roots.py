"""Quadratic factors of polynomials: known roots, LAPACK's roots, and all that could keep them from converging."""

from pathlib import Path

import numpy as np
import pytest

from accent.audio.prepare import AudioConfig, load_speech
from accent.dsp.polynomial_roots import ATTEMPTS, companion_factors, improve_factors, quadratic_factors
from accent.dsp.resample import brick_wall_resample
from accent.features.kernels.burg import burg_coefficients
from accent.features.kernels.formants import formant_window


def coefficients_of(roots: np.ndarray) -> np.ndarray:
    return -np.poly(roots).real[1:]


def roots_of(factors_K2: np.ndarray) -> np.ndarray:
    return np.concatenate([np.roots([1.0, *factor]) for factor in factors_K2])


def distance(roots: np.ndarray, expected: np.ndarray) -> float:
    """The largest distance from an expected root to the nearest found one that has not been taken."""
    left = list(roots)
    largest = 0.0
    for root in expected:
        nearest = int(np.argmin(np.abs(np.array(left) - root)))
        largest = max(largest, abs(left.pop(nearest) - root))
    return largest


def product_of(factors_K2: np.ndarray) -> np.ndarray:
    product = np.ones(1)
    for factor in factors_K2:
        product = np.convolve(product, [1.0, *factor])
    return product


def random_roots(generator: np.random.Generator, degree: int, n_real: int) -> np.ndarray:
    radii = generator.uniform(0.3, 1.0, (degree - n_real) // 2)
    pairs = radii * np.exp(1j * generator.uniform(0, np.pi, len(radii)))
    return np.concatenate([pairs, pairs.conj(), generator.uniform(-1, 1, n_real)])


@pytest.mark.parametrize("degree", [2, 4, 8, 10, 14, 20])
@pytest.mark.parametrize("n_real", [0, 2])
def test_known_roots_are_found(degree: int, n_real: int) -> None:
    generator = np.random.default_rng(degree)
    expected = [random_roots(generator, degree, n_real) for _ in range(150)]
    found = quadratic_factors(np.array([coefficients_of(roots) for roots in expected]))
    assert found.shape == (150, degree // 2, 2)
    # Roots drawn at random lie close together here and there, and are then less well defined.
    distances = [distance(roots_of(factors), roots) for factors, roots in zip(found, expected, strict=True)]
    assert np.median(distances) < 1e-12 * 10 ** (degree / 10)
    assert max(distances) < 1e-3


@pytest.mark.parametrize("degree", [8, 10, 20])
def test_the_product_of_the_factors_is_the_polynomial(degree: int) -> None:
    generator = np.random.default_rng(1)
    coefficients = np.array(
        [coefficients_of(random_roots(generator, degree, 2 * generator.integers(0, 4))) for _ in range(300)]
    )
    for row, factors in zip(coefficients, quadratic_factors(coefficients), strict=True):
        np.testing.assert_allclose(product_of(factors)[1:], -row, atol=1e-10 * max(1.0, np.abs(row).max()))


def test_the_models_of_speech_rarely_need_lapack_and_agree_with_it(saa: Path) -> None:
    samples = load_speech(saa / "FRA010" / "wav" / "arctic_a0002.wav", AudioConfig()).unfiltered_N
    resampled = brick_wall_resample(samples, 11_000)
    coefficients = np.empty((len(resampled) // 110 - 5, 10))
    burg_coefficients(resampled, 0, 110, formant_window(0.025, 11_000), coefficients)
    factors, settled = improve_factors(coefficients, *ATTEMPTS[0])
    print(f"\n{settled.mean():.2%} of {len(settled)} frames at the first attempt")
    assert settled.mean() > 0.95
    distances = [
        distance(roots_of(found), roots_of(companion_factors(row)))
        for found, row, good in zip(factors, coefficients, settled, strict=True)
        if good
    ]
    assert np.median(distances) < 1e-13 and max(distances) < 1e-9


@pytest.mark.parametrize(
    "roots",
    [
        np.zeros(10),
        np.full(10, 0.5),
        np.array([0.9, 0.9, -0.9, -0.9]),
        np.array([0.3 + 0.4j, 0.3 - 0.4j] * 3),
        np.exp(2j * np.pi * np.arange(10) / 10),
        np.array([50.0, -40.0, 3 + 4j, 3 - 4j]),
        np.array([1e-8, -1e-8, 0.5, 0.6, 0.7, 0.8]),
        np.array([0.99, 0.98, 0.97, 0.96, 0.95, 0.94, 0.93, 0.92]),
    ],
    ids=["all zero", "tenfold", "double real", "triple pairs", "of unity", "far out", "near zero", "all real"],
)
def test_hard_polynomials_are_factored_all_the_same(roots: np.ndarray) -> None:
    coefficients = coefficients_of(roots)
    (factors,) = quadratic_factors(coefficients[None])
    np.testing.assert_allclose(
        product_of(factors)[1:], -coefficients, atol=1e-10 * max(1.0, np.abs(coefficients).max())
    )


def test_what_a_frame_gets_does_not_depend_on_its_neighbours() -> None:
    generator = np.random.default_rng(2)
    coefficients = np.array([coefficients_of(random_roots(generator, 10, 2)) for _ in range(131)])
    coefficients[7] = np.nan
    coefficients[70] = 0.0
    together = quadratic_factors(coefficients)
    for first, last in ((0, 1), (3, 9), (60, 131), (130, 131)):
        np.testing.assert_array_equal(quadratic_factors(coefficients[first:last]), together[first:last])


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_row_that_is_not_finite_has_no_factors(value: float) -> None:
    coefficients = np.tile(coefficients_of(np.array([0.5 + 0.5j, 0.5 - 0.5j, 0.1, 0.2])), (3, 1))
    coefficients[1, 2] = value
    found = quadratic_factors(coefficients)
    assert np.isnan(found[1]).all()
    assert np.isfinite(found[[0, 2]]).all()


def test_coefficients_of_any_size_come_to_an_end() -> None:
    generator = np.random.default_rng(3)
    for exponent in (-300, -20, 0, 3, 20, 150):
        coefficients = generator.standard_normal((70, 10)) * 10.0**exponent
        assert quadratic_factors(coefficients).shape == (70, 5, 2)


def test_no_polynomial_gives_no_factors() -> None:
    assert quadratic_factors(np.empty((0, 10))).shape == (0, 5, 2)


@pytest.mark.parametrize("degree", [0, 3])
def test_an_odd_degree_is_refused(degree: int) -> None:
    with pytest.raises(ValueError, match="must be even"):
        quadratic_factors(np.zeros((2, degree)))
