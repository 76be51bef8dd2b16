"""Operating points and costs, against a search over all thresholds."""

import numpy as np
import pytest

from accent.metrics import equal_error_rate
from accent.metrics.detection import equal_error_point, min_dcf


def trials(seed: int, targets: int = 40, others: int = 60, distance: float = 1.0):
    draw = np.random.default_rng(seed)
    score = np.concatenate([draw.normal(distance, 1, targets), draw.normal(0, 1, others)]).round(2)
    return score, np.arange(targets + others) < targets


def rates(score, target, threshold):
    accepted = score > threshold
    return accepted[~target].mean(), (~accepted[target]).mean()


def all_thresholds(score):
    values = np.unique(score)
    return np.concatenate([[values[0] - 1], (values[:-1] + values[1:]) / 2, [values[-1] + 1]])


@pytest.mark.parametrize("seed", range(10))
def test_no_threshold_brings_the_two_rates_closer(seed):
    score, target = trials(seed)
    point = equal_error_point(score, target)
    assert rates(score, target, point.threshold) == pytest.approx((point.false_acceptance, point.false_rejection))
    gap = min(abs(np.subtract(*rates(score, target, at))) for at in all_thresholds(score))
    assert abs(point.false_acceptance - point.false_rejection) == pytest.approx(gap)
    low, high = sorted((point.false_acceptance, point.false_rejection))
    assert low - 1e-9 <= equal_error_rate(score, target) <= high + 1e-9 or high - low < 0.03


@pytest.mark.parametrize("prior", [0.01, 0.05, 0.5, 0.9])
@pytest.mark.parametrize("seed", range(3))
def test_the_smallest_cost_is_that_of_the_best_of_all_thresholds(seed, prior):
    score, target = trials(seed)
    costs = [
        prior * miss + (1 - prior) * false for false, miss in (rates(score, target, at) for at in all_thresholds(score))
    ]
    assert min_dcf(score, target, prior) == pytest.approx(min(costs) / min(prior, 1 - prior))


def test_perfect_and_silent_systems():
    target = np.array([True, True, False, False])
    assert min_dcf(np.array([3.0, 2.0, 1.0, 0.0]), target) == 0
    assert min_dcf(np.zeros(4), target) == 1
    point = equal_error_point(np.array([3.0, 2.0, 1.0, 0.0]), target)
    assert point == (1.5, 0, 0)


def test_trials_of_one_kind_are_refused():
    with pytest.raises(ValueError, match="both target and non-target"):
        min_dcf(np.ones(3), np.ones(3, bool))
    with pytest.raises(ValueError, match="both target and non-target"):
        equal_error_point(np.ones(3), np.zeros(3, bool))
