"""Calibration: against sums written out, and on cases whose answer is known."""

import math

import numpy as np
import pytest
from scipy.special import softmax
from sklearn.calibration import calibration_curve

from accent.metrics import accent_cllr, cllr, expected_calibration_error, fit_temperature, reliability


def simulated(seed: int, temperature: float, n: int = 20_000, n_accents: int = 4) -> tuple[np.ndarray, np.ndarray]:
    """Logits whose accents are drawn from them, then multiplied by the temperature."""
    generator = np.random.default_rng(seed)
    logits_NA = generator.normal(0, 2, (n, n_accents))
    accent_N = np.array([generator.choice(n_accents, p=row) for row in softmax(logits_NA, axis=1)])
    return temperature * logits_NA, accent_N


def test_calibration_error_is_the_sum_over_bins():
    probability_NA = np.array([[0.9, 0.1], [0.8, 0.2], [0.3, 0.7], [0.45, 0.55]])
    accent_N = np.array([0, 1, 1, 0])
    # Two bins of the confidence, (0, 0.5] and (0.5, 1]: all four in the upper one, right in two of four.
    assert expected_calibration_error(probability_NA, accent_N, bins=2) == pytest.approx(
        abs(2 / 4 - (0.9 + 0.8 + 0.7 + 0.55) / 4)
    )


@pytest.mark.parametrize("bins", [1, 5, 15])
def test_calibration_error_is_that_of_a_loop(bins):
    generator = np.random.default_rng(bins)
    probability_NA = softmax(generator.normal(size=(300, 5)), axis=1)
    accent_N = generator.integers(0, 5, 300)
    expected = 0.0
    for low in range(bins):
        rows = [row for row in range(300) if low / bins < max(probability_NA[row]) <= (low + 1) / bins]
        if rows:
            right = sum(int(np.argmax(probability_NA[row])) == accent_N[row] for row in rows) / len(rows)
            confidence = sum(max(probability_NA[row]) for row in rows) / len(rows)
            expected += len(rows) / 300 * abs(right - confidence)
    assert expected_calibration_error(probability_NA, accent_N, bins) == pytest.approx(expected, abs=1e-12)


def test_reliability_is_that_of_scikit_learn():
    logits_NA, accent_N = simulated(1, 2.0, n=500)
    probability_NA = softmax(logits_NA, axis=1)
    count_B, confidence_B, accuracy_B = reliability(probability_NA, accent_N, bins=10)
    right, sure = calibration_curve(probability_NA.argmax(1) == accent_N, probability_NA.max(1), n_bins=10)
    np.testing.assert_allclose(accuracy_B[count_B > 0], right)
    np.testing.assert_allclose(confidence_B[count_B > 0], sure)
    assert count_B.sum() == 500 and np.isnan(confidence_B[count_B == 0]).all()


def test_probabilities_that_come_true_have_a_small_error():
    logits_NA, accent_N = simulated(0, 1.0)
    assert expected_calibration_error(softmax(logits_NA, axis=1), accent_N) < 0.02
    assert expected_calibration_error(softmax(4 * logits_NA, axis=1), accent_N) > 0.1


def test_cllr_is_the_sum_of_its_definition():
    generator = np.random.default_rng(1)
    target, other = generator.normal(1, 2, 50), generator.normal(-1, 2, 70)
    expected = sum(math.log2(1 + math.exp(-ratio)) for ratio in target) / 50 / 2
    expected += sum(math.log2(1 + math.exp(ratio)) for ratio in other) / 70 / 2
    assert cllr(target, other) == pytest.approx(expected)


def test_cllr_of_ratios_that_say_nothing_is_one_bit():
    assert cllr(np.zeros(3), np.zeros(9)) == pytest.approx(1)
    assert cllr(np.full(3, 50.0), np.full(4, -50.0)) < 1e-12
    assert cllr(np.full(3, -9.0), np.full(4, 9.0)) > 1


def test_accent_cllr_is_the_mean_over_accents_of_a_loop():
    generator = np.random.default_rng(2)
    logits_NA, accent_N = generator.normal(size=(60, 3)), generator.integers(0, 3, 60)
    costs = []
    for accent in range(3):
        others = [one for one in range(3) if one != accent]
        ratio = [
            row[accent] - math.log(sum(math.exp(row[other]) for other in others) / len(others)) for row in logits_NA
        ]
        mine = [value for value, true in zip(ratio, accent_N, strict=True) if true == accent]
        theirs = [value for value, true in zip(ratio, accent_N, strict=True) if true != accent]
        costs.append(
            sum(math.log2(1 + math.exp(-value)) for value in mine) / len(mine) / 2
            + sum(math.log2(1 + math.exp(value)) for value in theirs) / len(theirs) / 2
        )
    assert accent_cllr(logits_NA, accent_N) == pytest.approx(np.mean(costs))
    assert accent_cllr(np.zeros((60, 3)), accent_N) == pytest.approx(1)
    # A constant a row is no information.
    assert accent_cllr(logits_NA + generator.normal(size=(60, 1)), accent_N) == pytest.approx(np.mean(costs))


def test_accent_cllr_needs_two_accents():
    with pytest.raises(ValueError, match="two accents"):
        accent_cllr(np.zeros((4, 3)), np.zeros(4, dtype=int))


@pytest.mark.parametrize("temperature", [0.25, 1.0, 5.0])
def test_the_temperature_that_made_logits_too_certain_is_found(temperature):
    logits_NA, accent_N = simulated(3, temperature)
    assert fit_temperature(logits_NA, accent_N) == pytest.approx(temperature, rel=0.1)


def test_every_accent_weighs_the_same_in_the_temperature():
    logits_NA, accent_N = simulated(4, 2.0)
    often = np.concatenate([np.arange(len(accent_N)), np.repeat(np.flatnonzero(accent_N == 0), 5)])
    assert fit_temperature(logits_NA[often], accent_N[often]) == pytest.approx(
        fit_temperature(logits_NA, accent_N), rel=1e-3
    )
