"""S-norm and quality calibration on trials whose right answer is known."""

import numpy as np
import pytest

from accent.metrics import cllr, equal_error_rate
from accent.metrics.quality_calibration import QualityCalibration
from accent.metrics.score_normalisation import adaptive_s_norm, cohort_statistics


def voices(draw, accent_directions, speakers, utterances, spread):
    """Speakers are their accent's direction and their own; an accent with a small spread has voices that look alike."""
    own = draw.standard_normal((speakers, len(accent_directions[0])))
    accent = np.arange(speakers) % len(accent_directions)
    centre = accent_directions[accent] + own * np.array(spread)[accent][:, None]
    speaker = np.repeat(np.arange(speakers), utterances)
    noise = 0.35 * draw.standard_normal((len(speaker), centre.shape[1])) * np.array(spread)[accent[speaker]][:, None]
    return centre[speaker] + noise, speaker, accent[speaker]


@pytest.fixture(scope="module")
def world():
    draw = np.random.default_rng(1)
    directions = draw.standard_normal((2, 24)) * 2
    spread = (1.0, 0.35)
    tested = voices(draw, directions, 60, 4, spread)
    cohort, _, cohort_accent = voices(draw, directions, 120, 1, spread)
    return tested, cohort, cohort_accent


def trials(speaker):
    first, second = np.triu_indices(len(speaker), 1)
    return first, second, speaker[first] == speaker[second]


def test_one_threshold_serves_both_accents_only_after_normalisation_within_the_accent(world):
    (embedding, speaker, accent), cohort, cohort_accent = world
    first, second, target = trials(speaker)
    unit = embedding / np.linalg.norm(embedding, axis=1, keepdims=True)
    raw = (unit[first] * unit[second]).sum(1)
    within = cohort_statistics(embedding, cohort, 20, accent, cohort_accent)
    whole = cohort_statistics(embedding, cohort, 20)
    same = accent[first] == accent[second]
    scores = {
        "raw": raw,
        "whole": adaptive_s_norm(raw, first, second, whole, whole),
        "within": adaptive_s_norm(raw, first, second, within, within),
    }
    errors = {name: equal_error_rate(score[same], target[same]) for name, score in scores.items()}
    assert errors["within"] < 0.7 * errors["raw"]
    assert errors["within"] <= errors["whole"] + 0.005


def test_the_formula_is_that_of_a_loop_over_trials(world):
    (embedding, speaker, accent), cohort, cohort_accent = world
    first, second, _ = trials(speaker[:12])
    unit, others = (one / np.linalg.norm(one, axis=1, keepdims=True) for one in (embedding, cohort))
    raw = (unit[first] * unit[second]).sum(1)
    within = cohort_statistics(embedding, cohort, 7, accent, cohort_accent)
    found = adaptive_s_norm(raw, first, second, within, within)
    for one, other, score, normalised in zip(first, second, raw, found, strict=True):
        sides = []
        for row in (one, other):
            near = sorted(unit[row] @ others[c] for c in range(len(others)) if cohort_accent[c] == accent[row])[-7:]
            sides.append((score - np.mean(near)) / np.std(near))
        assert normalised == pytest.approx(np.mean(sides))


def test_a_cohort_without_the_accent_is_refused(world):
    (embedding, _, accent), cohort, cohort_accent = world
    with pytest.raises(ValueError, match="the cohort of 1 has 0 speakers"):
        cohort_statistics(embedding, cohort[cohort_accent == 0], 5, accent, cohort_accent[cohort_accent == 0])
    with pytest.raises(ValueError, match="of neither"):
        cohort_statistics(embedding, cohort, 5, accent)


def test_scores_with_known_ratios_are_calibrated_to_them():
    draw = np.random.default_rng(0)
    n = 40_000
    target, same = draw.random(n) < 0.5, draw.random(n) < 0.5
    # Unit-variance normals 2 apart, moved up by 1.5 within an accent: the ratio is 2 (x - 1 - 1.5 same).
    score = draw.standard_normal(n) + 2.0 * target + 1.5 * same
    half = n // 2
    fitted = QualityCalibration.fit(score[:half], target[:half], same[:half], None)
    ratio = fitted.ratios(score[half:], same[half:], None)
    expected = 2 * (score[half:] - 1 - 1.5 * same[half:])
    assert np.abs(ratio - expected).mean() < 0.1
    blind = QualityCalibration.fit(score[:half], target[:half], np.zeros(half), None)
    without = blind.ratios(score[half:], np.zeros(half), None)
    cost, cost_without = (cllr(one[target[half:]], one[~target[half:]]) for one in (ratio, without))
    assert cost < cost_without - 0.02


def test_length_counts_where_it_is_given():
    draw = np.random.default_rng(2)
    n = 20_000
    target, seconds = draw.random(n) < 0.5, draw.uniform(1, 20, n)
    score = draw.standard_normal(n) + 2.0 * target + np.log(seconds)
    fitted = QualityCalibration.fit(score, target, np.zeros(n, bool), seconds)
    ratio = fitted.ratios(score, np.zeros(n, bool), seconds)
    assert np.abs(ratio - 2 * (score - 1 - np.log(seconds))).mean() < 0.15


def test_trials_of_one_kind_are_refused():
    with pytest.raises(ValueError, match="both target and non-target"):
        QualityCalibration.fit(np.ones(3), np.ones(3, bool), np.ones(3, bool), None)
