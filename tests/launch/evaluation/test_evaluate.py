"""Evaluation end to end on a synthetic shard set: who is tested, what is written, what is refused."""

import io
import json

import numpy as np
import pytest
import torch
from rich.console import Console
from sklearn.metrics import accuracy_score

from accent.errors import AccentError
from accent.inference.embedder import AccentEmbedder
from accent.metrics import nearest_centroid
from launch import train_accent_encoder
from launch.evaluation.evaluate import choose_speakers, evaluate_run
from shards import ShardSet, TrainingLoader
from shards.loading.config import BatchConfig
from shards.shard_set.reader import ShardReader
from shards.splits.split import Split
from tests.support.training.evaluated_runs import ACCENTS, make_run, split_of, synthetic, untrained


@pytest.fixture(scope="module")
def shard_set(tmp_path_factory) -> ShardSet:
    return synthetic(tmp_path_factory.mktemp("shards"))


@pytest.fixture(scope="module")
def run(tmp_path_factory, shard_set):
    return make_run(tmp_path_factory.mktemp("run"), shard_set, split_of(shard_set))


@pytest.fixture(scope="module")
def result(run, shard_set):
    return evaluate_run(run, shard_set.root)


def printed(result) -> str:
    """The tables as an 80-column terminal shows them; nothing may be cut."""
    console = Console(width=80, record=True, file=io.StringIO())
    console.print(result.table)
    text = console.export_text()
    assert "…" not in text
    return text


# --- a run ------------------------------------------------------------------------------------------------------------


def test_everything_a_picture_needs_lies_in_the_run_folder(result, run, shard_set):
    assert result.folder == run / "evaluation"
    assert {path.name for path in result.folder.iterdir()} == {
        "evaluation.json",
        "embeddings.npz",
        "embedding_space.png",
        "confusion.png",
        "fusion.png",
    }
    assert set(result.pictures) == set(result.folder.glob("*.png"))
    assert json.loads((result.folder / "evaluation.json").read_text(encoding="utf-8")) == json.loads(
        json.dumps(result.report)
    )
    archive = np.load(result.folder / "embeddings.npz")
    split = split_of(shard_set)
    assert set(archive["speakers"][archive["unseen"]]) == set(split.test)
    assert set(archive["speakers"][~archive["unseen"]]) == set(split.train)
    assert len(archive["keys"]) == len(set(archive["keys"])) == 6 * (len(split.test) + len(split.train))


def test_the_archive_tells_the_truth_about_each_recording(result, run, shard_set):
    archive = np.load(result.folder / "embeddings.npz")
    embedder, reader = AccentEmbedder.load(run), ShardReader(shard_set)
    row_of = {key: row for row, key in enumerate(archive["keys"])}
    checked = 0
    for sample in range(0, len(shard_set), 7):
        metadata = reader.metadata(sample)
        if metadata["key"] not in row_of:
            continue
        row, heard = row_of[metadata["key"]], embedder.predict_frames(reader.frames(sample))
        np.testing.assert_allclose(archive["embeddings"][row], heard.embedding_E, atol=1e-5)
        np.testing.assert_allclose(archive["probabilities"][row], heard.probability_A, atol=1e-4)
        assert archive["speakers"][row] == metadata["speaker"] and archive["sex"][row] == metadata["sex"]
        assert archive["accent_names"][archive["labels"][row]] == metadata["accent"]
        assert archive["seconds"][row] == pytest.approx(metadata["duration"])
        checked += 1
    assert checked > 5


def test_figures_can_be_computed_again_from_the_archive(result):
    archive = np.load(result.folder / "embeddings.npz")
    unseen, embeddings, labels = archive["unseen"], archive["embeddings"], archive["labels"]
    told = nearest_centroid(embeddings[~unseen], labels[~unseen], embeddings[unseen])
    figures = result.report["classification"]
    assert figures["nearest_centroid"]["accuracy"]["value"] == pytest.approx(accuracy_score(labels[unseen], told))
    head = archive["probabilities"][unseen].argmax(1)
    assert figures["accent_head"]["accuracy"]["value"] == pytest.approx(accuracy_score(labels[unseen], head))
    assert np.array(result.report["confusion"]["accent_head"]).sum() == unseen.sum()


