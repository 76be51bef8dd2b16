"""Metrics of embeddings: against brute force, against sklearn, and on cases whose answer is known."""

import itertools

import numpy as np
import pytest
from scipy.interpolate import interp1d
from scipy.optimize import brentq
from sklearn.metrics import balanced_accuracy_score, f1_score, roc_curve, silhouette_score

from accent.metrics import (
    CLASSIFIERS,
    accent_eer,
    accent_eer_against,
    accent_silhouette,
    classification,
    confusion_by_speaker,
    equal_error_rate,
    map_at_r,
    speaker_eer,
    speaker_probe,
    speaker_silhouette,
)
from accent.metrics.estimate import mean_over_speakers_interval, speaker_draws, thin
from accent.metrics.retrieval import _random_order


def unit(embeddings: np.ndarray) -> np.ndarray:
    return embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)


def labels(n_accents: int, speakers: int, utterances: int, first_speaker: int = 0) -> tuple[np.ndarray, np.ndarray]:
    speaker_N = np.repeat(np.arange(n_accents * speakers), utterances)
    return speaker_N // speakers, speaker_N + first_speaker


def random_space(seed: int, n_accents: int = 3, speakers: int = 3, utterances: int = 4, width: int = 5):
    accent_N, speaker_N = labels(n_accents, speakers, utterances)
    return unit(np.random.default_rng(seed).standard_normal((len(accent_N), width))), accent_N, speaker_N


def accent_clusters(seed: int, speakers: int, first_speaker: int = 0, noise: float = 0.01):
    """Four accents on four axes; speakers differ by nothing but noise."""
    accent_N, speaker_N = labels(4, speakers, 6, first_speaker)
    noise_NE = np.random.default_rng(seed).standard_normal((len(accent_N), 8))
    return unit(np.eye(8)[accent_N] + noise * noise_NE), accent_N, speaker_N


def speaker_clusters(seed: int, n_accents: int = 4, speakers: int = 6, width: int = 64):
    """Every speaker is a tight cluster at a random place: the speaker is all there is to know."""
    accent_N, speaker_N = labels(n_accents, speakers, 6)
    generator = np.random.default_rng(seed)
    centres = generator.standard_normal((n_accents * speakers, width))
    return unit(centres[speaker_N] + 0.01 * generator.standard_normal((len(speaker_N), width))), accent_N, speaker_N


# --- classification ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("classify", CLASSIFIERS.values(), ids=CLASSIFIERS)
def test_accent_clusters_are_told_without_fault(classify):
    training, accent_M, _ = accent_clusters(0, speakers=3)
    tested, accent_N, _ = accent_clusters(1, speakers=2)
    assert (classify(training, accent_M, tested) == accent_N).all()


@pytest.mark.parametrize("classify", CLASSIFIERS.values(), ids=CLASSIFIERS)
def test_random_embeddings_are_told_at_chance(classify):
    training, accent_M, _ = random_space(0, 4, 20, 10, 16)
    tested, accent_N, _ = random_space(1, 4, 20, 20, 16)
    right = classify(training, accent_M, tested) == accent_N
    # 1,600 independent guesses at 1/4: the standard error is 0.011.
    assert abs(right.mean() - 0.25) < 0.045


@pytest.mark.parametrize("classify", CLASSIFIERS.values(), ids=CLASSIFIERS)
def test_speaker_identity_alone_tells_no_unseen_accent(classify):
    embeddings, accent, speaker = speaker_clusters(3, speakers=40)
    seen = speaker % 2 == 0
    right = classify(embeddings[seen], accent[seen], embeddings[~seen]) == accent[~seen]
    # 80 unseen speakers, whole speakers right or wrong: the standard error is 0.048.
    assert abs(right.mean() - 0.25) < 0.15


def test_scores_equal_sklearns():
    generator = np.random.default_rng(4)
    accent_N, told_N = generator.integers(0, 5, 200), generator.integers(0, 5, 200)
    figures = classification(accent_N, told_N, generator.integers(0, 9, 200), 5)
    assert figures["accuracy"].value == pytest.approx((accent_N == told_N).mean())
    assert figures["balanced_accuracy"].value == pytest.approx(balanced_accuracy_score(accent_N, told_N))
    assert figures["macro_f1"].value == pytest.approx(f1_score(accent_N, told_N, average="macro"))


def test_accents_nobody_tested_speaks_are_left_out_of_the_means():
    accent_N, told_N = np.array([0, 0, 1, 1]), np.array([0, 2, 1, 1])
    figures = classification(accent_N, told_N, np.array([0, 0, 1, 1]), 4)
    expected = f1_score(accent_N, told_N, labels=[0, 1], average="macro")
    assert figures["macro_f1"].value == pytest.approx(expected)
    assert figures["balanced_accuracy"].value == pytest.approx(0.75)


