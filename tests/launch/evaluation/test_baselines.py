"""Baselines: they find what is there, choose settings inside the training speakers, and look at no tested speaker."""

import json
from pathlib import Path

import numpy as np
import pytest
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from accent.errors import AccentError
from launch.evaluation.baselines.classifiers import LDA, RIDGE, SVM, fit_on_groups
from launch.evaluation.baselines.ecapa import Ecapa, EcapaConfig
from launch.evaluation.baselines.run import run_baselines
from launch.evaluation.baselines.vectors import feature_means
from launch.evaluation.controls import long_term_spectrum, silence_and_level
from launch.evaluation.folds import FoldConfig, freeze_folds
from launch.evaluation.utterances import Utterances
from launch.reporting.fold_tables import fold_tables, markdown
from shards.shard_set.manifest import ShardSet
from shards.splits.folds import make_folds
from tests.support.shard_sets.synthetic import make_shard_set

ACCENTS = ("Arabic", "Hindi", "Spanish")
THREE = FoldConfig("3", validation_speakers=0)


def made_up(folder: Path, **options) -> ShardSet:
    names = {accent: [f"{accent[0]}{number}" for number in range(6)] for accent in ACCENTS}
    return make_shard_set(folder, names, 6, lengths=(60, 90), **options)


@pytest.fixture(scope="module")
def shard_set(tmp_path_factory) -> ShardSet:
    return made_up(tmp_path_factory.mktemp("shards"), phones=True)


@pytest.fixture(scope="module")
def utterances(shard_set) -> Utterances:
    return Utterances.of(shard_set)


@pytest.fixture(scope="module")
def report(tmp_path_factory, shard_set):
    folder, said = tmp_path_factory.mktemp("baselines"), []
    found = run_baselines(shard_set.root, folder, THREE, only=("feature_means", "silence_only"), say=said.append)
    return folder, found, said


# --- classifiers ------------------------------------------------------------------------------------------------------


def vectors_of(values_NF: np.ndarray):
    return lambda groups: [np.stack([values_NF[rows].mean(0) for rows in groups])]


@pytest.mark.parametrize("classifier", [SVM, RIDGE, LDA], ids=lambda one: one.name)
def test_a_classifier_finds_an_accent_and_nothing_where_there_is_none(utterances, classifier):
    split = make_folds(utterances.shard_set, "3", validation_speakers=0)[0]
    generator = np.random.default_rng(0)
    noise_NF = generator.normal(size=(len(utterances), 8))
    accent_NF = np.eye(8)[utterances.accent_N]
    tested = utterances.tested(split)
    singles = list(tested[:, None])
    for strength, low, high in ((4.0, 0.9, 1.0), (0.0, 0.0, 0.7)):
        fitted = fit_on_groups(vectors_of(noise_NF + strength * accent_NF), utterances, split, classifier)
        told = fitted.embed_groups(singles).logits_GA.argmax(1)
        assert low <= (told == utterances.accent_N[tested]).mean() <= high


def test_the_tested_speakers_are_not_looked_at(utterances):
    split = make_folds(utterances.shard_set, "3", validation_speakers=0)[0]
    values_NF = np.random.default_rng(1).normal(size=(len(utterances), 5)) + np.eye(5)[utterances.accent_N]
    tested = utterances.tested(split)
    others = values_NF.copy()
    others[tested[1:]] = 1e6
    answers = [
        fit_on_groups(vectors_of(values), utterances, split, RIDGE).embed_groups([tested[:1]]).logits_GA
        for values in (values_NF, others)
    ]
    np.testing.assert_array_equal(*answers)


def test_lda_is_that_of_scikit_learn_on_standardised_vectors(utterances):
    split = make_folds(utterances.shard_set, "3", validation_speakers=0)[0]
    values_NF = np.random.default_rng(2).normal(size=(len(utterances), 4)) + np.eye(4)[utterances.accent_N]
    fitted = fit_on_groups(vectors_of(values_NF), utterances, split, LDA)
    setting = fitted.settings["one utterance"]
    taught, tested = utterances.taught(split), utterances.tested(split)
    wholes = utterances.wholes(taught)
    whole_VF = np.stack([values_NF[rows].mean(0) for rows in wholes])
    training, accents = whole_VF, utterances.accent_N[[rows[0] for rows in wholes]]
    if setting["learn_from"] == "speakers and utterances":
        training = np.concatenate([whole_VF, values_NF[taught]])
        accents = np.concatenate([accents, utterances.accent_N[taught]])
    scale = whole_VF.std(0)
    length = np.sqrt((((whole_VF - whole_VF.mean(0)) / scale) ** 2).sum(1).mean())
    analysis = LinearDiscriminantAnalysis(solver="lsqr", shrinkage=setting["strength"], priors=np.full(3, 1 / 3))
    analysis.fit((training - whole_VF.mean(0)) / scale / length, accents)
    expected = analysis.decision_function((values_NF[tested] - whole_VF.mean(0)) / scale / length)
    found = fitted.embed_groups(list(tested[:, None])).logits_GA * setting["temperature"]
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-8)