def test_groups_partition_what_is_tested(result):
    for section in ("by_sex", "by_duration"):
        groups = result.report[section].values()
        assert len(groups) > 1 and sum(group["recordings"] for group in groups) == 36
    assert {name: group["speakers"] for name, group in result.report["by_sex"].items()} == {"female": 3, "male": 3}


def test_the_table_shows_every_figure_beside_its_chance(result):
    text = printed(result)
    for word in ("linear probe, accuracy", "accent EER, unseen pairs", "speaker EER", "MAP@R", "silhouette", "chance"):
        assert word in text
    for word in ("majority", "95 % interval", "female", "2 to 4 s", "6 unseen speakers (test)"):
        assert word in text


def test_evaluating_again_gives_the_same_figures(result, run, shard_set, tmp_path):
    again = evaluate_run(run, shard_set.root, output=tmp_path / "elsewhere")
    assert again.report == result.report
    assert (tmp_path / "elsewhere" / "evaluation.json").is_file()


def test_validation_speakers_can_be_tested_instead(run, shard_set, tmp_path):
    result = evaluate_run(run, shard_set.root, split="validation", output=tmp_path)
    report = result.report
    assert report["speakers"]["tested"] == ["A2", "H2", "S2"] and report["tested"] == "validation"
    # One speaker an accent: pairs of unseen speakers have no target, pairs with training speakers do.
    assert report["verification"]["accent_eer_unseen"]["value"] is None
    assert "no two speakers" in report["verification"]["accent_eer_unseen"]["reason"]
    assert report["verification"]["accent_eer_unseen_against_training"]["value"] is not None
    assert report["retrieval"]["map_at_r_unseen"]["value"] is None
    assert report["retrieval"]["map_at_r_unseen_among_training"]["value"] is not None
    assert "no two speakers share an accent" in printed(result)


def test_held_out_prompts_are_the_only_ones_tested_and_never_taught(shard_set, tmp_path):
    run = make_run(tmp_path / "run", shard_set, split_of(shard_set, held_out_prompts=["p0001", "p0004"]))
    result = evaluate_run(run, shard_set.root)
    archive = np.load(result.folder / "embeddings.npz")
    tested = {key.split("-")[1] for key in archive["keys"][archive["unseen"]]}
    taught = {key.split("-")[1] for key in archive["keys"][~archive["unseen"]]}
    assert tested == {"u0001", "u0004"} and taught == {"u0000", "u0002", "u0003", "u0005"}
    assert result.report["tested_prompts"] == ["p0001", "p0004"]


# --- another corpus ---------------------------------------------------------------------------------------------------


def test_another_corpus_is_tested_on_speakers_of_known_accents(shard_set, tmp_path):
    other = synthetic(tmp_path / "other", 3, ["Hindi", "Korean", "Welsh", "Spanish"], seed=5)
    split = Split(train=("A3", "A4", "H3", "S3"), validation=("A2",), test=("A0",))
    report = evaluate_run(make_run(tmp_path / "run", shard_set, split), other.root).report
    assert report["tested"] == "another corpus"
    assert report["speakers"]["tested"] == ["H0", "H1", "H2", "S0", "S1", "S2"]
    assert report["training_shards"] == str(shard_set.root)
    assert {one["speaker"][0] for one in report["left_out"]} == {"K", "W"}
    assert all("unknown to the model" in one["reason"] for one in report["left_out"])


def test_a_speaker_trained_on_is_never_called_unseen(tmp_path):
    split = Split(train=("A3", "H0", "H3", "S3"), validation=("H1",), test=("A0",))
    other = synthetic(tmp_path, 3, ["Hindi"], seed=5)
    choice = choose_speakers(other, split, "test", ACCENTS)
    assert choice.tested == ["H2"] and choice.other_corpus
    assert {one["speaker"]: one["reason"] for one in choice.left_out} == {
        "H0": "in the run's split (train)",
        "H1": "in the run's split (validation)",
    }


def test_nobody_to_test_is_one_clear_line(shard_set, tmp_path):
    everybody = Split(train=tuple(shard_set.speakers), validation=(), test=())
    with pytest.raises(AccentError, match=r"no speaker that the model never saw .in the run's split .train.."):
        choose_speakers(shard_set, everybody, "test", ACCENTS)
    strangers = synthetic(tmp_path, 2, ["Welsh"])
    with pytest.raises(AccentError, match="accent 'Welsh' is unknown to the model"):
        choose_speakers(strangers, split_of(shard_set), "test", ACCENTS)


