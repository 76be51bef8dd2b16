"""Figures over folds and seeds: means, intervals from the same draws, each speaker once; error rates with intervals."""

import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score

from accent.metrics import (
    accent_eer,
    classification,
    classification_over_seeds,
    confusion_by_speaker,
    equal_error_rate,
    mean_estimate,
    speaker_eer,
)
from accent.metrics.estimate import Estimate, speaker_draws


def made_up(seed: int, speakers: int = 12, utterances: int = 5, n_accents: int = 3):
    generator = np.random.default_rng(seed)
    speaker_N = np.repeat(np.arange(speakers), utterances)
    accent_N = speaker_N % n_accents
    told_N = np.where(generator.random(len(speaker_N)) < 0.6, accent_N, generator.integers(0, n_accents, len(accent_N)))
    return accent_N, told_N, speaker_N


def test_one_seed_is_the_classification_of_one_seed():
    accent_N, told_N, speaker_N = made_up(0)
    alone = classification(accent_N, told_N, speaker_N, 3)
    over = classification_over_seeds(confusion_by_speaker(accent_N, told_N, speaker_N, 3)[None])
    for name, figure in alone.items():
        assert over[name].value == figure.value and over[name].interval == figure.interval


def test_the_value_is_the_mean_over_seeds_and_the_interval_of_the_mean_is_narrower():
    accent_N, _, speaker_N = made_up(0)
    told_KN = np.stack([made_up(seed)[1] for seed in range(8)])
    counts = np.stack([confusion_by_speaker(accent_N, told_N, speaker_N, 3) for told_N in told_KN])
    figure = classification_over_seeds(counts)["balanced_accuracy"]
    assert figure.value == pytest.approx(np.mean([balanced_accuracy_score(accent_N, told_N) for told_N in told_KN]))
    alone = classification_over_seeds(counts[:1])["balanced_accuracy"]
    assert np.diff(figure.interval) < np.diff(alone.interval)


def test_each_speaker_counts_once():
    accent_N, speaker_N = np.array([0, 0, 0, 0, 1, 1]), np.array([0, 1, 1, 1, 2, 3])
    told_N = np.array([1, 0, 0, 0, 1, 1])
    each_once = confusion_by_speaker(accent_N, told_N, speaker_N, 2, each_speaker_once=True)
    np.testing.assert_allclose(each_once.sum((1, 2)), 1)
    # Of accent 0 one speaker of two is right, though three utterances of four are.
    assert classification_over_seeds(each_once[None])["balanced_accuracy"].value == pytest.approx(0.75)
    assert classification(accent_N, told_N, speaker_N, 2)["balanced_accuracy"].value == pytest.approx(0.875)


def test_the_mean_of_estimates_is_that_of_values_and_of_draws():
    one = Estimate(0.2, (0.1, 0.3), chance=0.1, draws_R=np.linspace(0.1, 0.3, 101))
    two = Estimate(0.6, (0.5, 0.7), chance=0.3, draws_R=np.linspace(0.5, 0.7, 101))
    mean = mean_estimate([one, two])
    assert (mean.value, mean.chance) == (pytest.approx(0.4), pytest.approx(0.2))
    np.testing.assert_allclose(mean.interval, np.quantile(np.linspace(0.3, 0.5, 101), [0.025, 0.975]))
    assert "draws_R" not in mean.to_mapping()


def test_estimates_without_a_value_are_left_out():
    nothing = Estimate(None, reason="nobody")
    assert mean_estimate([nothing, nothing]).reason == "nobody"
    found = mean_estimate([nothing, Estimate(0.5, reason="one speaker has no interval")])
    assert found.value == 0.5 and found.interval is None and found.reason == "one speaker has no interval"


def space(seed: int, speakers: int = 10, utterances: int = 4):
    generator = np.random.default_rng(seed)
    speaker_N = np.repeat(np.arange(speakers), utterances)
    accent_N = speaker_N % 2
    centre = generator.normal(size=(speakers, 6)) + np.eye(6)[np.arange(speakers) % 2]
    return centre[speaker_N] + 0.8 * generator.normal(size=(len(speaker_N), 6)), accent_N, speaker_N


@pytest.mark.parametrize("of_speakers", [False, True], ids=["accent", "speaker"])
def test_the_interval_of_an_error_rate_is_that_of_speakers_drawn_one_by_one(of_speakers):
    embedding_NE, accent_N, speaker_N = space(0)
    unit = embedding_NE / np.linalg.norm(embedding_NE, axis=1, keepdims=True)
    figure = (speaker_eer if of_speakers else accent_eer)(embedding_NE, accent_N, speaker_N, seed=3)
    rates = []
    for draw_S in speaker_draws(10, 200, seed=3):
        scores, target = [], []
        for first in range(len(unit)):
            for second in range(first + 1, len(unit)):
                same = speaker_N[first] == speaker_N[second]
                if same and not of_speakers:
                    continue
                # A trial comes once for every pair of copies; copies of one speaker are no other speaker.
                times = draw_S[speaker_N[first]] * (1 if same else draw_S[speaker_N[second]])
                scores += [unit[first] @ unit[second]] * times
                target += [same if of_speakers else accent_N[first] == accent_N[second]] * times
        rates.append(equal_error_rate(np.array(scores), np.array(target)))
    np.testing.assert_allclose(figure.draws_R, rates, atol=1e-9)
    assert figure.interval[0] < figure.value < figure.interval[1]