def test_majority_is_the_score_of_always_answering_the_commonest_accent():
    accent_N = np.array([0] * 5 + [1] * 3 + [2] * 2)
    told_N = np.arange(10) % 3
    always_N = np.zeros(10, dtype=int)
    figures = classification(accent_N, told_N, np.arange(10), 3)
    assert figures["accuracy"].majority == pytest.approx(0.5)
    assert figures["macro_f1"].majority == pytest.approx(f1_score(accent_N, always_N, average="macro", zero_division=0))


def test_chance_is_what_guessing_gives():
    generator = np.random.default_rng(5)
    accent_N = np.repeat(np.arange(4), [4000, 2000, 1000, 1000])
    figures = classification(accent_N, generator.integers(0, 4, len(accent_N)), np.arange(len(accent_N)) % 9, 4)
    for name in ("accuracy", "balanced_accuracy", "macro_f1"):
        assert figures[name].value == pytest.approx(figures[name].chance, abs=0.02)


def test_confusion_counts_every_recording_once():
    accent_N, told_N, speaker_N = np.array([0, 0, 1, 2]), np.array([0, 1, 1, 0]), np.array([7, 7, 8, 9])
    counts_SAA = confusion_by_speaker(accent_N, told_N, speaker_N, 3)
    assert counts_SAA.sum(0).tolist() == [[1, 1, 0], [0, 1, 0], [1, 0, 0]]
    assert counts_SAA.sum((1, 2)).tolist() == [2, 1, 1]


# --- intervals --------------------------------------------------------------------------------------------------------


def test_interval_comes_from_speakers_not_utterances():
    # Half the speakers are always right, half never: a hundred times more utterances teach nothing new.
    def width(utterances: int) -> float:
        speaker_N = np.repeat(np.arange(10), utterances)
        told_N = speaker_N % 2
        low, high = classification(np.zeros_like(speaker_N), told_N, speaker_N, 2)["accuracy"].interval
        return high - low

    assert width(200) == pytest.approx(width(2))
    # The binomial spread of ten speakers, not of 2,000 utterances (which would be 0.044).
    assert width(200) == pytest.approx(2 * 1.96 * np.sqrt(0.25 / 10), abs=0.12)


def test_bootstrap_equals_drawing_whole_speakers_one_by_one():
    generator = np.random.default_rng(6)
    accent_N, told_N, speaker_N = (generator.integers(0, high, 60) for high in (3, 3, 5))
    accuracies = []
    for draw in speaker_draws(5, 300, seed=0):
        rows = np.concatenate([np.flatnonzero(speaker_N == s) for s in range(5) for _ in range(draw[s])])
        accuracies.append((accent_N[rows] == told_N[rows]).mean())
    interval = classification(accent_N, told_N, speaker_N, 3, resamples=300)["accuracy"].interval
    assert interval == pytest.approx(tuple(np.quantile(accuracies, [0.025, 0.975])))


def test_one_speaker_has_no_interval_and_says_so():
    figure = classification(np.array([0, 0]), np.array([0, 1]), np.array([3, 3]), 2)["accuracy"]
    assert figure.interval is None and "one speaker" in figure.reason
    assert mean_over_speakers_interval(np.ones(3), np.zeros(3)) is None


def test_speakers_who_all_score_alike_give_no_interval():
    accent_N, speaker_N = labels(5, 1, 6)
    figure = classification(accent_N, (accent_N + 1) % 5, speaker_N, 5)["accuracy"]
    assert figure.value == 0 and figure.interval is None and "alike" in figure.reason


@pytest.mark.parametrize("most", [60, 100, 119])
def test_thinning_keeps_speakers_even(most):
    speaker_N = np.repeat(np.arange(6), [5, 10, 15, 20, 30, 40])
    rows = thin(speaker_N, most, seed=1)
    count_S = np.bincount(speaker_N[rows])
    assert len(rows) <= most and (np.diff(rows) > 0).all()
    cap = count_S.max()
    assert (count_S == np.minimum([5, 10, 15, 20, 30, 40], cap)).all()
    assert (rows == thin(speaker_N, most, seed=1)).all()


def test_thinning_many_speakers_keeps_pairs_of_some():
    speaker_N = np.repeat(np.arange(100), 5)
    rows = thin(speaker_N, 60)
    _, count = np.unique(speaker_N[rows], return_counts=True)
    assert len(rows) == 60 and (count == 2).all()