def test_a_missing_training_shard_set_is_named(shard_set, tmp_path):
    moved = synthetic(tmp_path / "moved", seed=1)
    run = make_run(tmp_path / "run", moved, split_of(moved))
    other = synthetic(tmp_path / "other", 2, ["Hindi"], seed=5)
    moved.root.rename(tmp_path / "away")
    split = split_of(shard_set)
    Split(split.train, split.validation, ("A0",)).save(run / "split.json")
    with pytest.raises(AccentError, match="the training speakers' shard set is not here"):
        evaluate_run(run, other.root)
    report = evaluate_run(run, other.root, training_shards=tmp_path / "away").report
    assert report["speakers"]["tested"] == ["H0", "H1"]


# --- refusals ---------------------------------------------------------------------------------------------------------


def test_features_made_otherwise_are_refused_and_named(shard_set, tmp_path):
    run = make_run(tmp_path / "run", shard_set, split_of(shard_set), pitch_floor_hz=60.0)
    with pytest.raises(AccentError, match=r"pitch_floor_hz 75.0, not 60.0"):
        evaluate_run(run, shard_set.root)


def test_a_run_without_model_or_split_is_refused(run, shard_set, tmp_path):
    with pytest.raises(AccentError, match="no such run"):
        evaluate_run(tmp_path / "nowhere", shard_set.root)
    bare = make_run(tmp_path / "bare", shard_set, split_of(shard_set))
    (bare / "split.json").unlink()
    with pytest.raises(AccentError, match="no such split file"):
        evaluate_run(bare, shard_set.root)


def test_a_folder_that_cannot_be_written_is_one_line_before_anything_is_computed(run, shard_set, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("not a folder")
    monkeypatch.setattr("launch.evaluation.evaluate.embed_speech", lambda *arguments: pytest.fail("computed"))
    with pytest.raises(AccentError, match="file: cannot make this folder"):
        evaluate_run(run, shard_set.root, output=tmp_path / "file")


def test_a_model_that_knows_the_accents_is_better_than_chance(tmp_path):
    strong = synthetic(tmp_path / "shards", 5, accent_strength=3.0, speaker_strength=0.1)
    split, model = split_of(strong), untrained(strong.accents)
    batch = BatchConfig(speakers_per_accent=2, utterances_per_speaker=2, crop_frames=80)
    train_accent_encoder(model, TrainingLoader(strong, split, batch), None, num_epochs=10, device="cpu")
    report = evaluate_run(make_run(tmp_path / "run", strong, split, model), strong.root).report
    for name in ("nearest_centroid", "nearest_neighbours", "linear_probe"):
        assert report["classification"][name]["accuracy"]["value"] > 0.9
    assert report["verification"]["accent_eer_unseen"]["value"] < 0.1
    assert report["retrieval"]["map_at_r_unseen"]["value"] > 0.9
    assert torch.is_grad_enabled()
    assert report["accents"] == list(ACCENTS)


# --- speakers ---------------------------------------------------------------------------------------------------------


def test_speakers_are_told_by_the_mean_of_their_recordings(result):
    archive = np.load(result.folder / "embeddings.npz")
    unseen = archive["unseen"]
    speaker, label = archive["speakers"][unseen], archive["labels"][unseen]
    logarithm = np.log(archive["probabilities"][unseen].astype(np.float64))
    names = np.unique(speaker)
    true = [label[speaker == name][0] for name in names]
    told = [logarithm[speaker == name].mean(0).argmax() for name in names]
    found = result.report["speaker_classification"]["accent_head"]
    assert found["all"]["accuracy"]["value"] == pytest.approx(accuracy_score(true, told))
    assert set(found) == {"1", "2", "4", "6", "all"}
    assert found["1"]["accuracy"]["value"] == pytest.approx(
        result.report["classification"]["accent_head"]["accuracy"]["value"]
    )
    assert 0 < result.report["permutation"]["p_value"] <= 1
    assert result.report["calibration"]["cllr"] > 0
