"""Cross-validation and evaluation of the branch `phones`, with configs/saa8k.yaml made small."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from accent.errors import AccentError
from accent.inference.model_file import load_model
from accent.metrics import mean_of_utterances
from accent.model.phonetic.encoder import PhoneticEncoder
from accent.model.phonetic.statistics import join
from launch.evaluation.baselines.decoded_phones import phones_heard
from launch.evaluation.baselines.run import run_baselines
from launch.evaluation.crossval import merge_runs, plan_crossval
from launch.evaluation.evaluate import evaluate_run
from launch.evaluation.fold_run import PREDICTIONS, run_fold
from launch.evaluation.folds import FoldConfig
from launch.evaluation.group_predictions import GroupPredictions
from launch.evaluation.utterances import Utterances
from launch.extraction.speaker_statistics import speaker_voices
from launch.training.tasks.phone_task import deal_halves
from shards.shard_set.manifest import ShardSet
from shards.shard_set.reader import ShardReader
from shards.splits.split import Split
from tests.support.training.small_runs import SMALL_PHONES, small_shards

TWO = FoldConfig("2")


@pytest.fixture(scope="module")
def shard_set(tmp_path_factory: pytest.TempPathFactory) -> ShardSet:
    """Three accents of six speakers, six utterances each."""
    return small_shards(tmp_path_factory.mktemp("shards"), 6, phones=True)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, shard_set: ShardSet):
    """A cross-validation brought to its end."""
    output = tmp_path_factory.mktemp("crossval")
    runs = plan_crossval("configs/saa8k.yaml", shard_set.root, output, TWO, [3], SMALL_PHONES)
    for run in runs:
        run_fold(output, run.number)
    return output, runs


def sums_of(encoder: PhoneticEncoder, shard_set: ShardSet, samples, half: int):
    """One utterance at a time, without padding, loader or store."""
    reader, parts = ShardReader(shard_set), []
    for sample in samples:
        frames_1TD = torch.tensor(reader.frames(int(sample))).float().unsqueeze(0)
        voice = speaker_voices(shard_set).rows(torch.tensor([int(shard_set.index["speaker"][sample])]))
        valid_1T = torch.ones(frames_1TD.shape[:2], dtype=torch.bool)
        parts.append(encoder.statistics(frames_1TD, valid_1T, voice, torch.tensor([half])))
    return join(parts)


def test_each_fold_trains_phone_heads_and_embedding_on_its_training_speakers_alone(finished, shard_set):
    output, runs = finished
    tested = []
    for run in runs:
        fold = Split.load(run.split)
        assert run.folder == output / f"fold-{run.fold}" / "seed-3"
        assert Split.load(run.folder / "split.json") == Split.load(run.folder / "phones" / "split.json") == fold
        assert fold.validation and not set(fold.train) & {*fold.validation, *fold.test}
        heads, _ = load_model(run.folder / "phones")
        model, _ = load_model(run.folder)
        # The embedding begins with the heads of its own fold, and leaves them as they are.
        trained, kept = heads.recogniser.state_dict(), model.recogniser.state_dict()
        assert trained.keys() == kept.keys() and all(torch.equal(trained[name], kept[name]) for name in kept)
        tested += fold.test
    assert sorted(tested) == sorted(shard_set.speakers)


def test_a_test_speaker_is_told_from_the_sum_of_the_utterances(finished, shard_set):
    _, runs = finished
    told = GroupPredictions.load(runs[0].folder / PREDICTIONS)
    model, _ = load_model(runs[0].folder)
    speaker_N = np.array(shard_set.speakers)[shard_set.index["speaker"]]
    apart = []
    for row in np.flatnonzero(told.whole_G):
        samples = np.flatnonzero(speaker_N == told.speaker_G[row])
        sums = sums_of(model, shard_set, samples, half=-1)
        with torch.no_grad():
            whole = model.embed(sums.grouped(torch.ones(1, len(samples))))
            single = model.embed(sums)
        np.testing.assert_allclose(told.embedding_GE[row], whole.embedding_BE[0], atol=1e-3)
        mean = mean_of_utterances(single.embedding_BE.numpy(), single.accent_logits_BA.numpy())([range(len(samples))])
        apart.append(np.abs(told.embedding_GE[row] - mean.embedding_GE[0]).max())
    assert len(apart) == 9 and min(apart) > 0.05


def test_figures_of_both_folds_are_merged(finished):
    output, runs = finished
    encoder = merge_runs(runs, output, TWO)["systems"]["encoder"]
    assert (encoder["speakers"], encoder["utterances"]) == (18, 108)
    assert set(encoder["speaker_by_utterances"]) == {"1", "2", "4", "6", "all"}


def test_evaluate_reads_each_training_speaker_by_the_head_that_never_heard_them(finished, shard_set, tmp_path: Path):
    _, runs = finished
    result = evaluate_run(runs[0].folder, shard_set.root, output=tmp_path)
    archive = np.load(tmp_path / "embeddings.npz")
    model, _ = load_model(runs[0].folder)
    keys = [ShardReader(shard_set).metadata(number)["key"] for number in range(len(shard_set))]
    fold = Split.load(runs[0].split)
    half_S = deal_halves(shard_set, fold.train)
    assert {0, 1} <= set(half_S[shard_set.speaker_positions(fold.train)].tolist())
    for name in (*fold.train[:3], *fold.test[:2]):
        row = np.flatnonzero(archive["speakers"] == name)[0]
        half = int(half_S[shard_set.speakers.index(name)])
        sample = keys.index(archive["keys"][row])
        with torch.no_grad():
            wanted = model.embed(sums_of(model, shard_set, [sample], half)).embedding_BE[0]
        np.testing.assert_allclose(archive["embeddings"][row], wanted, atol=1e-3)
    # The same groups, the same system: what crossval says of whole speakers.
    told = GroupPredictions.load(runs[0].folder / PREDICTIONS)
    right = told.logits_GA.argmax(1)[told.whole_G] == told.accent_G[told.whole_G]
    assert result.report["speaker_classification"]["accent_head"]["all"]["accuracy"]["value"] == pytest.approx(
        right.mean()
    )


def test_a_run_without_predictions_makes_them_again_from_the_trained_model(finished):
    output, runs = finished
    predictions, weights = runs[1].folder / PREDICTIONS, runs[1].folder / "phones" / "model" / "model.safetensors"
    before = (predictions.read_bytes(), weights.read_bytes(), weights.stat().st_mtime_ns)
    predictions.unlink()
    run_fold(output, runs[1].number)
    assert (predictions.read_bytes(), weights.read_bytes(), weights.stat().st_mtime_ns) == before


def test_phone_heads_of_the_same_folds_are_taken_and_those_of_others_refused(finished, shard_set, tmp_path):
    output, _ = finished
    words = (*SMALL_PHONES, "model.views=[spectrum]")
    runs = plan_crossval("configs/saa8k.yaml", shard_set.root, tmp_path / "row", TWO, [3], words, output)
    run_fold(tmp_path / "row", runs[0].number)
    row, _ = load_model(runs[0].folder)
    heads, _ = load_model(output / "fold-0" / "seed-3" / "phones")
    trained, kept = heads.recogniser.state_dict(), row.recogniser.state_dict()
    assert all(torch.equal(trained[name], kept[name]) for name in kept)
    assert tuple(row.fusion_weights()) == ("spectrum",) and not (runs[0].folder / "phones").exists()
    with pytest.raises(AccentError, match=r"have heard .*, whom fold 0 holds out"):
        plan_crossval("configs/saa8k.yaml", shard_set.root, tmp_path / "more", FoldConfig("2", 1), [3], words, output)
    few = dataclasses.replace(TWO, training_speakers=6, validation_speakers=0)
    runs = plan_crossval("configs/saa8k.yaml", shard_set.root, tmp_path / "few", few, [3], words, output)
    assert len(Split.load(runs[0].split).train) == 6
    with pytest.raises(AccentError, match="no phone heads; run accent crossval"):
        plan_crossval("configs/saa8k.yaml", shard_set.root, tmp_path / "seed", TWO, [4], words, output)


def test_phones_are_decoded_by_the_head_that_never_heard_the_speaker(finished, shard_set):
    output, runs = finished
    fold, utterances = Split.load(runs[0].split), Utterances.of(shard_set)
    phones = phones_heard(output)(utterances, fold, 0)
    encoder = load_model(runs[0].folder / "phones")[0].eval()
    half_S, reader = deal_halves(shard_set, fold.train), ShardReader(shard_set)
    differing = 0
    for name in (*fold.train[:2], fold.validation[0], fold.test[0]):
        position = shard_set.speakers.index(name)
        number = int(np.flatnonzero(utterances.speaker_N == name)[0])
        frames_1TD = torch.tensor(reader.frames(number)).float().unsqueeze(0)
        voice = speaker_voices(shard_set).rows(torch.tensor([position]))
        valid_1T = torch.ones(frames_1TD.shape[:2], dtype=torch.bool)
        by_half = [
            encoder.phones(frames_1TD, valid_1T, voice, torch.tensor([half]))[1].squeeze(0).argmax(-1).numpy()
            for half in (-1, 0, 1)
        ]
        half = int(half_S[position])
        np.testing.assert_array_equal(phones(number), by_half[half + 1])
        differing += int((by_half[1] != by_half[2]).any())
    assert differing  # else it would not matter which head reads whom


def test_phone_means_without_text_run_on_the_phones_of_these_heads(finished, shard_set, tmp_path):
    output, _ = finished
    name = "phone_means_decoded_ridge"
    report = run_baselines(shard_set.root, tmp_path / "same", TWO, heads=output, only=(name,), say=lambda line: None)
    assert report["systems"][name]["speakers"] == 18
    with pytest.raises(AccentError, match=r"have heard .*, whom fold 0 holds out"):
        run_baselines(shard_set.root, tmp_path / "other", FoldConfig("2", 1), heads=output, only=(name,))
