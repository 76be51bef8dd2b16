"""What training, evaluation and embedding hand to a model's normalisation.  Shapes: S speakers, T frames, D columns."""

import dataclasses
import os
import signal
from typing import get_args

import numpy as np
import pytest
import torch

from accent.configuration import load
from accent.features.config import FeatureConfig
from accent.features.schema import N_COLUMNS, column_index
from accent.inference.embedder import AccentEmbedder
from accent.inference.model_file import load_model, save_model
from accent.model.config import Mode, ModelConfig
from accent.model.encoder import EnhancedAccentEncoder
from accent.model.normalisation import measure_voices
from launch import extract_embeddings
from launch.evaluation.evaluate import evaluate_run
from launch.extraction.embed import embed_input
from launch.extraction.extract import extract
from launch.extraction.speaker_statistics import set_normalisation, speaker_voices, voices_for
from launch.run_config import RunConfig
from launch.runtime.signals import Interrupted
from launch.training.run import train_run
from shards import EvaluationLoader, ShardSet, TrainingLoader
from shards.loading.config import BatchConfig
from shards.shard_set.reader import ShardReader
from shards.splits.split import Split
from tests.support.training.evaluated_runs import SIZES, split_of, synthetic
from tests.support.training.small_runs import assert_same_weights, at_step, small_config

F0 = column_index("f0_hz")
OTHERS = [column for column in range(N_COLUMNS) if column != F0]
TINY = ModelConfig.from_preset("tiny", **SIZES)


@pytest.fixture(scope="module")
def shard_set(tmp_path_factory) -> ShardSet:
    return synthetic(tmp_path_factory.mktemp("shards"))


def frames_of(shard_set: ShardSet, speaker: str) -> list[np.ndarray]:
    reader = ShardReader(shard_set)
    return [reader.frames(int(sample)) for sample in EvaluationLoader(shard_set, [speaker]).numbers_N]


def untrained(mode: Mode, shard_set: ShardSet) -> EnhancedAccentEncoder:
    torch.manual_seed(0)
    config = dataclasses.replace(TINY, normalisation=mode, accents=tuple(shard_set.accents))
    model = EnhancedAccentEncoder(config)
    set_normalisation(model, TrainingLoader(shard_set, split_of(shard_set)))
    return model


# --- the table --------------------------------------------------------------------------------------------------------


def test_the_table_says_of_each_voice_what_its_frames_say(shard_set):
    table = speaker_voices(shard_set)
    for row, speaker in enumerate(shard_set.speakers):
        frames_BTD = torch.from_numpy(np.concatenate(frames_of(shard_set, speaker))).double()[None]
        measured = measure_voices(frames_BTD, torch.ones(frames_BTD.shape[:2], dtype=torch.bool))
        for found_SD, expected_1D in zip(table, measured, strict=True):
            assert found_SD.dtype == torch.float32
            np.testing.assert_allclose(found_SD[row, OTHERS], expected_1D[0, OTHERS], rtol=1e-5, atol=1e-5)
        assert table.count_SD[row, F0] == measured.count_SD[0, F0]
        # The histogram's bins are a quarter of a semitone.
        np.testing.assert_allclose(table.centre_SD[row, F0], measured.centre_SD[0, F0], atol=0.1)
        np.testing.assert_allclose(table.spread_SD[row, F0], measured.spread_SD[0, F0], atol=0.05)


@pytest.mark.parametrize("mode", get_args(Mode))
def test_test_speakers_never_enter_the_corpus_s_statistics(mode, shard_set):
    split = split_of(shard_set)
    normalisation = untrained(mode, shard_set).normalisation
    voices_TD = {name: np.concatenate(frames_of(shard_set, name)).astype(np.float64) for name in shard_set.speakers}

    def of(speakers: tuple[str, ...]) -> tuple[np.ndarray, np.ndarray]:
        frames_TD = np.concatenate([voices_TD[name] for name in speakers])
        mean_D, std_D = np.nanmean(frames_TD, axis=0), np.nanstd(frames_TD, axis=0)
        if mode != "corpus":
            mean_D[F0] = 12 * np.log2(np.nanmedian(frames_TD[:, F0]))
            semitones = [12 * np.log2(voices_TD[name][:, F0]) for name in speakers]
            std_D[F0] = np.sqrt(np.nanmean(np.concatenate([one - np.nanmedian(one) for one in semitones]) ** 2))
        return mean_D, std_D

    for found, expected, with_everybody in zip(
        (normalisation.mean_D, normalisation.std_D), of(split.train), of(tuple(shard_set.speakers)), strict=True
    ):
        np.testing.assert_allclose(found[OTHERS], expected[OTHERS], rtol=1e-5, atol=1e-5)
        assert found[F0].item() == pytest.approx(expected[F0], abs=1e-4 if mode == "corpus" else 0.1)
        assert np.abs(found.numpy() - with_everybody)[OTHERS].max() > 0.05


def test_only_a_model_that_normalises_by_speaker_is_given_voices(shard_set):
    assert [voices_for(untrained(mode, shard_set), shard_set) is not None for mode in get_args(Mode)] == [0, 1, 0]