# --- equal error rates ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(20))
def test_equal_error_rate_lies_on_the_interpolated_roc(seed):
    generator = np.random.default_rng(seed)
    target = generator.random(60) < 0.3
    target[:2] = [True, False]
    score = np.round(generator.standard_normal(60) + target, 1)  # rounding makes ties
    false_acceptance, true_acceptance, _ = roc_curve(target, score, drop_intermediate=False)
    curve = interp1d(false_acceptance, true_acceptance)
    expected = brentq(lambda rate: 1 - rate - curve(rate), 0, 1)
    assert equal_error_rate(score, target) == pytest.approx(expected, abs=1e-9)


def test_equal_error_rate_needs_both_kinds_of_trials():
    with pytest.raises(ValueError, match="both target and non-target"):
        equal_error_rate(np.array([0.1, 0.2]), np.array([True, True]))


def trials_by_hand(embeddings, is_trial, is_target):
    scores, targets = [], []
    for i, j in itertools.combinations(range(len(embeddings)), 2):
        if is_trial(i, j):
            scores.append(embeddings[i] @ embeddings[j])
            targets.append(is_target(i, j))
    return equal_error_rate(np.array(scores), np.array(targets)), len(scores)


@pytest.mark.parametrize("seed", range(3))
def test_trials_are_those_counted_by_hand(seed):
    embeddings, accent, speaker = random_space(seed)
    by_accent, n = trials_by_hand(
        embeddings, lambda i, j: speaker[i] != speaker[j], lambda i, j: accent[i] == accent[j]
    )
    assert accent_eer(embeddings, accent, speaker).value == pytest.approx(by_accent)
    assert n == 36 * 35 // 2 - 9 * 6  # all pairs but those within one of nine speakers
    by_speaker, _ = trials_by_hand(embeddings, lambda i, j: True, lambda i, j: speaker[i] == speaker[j])
    assert speaker_eer(embeddings, accent, speaker).value == pytest.approx(by_speaker)
    within, _ = trials_by_hand(embeddings, lambda i, j: accent[i] == accent[j], lambda i, j: speaker[i] == speaker[j])
    assert speaker_eer(embeddings, accent, speaker, within_accent=True).value == pytest.approx(within)


def test_accent_trials_against_training_equal_trials_by_hand():
    tested, accent, speaker = random_space(0)
    training, its_accent, its_speaker = random_space(1)
    its_speaker = its_speaker + 6  # three speakers are in both groups: their pairs must not count
    pairs = [(i, j) for i in range(36) for j in range(36) if speaker[i] != its_speaker[j]]
    expected = equal_error_rate(
        np.array([tested[i] @ training[j] for i, j in pairs]), np.array([accent[i] == its_accent[j] for i, j in pairs])
    )
    figure = accent_eer_against(tested, accent, speaker, training, its_accent, its_speaker)
    assert figure.value == pytest.approx(expected)


def test_accent_clusters_have_no_accent_error_and_hide_the_speaker():
    embeddings, accent, speaker = accent_clusters(0, speakers=4)
    assert accent_eer(embeddings, accent, speaker).value == 0
    assert abs(speaker_eer(embeddings, accent, speaker, within_accent=True).value - 0.5) < 0.1


def test_speaker_identity_alone_gives_an_accent_error_at_chance():
    embeddings, accent, speaker = speaker_clusters(7, speakers=12)
    assert speaker_eer(embeddings, accent, speaker).value == 0
    assert abs(accent_eer(embeddings, accent, speaker).value - 0.5) < 0.06


def test_an_accent_error_without_targets_is_missing_with_a_reason():
    embeddings, accent, speaker = random_space(0, n_accents=5, speakers=1)
    figure = accent_eer(embeddings, accent, speaker)
    assert figure.value is None and "no two speakers share an accent" in figure.reason
    assert speaker_eer(embeddings, accent, speaker, within_accent=True).value is None
    assert speaker_eer(embeddings, accent, speaker).value is not None


def test_fewer_trials_change_an_error_rate_little():
    accent, speaker = labels(4, 5, 40)
    generator = np.random.default_rng(8)
    embeddings = unit(2 * np.eye(16)[accent] + generator.standard_normal((len(accent), 16)))
    whole, part = (accent_eer(embeddings, accent, speaker, most_trials=most) for most in (10**6, 50_000))
    assert whole.basis != part.basis
    assert part.value == pytest.approx(whole.value, abs=0.03)


# --- retrieval --------------------------------------------------------------------------------------------------------


def map_at_r_by_hand(queries, references):
    precisions = []
    for embedding, accent, speaker in zip(*queries, strict=True):
        allowed = [
            (float(embedding @ other), other_accent == accent)
            for other, other_accent, other_speaker in zip(*references, strict=True)
            if other_speaker != speaker
        ]
        n_relevant = sum(relevant for _, relevant in allowed)
        if not n_relevant:
            continue
        ranked = [relevant for _, relevant in sorted(allowed, key=lambda pair: -pair[0])][:n_relevant]
        found = [sum(ranked[: place + 1]) / (place + 1) for place in range(n_relevant) if ranked[place]]
        precisions.append(sum(found) / n_relevant)
    return float(np.mean(precisions))


