"""From integers of 16 bits and to floats of 16 bits: the same numbers as NumPy's."""

import numpy as np
import pytest

from accent.dsp.casts import scaled_with_sum, to_half

SIXTEEN_BITS = 2**16
EXPONENTS = np.arange(-126, 16)


def as_rows(values: np.ndarray) -> np.ndarray:
    """Lay float32 values out in rows of 7, zeros after the last."""
    padded = np.zeros(-(-len(values) // 7) * 7, dtype=np.float32)
    padded[: len(values)] = values
    return padded.reshape(-1, 7)


def test_every_half_and_what_lies_between_two_is_rounded_as_numpy_rounds() -> None:
    halves = np.arange(SIXTEEN_BITS, dtype=np.uint16).view(np.float16)
    exact = np.sort(halves[np.isfinite(halves)].astype(np.float32))
    between = (exact[1:] + exact[:-1]) / 2
    nearly = [np.nextafter(between, np.float32(direction * np.inf)) for direction in (-1, 1)]
    values_TD = as_rows(np.concatenate([exact, between, *nearly]))
    np.testing.assert_array_equal(to_half(values_TD), values_TD.astype(np.float16).view(np.uint16))


def test_numbers_of_every_size_are_rounded_as_numpy_rounds() -> None:
    rng = np.random.default_rng(0)
    values = rng.uniform(1, 2, (200, len(EXPONENTS))) * 2.0**EXPONENTS * rng.choice([-1, 1], (200, len(EXPONENTS)))
    values_TD = np.ascontiguousarray(values[np.abs(values).max(axis=1) < 65_520], dtype=np.float32)
    assert len(values_TD) > 50
    np.testing.assert_array_equal(to_half(values_TD), values_TD.astype(np.float16).view(np.uint16))


def test_undefined_values_stay_undefined_with_the_same_bytes_whatever_their_payload() -> None:
    payloads = np.array([0x7FC00000, 0x7F800001, 0x7FFFFFFF], dtype=np.uint32).view(np.float32)
    halves_TD = to_half(payloads[None])
    assert np.isnan(halves_TD.view(np.float16)).all()
    assert len(np.unique(halves_TD)) == 1


@pytest.mark.parametrize("count", [0, 1, 100_003])
def test_integers_are_scaled_and_added_exactly(count: int) -> None:
    samples_N = np.random.default_rng(0).integers(-32_768, 32_768, count).astype(np.int16)
    scaled_N, total = scaled_with_sum(samples_N, 2.0**-15)
    assert scaled_N.dtype == np.float32
    np.testing.assert_array_equal(scaled_N, samples_N / 32_768)
    assert total == samples_N.astype(np.int64).sum()