# --- training ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", get_args(Mode))
def test_training_works_whatever_values_are_measured_against(mode, shard_set, tmp_path):
    words = [f"model.normalisation={mode}", "model.deltas=1", "model.delta_families=[mel,prosody]", "model.dropout=0"]
    config = small_config(tmp_path / "run", shard_set.root, *words, "split.validation_speakers=1")
    result = train_run(config)
    # This set's accents are constants added to every voice: what a voice's own mean takes away.  Chance is 1/3.
    assert (result.history[-1]["balanced_accuracy"] > 0.6) == (mode == "corpus")

    model, _ = load_model(tmp_path / "run")
    assert model.config.normalisation == mode
    assert model.config == dataclasses.replace(config.model, accents=model.config.accents)
    assert load(RunConfig, tmp_path / "run" / "config.yaml").model == model.config

    # The validation and the evaluation hear the same in the exported model.
    split = Split.load(tmp_path / "run" / "split.json")
    loader = EvaluationLoader(shard_set, split.validation)
    found = extract(model, loader, "cpu", voices_for(model, shard_set))
    entropy = -np.log(found.probability_NA[np.arange(len(found.accent_N)), found.accent_N]).mean()
    best = next(one for one in result.history if one["step"] == result.best_step)
    assert entropy == pytest.approx(best["cross_entropy"], rel=1e-3)
    if mode == "speaker":
        report = evaluate_run(tmp_path / "run", shard_set.root).report
        assert report["speakers"]["tested"] == sorted(split.test)


def test_a_stopped_run_resumes_with_the_same_voices(shard_set, tmp_path, monkeypatch):
    words = ["model.normalisation=speaker", "epochs=2", "validate_every_epochs=1"]
    train_run(small_config(tmp_path / "whole", shard_set.root, *words))
    at_step(monkeypatch, 3, lambda: os.kill(os.getpid(), signal.SIGTERM))
    with pytest.raises(Interrupted):
        train_run(small_config(tmp_path / "parts", shard_set.root, *words))
    monkeypatch.undo()
    train_run(small_config(tmp_path / "parts", shard_set.root, *words))
    assert_same_weights(tmp_path / "whole", tmp_path / "parts")


# --- use --------------------------------------------------------------------------------------------------------------


def test_an_utterance_is_measured_against_all_recordings_of_its_speaker(shard_set):
    model = untrained("speaker", shard_set)
    chosen = ["A1", "S3"]
    loader = EvaluationLoader(shard_set, chosen, BatchConfig(evaluation_frames_per_batch=1_500))
    embeddings, _, _ = extract_embeddings(model, loader, "cpu")
    embedder = AccentEmbedder(model, FeatureConfig())
    together, alone = [], []
    for speaker in chosen:
        recordings = frames_of(shard_set, speaker)
        together += [heard.embedding_E for heard in embedder.predict_voice(recordings)]
        alone += [embedder.predict_frames(frames_TD).embedding_E for frames_TD in recordings]
    at = {int(sample): row for row, sample in enumerate(loader.numbers_N)}
    order = [at[int(sample)] for speaker in chosen for sample in EvaluationLoader(shard_set, [speaker]).numbers_N]
    # The table's median F0 comes from a histogram; all else is equal.
    np.testing.assert_allclose(embeddings[order], np.stack(together), atol=0.01)
    assert np.abs(embeddings[order] - np.stack(alone)).max() > 0.02


def test_a_shard_set_is_embedded_as_its_evaluation_would(shard_set, tmp_path):
    model = untrained("speaker", shard_set)
    save_model(model, tmp_path / "model", FeatureConfig())
    embed_input(tmp_path / "model", shard_set.root, tmp_path / "out.npz", device="cpu")
    expected, _, _ = extract_embeddings(model, EvaluationLoader(shard_set), "cpu")
    np.testing.assert_allclose(np.load(tmp_path / "out.npz")["embeddings"], expected, atol=1e-6)


def test_a_loader_that_knows_no_speakers_is_refused_and_not_guessed_at(shard_set):
    batches = [batch.to("cpu") for batch in EvaluationLoader(shard_set, ["A1"])]
    with pytest.raises(ValueError, match="voice"):
        extract_embeddings(untrained("speaker", shard_set), batches, "cpu")


@pytest.mark.parametrize("mode", ["corpus", "utterance"])
def test_other_recordings_of_the_speaker_have_no_say_unless_asked_for(mode, shard_set):
    recordings = frames_of(shard_set, "A1")[:3]
    embedder = AccentEmbedder(untrained(mode, shard_set), FeatureConfig())
    for one, heard in zip(recordings, embedder.predict_voice(recordings), strict=True):
        assert (heard.embedding_E == embedder.predict_frames(one).embedding_E).all()


def test_a_voice_whose_every_value_is_halved_has_the_same_embeddings(shard_set):
    recordings = [frames_TD.astype(np.float32) for frames_TD in frames_of(shard_set, "A1")]
    # Halving is exact in float16, in which the features are stored; a shift is not.
    halved = [frames_TD * np.float32(0.5) for frames_TD in recordings]
    embedder = AccentEmbedder(untrained("speaker", shard_set), FeatureConfig())
    here, there = (embedder.predict_voice(frames) for frames in (recordings, halved))
    for one, other in zip(here, there, strict=True):
        np.testing.assert_allclose(one.embedding_E, other.embedding_E, atol=1e-4)
