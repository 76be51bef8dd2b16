"""Unknown accents: the area is the share of pairs in the right order; the interval comes from drawing speakers."""

import math

import numpy as np
import pytest
from sklearn.metrics import auc

from accent.inference.calibration import unknownness
from accent.metrics import unknown_accent_auc, unknown_accent_curve


def test_unknownness_is_minus_the_log_of_the_summed_exponentials():
    logits_NA = np.array([[1.0, 2.0, 3.0], [0.0, 0.0, 0.0]])
    expected = [-math.log(sum(math.exp(value) for value in row)) for row in logits_NA]
    np.testing.assert_allclose(unknownness(logits_NA), expected)


def test_the_area_is_the_share_of_pairs_in_order():
    generator = np.random.default_rng(0)
    known, unknown = generator.normal(0, 1, 40).round(1), generator.normal(1, 1, 30).round(1)
    pairs = [1.0 if new > old else 0.5 if new == old else 0.0 for new in unknown for old in known]
    found = unknown_accent_auc(known, np.arange(40) // 4, unknown, np.arange(30) // 3)
    assert found.value == pytest.approx(np.mean(pairs))
    assert found.interval[0] < found.value < found.interval[1]
    curve = unknown_accent_curve(known, unknown)
    assert auc(curve.false_alarm_P, curve.detection_P) == pytest.approx(found.value)


def test_the_interval_is_that_of_speakers_drawn_one_by_one():
    generator = np.random.default_rng(1)
    known_speaker, unknown_speaker = np.repeat(np.arange(12), 5), np.repeat(np.arange(10), 5)
    known = generator.normal(0, 1, 12)[known_speaker] + generator.normal(0, 0.3, 60)
    unknown = generator.normal(0.8, 1, 10)[unknown_speaker] + generator.normal(0, 0.3, 50)
    areas = []
    for _ in range(1_000):
        rows = np.concatenate([np.flatnonzero(known_speaker == one) for one in generator.integers(0, 12, 12)])
        others = np.concatenate([np.flatnonzero(unknown_speaker == one) for one in generator.integers(0, 10, 10)])
        areas.append((unknown[others] > known[rows][:, None]).mean())
    found = unknown_accent_auc(known, known_speaker, unknown, unknown_speaker)
    np.testing.assert_allclose(found.interval, np.quantile(areas, [0.025, 0.975]), atol=0.03)


@pytest.mark.parametrize(("known", "unknown", "reason"), [(0, 3, "a known"), (3, 0, "an unknown")])
def test_nobody_of_one_kind_has_no_area(known, unknown, reason):
    found = unknown_accent_auc(np.zeros(known), np.arange(known), np.ones(unknown), np.arange(unknown))
    assert found.value is None and reason in found.reason