@pytest.mark.parametrize("seed", range(5))
def test_map_at_r_equals_brute_force(seed):
    space = random_space(seed)
    assert map_at_r(*space).value == pytest.approx(map_at_r_by_hand(space, space))
    references = random_space(seed + 100, speakers=2)
    assert map_at_r(*space, *references).value == pytest.approx(map_at_r_by_hand(space, references))


def test_map_at_r_is_one_for_accent_clusters():
    assert map_at_r(*accent_clusters(0, speakers=3)).value == pytest.approx(1)


def test_speaker_identity_alone_gives_map_at_r_at_chance():
    figure = map_at_r(*speaker_clusters(9, speakers=12))
    assert abs(figure.value - figure.chance) < 0.05


def test_an_accent_of_one_speaker_answers_no_query():
    embeddings, accent, speaker = random_space(0, n_accents=3, speakers=2)
    accent = np.where(speaker == 5, 3, accent)  # one speaker of an accent of their own, one left alone
    figure = map_at_r(embeddings, accent, speaker)
    assert figure.basis == "16 queries, 8 without another speaker"
    nobody = map_at_r(*random_space(0, speakers=1))
    assert nobody.value is None and "no query" in nobody.reason


def test_chance_of_map_at_r_is_the_mean_over_random_orders():
    n_allowed, n_relevant = 12, 5
    generator = np.random.default_rng(10)
    means = []
    for _ in range(20_000):
        ranked = generator.permutation(n_allowed) < n_relevant
        hits = np.cumsum(ranked)[:n_relevant]
        means.append((hits / np.arange(1, n_relevant + 1))[ranked[:n_relevant]].sum() / n_relevant)
    expected = _random_order(np.array([n_allowed]), np.array([n_relevant]))[0]
    assert np.mean(means) == pytest.approx(expected, abs=0.006)


@pytest.mark.parametrize("seed", range(3))
def test_accent_silhouette_equals_sklearns_where_everybody_speaks_once(seed):
    embeddings, accent, _ = random_space(seed)
    expected = silhouette_score(embeddings, accent, metric="cosine")
    assert accent_silhouette(embeddings, accent, np.arange(len(accent))).value == pytest.approx(expected)


def test_silhouette_is_one_for_tight_accents_and_nought_for_none():
    tight, accent, speaker = accent_clusters(0, speakers=3, noise=1e-4)
    assert accent_silhouette(tight, accent, speaker).value == pytest.approx(1, abs=1e-3)
    assert abs(speaker_silhouette(tight, speaker).value) < 0.2
    loose, accent, speaker = random_space(0, 3, 10, 10, 32)
    assert abs(accent_silhouette(loose, accent, speaker).value) < 0.05


def test_speaker_identity_alone_gives_no_accent_silhouette():
    embeddings, accent, speaker = speaker_clusters(13, speakers=3)
    assert speaker_silhouette(embeddings, speaker).value > 0.95
    assert silhouette_score(embeddings, accent, metric="cosine") > 0.2  # what counting the speaker's own would give
    assert accent_silhouette(embeddings, accent, speaker).value < 0.1


def test_silhouette_of_one_cluster_is_missing_with_a_reason():
    embeddings, accent, speaker = random_space(0, n_accents=1)
    assert accent_silhouette(embeddings, accent, speaker).reason == "one accent"
    embeddings, accent, speaker = random_space(0, speakers=1)
    assert accent_silhouette(embeddings, accent, speaker).reason == "no two speakers share an accent"
    assert speaker_silhouette(embeddings, np.arange(len(accent))).reason == "no speaker has two utterances"
    assert speaker_silhouette(embeddings, np.zeros(len(accent))).reason == "there is one speaker"


# --- leakage ----------------------------------------------------------------------------------------------------------


def test_speaker_probe_finds_the_speaker_where_there_is_one():
    figure = speaker_probe(*speaker_clusters(11, speakers=4))
    assert figure.value == 1 and figure.chance == pytest.approx(1 / 4)


def test_speaker_probe_is_at_chance_where_there_is_none():
    figure = speaker_probe(*random_space(12, n_accents=4, speakers=4, utterances=40, width=8))
    assert abs(figure.value - 1 / 4) < 0.07


def test_speaker_probe_needs_two_speakers_of_an_accent():
    figure = speaker_probe(*random_space(0, speakers=1))
    assert figure.value is None and "no accent has two speakers" in figure.reason