def test_an_accent_of_one_training_speaker_is_one_line(tmp_path):
    shard_set = make_shard_set(tmp_path, {"A": ["a", "b", "c", "d"], "B": ["e", "f"]}, 2)
    split = make_folds(shard_set, "2", validation_speakers=0)[0]
    with pytest.raises(AccentError, match="accent 'B' has 1 training speakers"):
        fit_on_groups(vectors_of(np.zeros((12, 3))), Utterances.of(shard_set), split, SVM)


# --- vectors of utterances --------------------------------------------------------------------------------------------


def test_feature_means_leave_undefined_values_out(utterances):
    means_NF = feature_means(utterances)
    frames_TD = utterances.reader.frames(3).astype(np.float64)
    columns = frames_TD.shape[1]
    defined = np.isfinite(frames_TD).any(0)
    np.testing.assert_allclose(means_NF[3, :columns][defined], np.nanmean(frames_TD, axis=0)[defined], rtol=1e-9)
    np.testing.assert_allclose(means_NF[3, columns:][defined], np.nanstd(frames_TD, axis=0)[defined], atol=1e-9)
    assert np.isfinite(means_NF).all()


def test_the_long_term_spectrum_knows_no_level(utterances, monkeypatch):
    before = long_term_spectrum(utterances)
    np.testing.assert_allclose(before.mean(1), 0, atol=1e-9)
    mel_TD = utterances.family(0, "mel")
    power = 10 * np.log10(np.mean(10 ** (mel_TD / 10), axis=0))
    np.testing.assert_allclose(before[0], power - power.mean())


def test_silence_is_described_from_the_frames_without_a_phone(utterances):
    found_NF = silence_and_level(utterances)
    phone_T, mel_TD = utterances.reader.phones(4), utterances.family(4, "mel")
    silent = phone_T <= 0
    assert found_NF.shape[1] == 86
    assert found_NF[4, 82] == pytest.approx(silent.mean())
    if silent.sum() >= 3:
        np.testing.assert_allclose(found_NF[4, :80], mel_TD[silent].mean(0))
    assert found_NF[4, 85] == pytest.approx(np.log(len(phone_T) / 100))


# --- ECAPA-TDNN -------------------------------------------------------------------------------------------------------


def test_ecapa_gives_the_same_answers_with_the_same_seed_and_others_with_another(utterances):
    pytest.importorskip("speechbrain", reason="the optional extra speechbrain is not installed")
    split = make_folds(utterances.shard_set, "3", validation_speakers=1)[0]
    small = Ecapa(EcapaConfig(channels=8, embedding=8, epochs=4, batch=12, crop_frames=40, lr=1e-2))
    tested = utterances.tested(split)
    one, same, other = (small.fit(utterances, split, 0, seed).embed_groups(list(tested[:, None])) for seed in (3, 3, 4))
    np.testing.assert_array_equal(one.logits_GA, same.logits_GA)
    assert not np.allclose(one.logits_GA, other.logits_GA)
    assert np.isfinite(one.embedding_GE).all() and one.embedding_GE.shape == (len(tested), 8)


# --- the command ------------------------------------------------------------------------------------------------------


def test_a_baseline_on_the_means_finds_the_accent_of_made_up_features(report):
    _, found, _ = report
    system = found["systems"]["feature_means"]
    assert system["speaker"]["balanced_accuracy"]["value"] > 0.8
    assert system["speaker"]["balanced_accuracy"]["chance"] == pytest.approx(1 / 3)
    assert system["permutation"]["p_value"] < 0.01
    assert (system["speakers"], system["utterances"], system["folds"]) == (18, 108, 3)


def test_everything_is_written_and_nothing_is_made_twice(report, shard_set, monkeypatch):
    folder, found, said = report
    assert json.loads((folder / "baselines.json").read_text()) == json.loads(json.dumps(found))
    assert len(list(folder.glob("feature_means/fold-*/seed-0/predictions.npz"))) == 3
    assert any("3 of 3 folds" in line for line in said)
    again: list[str] = []
    assert (
        run_baselines(shard_set.root, folder, THREE, only=("feature_means", "silence_only"), say=again.append) == found
    )
    assert not again


def test_tables_fit_a_terminal(report):
    from rich.console import Console

    _, found, _ = report
    console = Console(width=80, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    console.print(*fold_tables(found))
    text = console.export_text()
    assert "…" not in text and "chance" in text and "majority" in text
    assert "| chance | 0.333 |" in markdown(found)


def test_other_folds_in_the_same_folder_are_refused(report, shard_set):
    folder, _, _ = report
    with pytest.raises(AccentError, match="other folds"):
        freeze_folds(folder, shard_set, FoldConfig("2"))


def test_what_cannot_be_run_is_told(shard_set, tmp_path):
    with pytest.raises(AccentError, match=r"egemaps.*needs the sound"):
        run_baselines(shard_set.root, tmp_path / "one", THREE, only=("egemaps",))
    with pytest.raises(AccentError, match="no sound file"):
        run_baselines(shard_set.root, tmp_path / "two", THREE, sound=tmp_path, only=("egemaps",))
    with pytest.raises(AccentError, match="no phone heads to decode with: --heads"):
        run_baselines(shard_set.root, tmp_path / "three", THREE, only=("phone_means_decoded",))
