"""Predictions of groups and the figures of all folds and seeds, against counts made by hand."""

import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score, f1_score

from accent.errors import AccentError
from accent.metrics import GroupOutput
from launch.evaluation.fold_figures import fold_figures
from launch.evaluation.group_predictions import GroupPredictions, predict_groups
from launch.evaluation.utterances import Utterances
from shards.splits.folds import make_folds
from shards.splits.split import Split
from tests.support.shard_sets.synthetic import make_shard_set


@pytest.fixture(scope="module")
def utterances(tmp_path_factory) -> Utterances:
    """Three accents of four speakers, six utterances each; one speaker has three."""
    names = {accent: [f"{accent}{number}" for number in range(4)] for accent in "ABC"}
    folder = tmp_path_factory.mktemp("shards")
    return Utterances.of(make_shard_set(folder, names, 6, utterances_of={"A0": 3}))


def oracle(utterances: Utterances, seed: int = 0, noise: float = 1.0):
    """Answers with the true accent plus noise that averages out over a group's utterances."""
    generator = np.random.default_rng(seed)
    score_NA = np.eye(3)[utterances.accent_N] + noise * generator.normal(size=(len(utterances), 3))

    def answer(groups):
        logits_GA = np.stack([score_NA[rows].mean(0) for rows in groups])
        return GroupOutput(logits_GA, logits_GA)

    return answer, score_NA


@pytest.fixture(scope="module")
def predictions(utterances) -> list[list[GroupPredictions]]:
    splits = make_folds(utterances.shard_set, "2", validation_speakers=0)
    return [
        [predict_groups(oracle(utterances, seed)[0], utterances, utterances.tested(split)) for split in splits]
        for seed in range(2)
    ]


def test_groups_are_all_subsets_of_each_size_and_everything(utterances):
    found = predict_groups(oracle(utterances)[0], utterances, np.arange(len(utterances)))
    sizes = {
        name: [int((found.size_G[found.speaker_G == name] == size).sum()) for size in (1, 2, 3, 4, 6)]
        for name in ("A0", "B1")
    }
    assert sizes == {"A0": [3, 3, 1, 0, 0], "B1": [6, 15, 0, 15, 1]}
    assert found.whole_G.sum() == 12
    assert found.size_G[(found.speaker_G == "A0") & found.whole_G].tolist() == [3]


def test_predictions_are_the_same_after_the_disk(predictions, tmp_path):
    one = predictions[0][0]
    one.save(tmp_path / "one.npz")
    read = GroupPredictions.load(tmp_path / "one.npz")
    for name in ("key_G", "size_G", "whole_G", "speaker_G", "accent_G", "logits_GA", "embedding_GE", "accents"):
        np.testing.assert_array_equal(getattr(read, name), getattr(one, name))
    (tmp_path / "one.npz").write_bytes(b"PK broken")
    with pytest.raises(AccentError, match="no predictions"):
        GroupPredictions.load(tmp_path / "one.npz")


def test_figures_are_means_over_seeds_of_the_pooled_folds(predictions, utterances):
    found = fold_figures(predictions)
    wholes, singles = [], []
    for seed in range(2):
        score_NA = oracle(utterances, seed)[1]
        groups = utterances.wholes(np.arange(len(utterances)))
        true = [utterances.accent_N[rows[0]] for rows in groups]
        told = [score_NA[rows].mean(0).argmax() for rows in groups]
        wholes.append((balanced_accuracy_score(true, told), f1_score(true, told, average="macro")))
        singles.append(balanced_accuracy_score(utterances.accent_N, score_NA.argmax(1)))
    speaker = found["speaker"]
    assert speaker["balanced_accuracy"]["value"] == pytest.approx(np.mean([one for one, _ in wholes]))
    assert speaker["macro_f1"]["value"] == pytest.approx(np.mean([one for _, one in wholes]))
    assert found["utterance"]["balanced_accuracy"]["value"] == pytest.approx(np.mean(singles))
    assert found["permutation"]["value"] == pytest.approx(speaker["balanced_accuracy"]["value"])
    assert np.sum(found["confusion"]) == pytest.approx(12)
    assert (found["seeds"], found["folds"], found["speakers"], found["utterances"]) == (2, 2, 12, 69)
    assert speaker["balanced_accuracy"]["chance"] == pytest.approx(1 / 3)


def test_by_number_of_utterances_each_speaker_counts_once(predictions, utterances):
    found = fold_figures(predictions[:1])["speaker_by_utterances"]
    assert set(found) == {"1", "2", "4", "6", "all"}
    score_NA = oracle(utterances, 0)[1]
    right_S = {
        name: np.mean([score_NA[n].argmax() == utterances.accent_N[n] for n in rows])
        for rows in utterances.wholes(np.arange(len(utterances)))
        for name in [str(utterances.speaker_N[rows[0]])]
    }
    by_accent = [np.mean([right for name, right in right_S.items() if name[0] == accent]) for accent in "ABC"]
    assert found["1"]["balanced_accuracy"]["value"] == pytest.approx(np.mean(by_accent))


def test_held_out_prompts_are_the_only_ones_tested_and_never_taught(utterances):
    split = Split(("A1", "B1"), ("C1",), ("A2",), ("p0001", "p0004"))
    assert set(utterances.prompt_N[utterances.tested(split)]) == {"p0001", "p0004"}
    assert not set(utterances.prompt_N[utterances.taught(split)]) & {"p0001", "p0004"}
    assert set(utterances.speaker_N[utterances.taught(split)]) == {"A1", "B1", "C1"}


def test_a_speaker_tested_in_two_folds_is_refused(predictions):
    with pytest.raises(AccentError, match="tested in two folds"):
        fold_figures([[predictions[0][0], predictions[0][0]]])


def test_seeds_that_tested_other_speakers_are_refused(predictions):
    with pytest.raises(AccentError, match="different speakers"):
        fold_figures([predictions[0], predictions[1][:1]])
