"""Rounding keeps six digits, and hides the last digits of a float64 in which processors differ."""

import math

import numpy as np
import pytest

from accent.rounding import DIGITS, rounded


def test_a_rounded_number_is_as_near_as_its_digits_allow_and_rounds_to_itself() -> None:
    generator = np.random.default_rng(0)
    for value in (generator.choice([-1, 1], 2000) * 10.0 ** generator.uniform(-9, 9, 2000)).tolist():
        found = rounded(value)
        assert abs(found - value) <= 0.5 * 10.0 ** (1 - DIGITS) * abs(value) * (1 + 1e-9)
        assert rounded(found) == found


@pytest.mark.parametrize("noise", [1e-16, 1e-14, 1e-12])
def test_values_that_differ_in_their_last_digits_become_the_same(noise: float) -> None:
    generator = np.random.default_rng(1)
    values = generator.normal(0, 100, 20_000)
    others = values * (1 + noise * generator.uniform(-1, 1, len(values)))
    different = sum(rounded(one) != rounded(other) for one, other in zip(values.tolist(), others.tolist(), strict=True))
    # Of a value whose next digits are evenly spread, the edge is nearer than the noise in 2 noise 10^digits of cases.
    assert different <= 1


@pytest.mark.parametrize("value", [1e-17, -1e-17, 0.0, -0.0, 9e-11])
def test_what_is_nearly_zero_is_zero_without_a_sign(value: float) -> None:
    assert math.copysign(1.0, rounded(value)) == 1.0 and rounded(value) == 0.0


def test_other_values_stay_and_containers_are_gone_through() -> None:
    value = {"a": 1234567, "b": "1.23456789", "c": [1.23456789, None, True], "d": {"e": (math.inf, -math.inf)}}
    assert rounded(value) == {**value, "c": [1.23457, None, True], "d": {"e": [math.inf, -math.inf]}}
    assert math.isnan(rounded(math.nan))
