"""The permutation test: against every permutation, on chance and on certainty."""

from itertools import permutations

import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score

from accent.metrics import permuted_accents


def test_the_p_value_is_that_of_all_permutations():
    accent_S, told_S = np.array([0, 0, 0, 1, 1, 2]), np.array([0, 0, 1, 1, 2, 2])
    scores = [balanced_accuracy_score(list(order), told_S) for order in permutations(accent_S)]
    value = balanced_accuracy_score(accent_S, told_S)
    expected = np.mean([score >= value - 1e-12 for score in scores])
    found = permuted_accents(accent_S, told_S, permutations=20_000)
    assert found.value == pytest.approx(value)
    assert found.p_value == pytest.approx(expected, abs=0.01)
    assert found.highest == pytest.approx(max(scores))


def test_the_score_is_the_mean_over_seeds():
    accent_S = np.array([3, 3, 5, 5, 5])
    told_KS = np.array([[3, 5, 5, 5, 5], [3, 3, 3, 3, 3]])
    expected = np.mean([balanced_accuracy_score(accent_S, told_S) for told_S in told_KS])
    assert permuted_accents(accent_S, told_KS, permutations=10).value == pytest.approx(expected)


def test_certainty_has_the_smallest_p_value_and_a_guess_a_large_one():
    generator = np.random.default_rng(0)
    accent_S = np.repeat(np.arange(4), 20)
    assert permuted_accents(accent_S, accent_S, permutations=999).p_value == pytest.approx(1 / 1000)
    p_values = [
        permuted_accents(accent_S, generator.integers(0, 4, 80), permutations=199, seed=trial).p_value
        for trial in range(200)
    ]
    # Under chance p-values are uniform: the share below 0.2 is about 0.2 (standard error 0.03).
    assert 0.1 < np.mean(np.array(p_values) <= 0.2) < 0.3
