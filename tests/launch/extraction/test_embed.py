"""Embedding a file, a folder or a shard set: what is in the archive, and what is refused."""

import csv
import io
import os
import shutil

import numpy as np
import pytest
import soundfile
from rich.console import Console

from accent.errors import AccentError
from accent.features.config import FeatureConfig
from accent.inference.embedder import AccentEmbedder
from accent.inference.model_file import save_model
from launch.extraction import sound_features
from launch.extraction.embed import embed_input
from shards import FeatureProcessor
from shards.corpora.corpus import CorpusConfig
from shards.writing.processor import FeaturizeConfig
from tests.support.sound.synthesis import vowel
from tests.support.training.evaluated_runs import ACCENTS, synthetic, untrained


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return save_model(untrained(), tmp_path_factory.mktemp("model"), FeatureConfig())


@pytest.fixture
def sounds(tmp_path):
    """A folder with three good files at different depths, a corrupt one, a silent one and a text."""
    root = tmp_path / "sounds"
    (root / "deeper" / "still").mkdir(parents=True)
    for number, name in enumerate(["a.wav", "deeper/B.FLAC", "deeper/still/c.ogg"]):
        samples = vowel(110 + 20 * number, [500.0, 1500.0, 2500.0], seconds=0.6)
        soundfile.write(root / name, samples, 16_000, format=name.split(".")[-1].upper())
    (root / "broken.wav").write_bytes(b"RIFF, but nothing else")
    soundfile.write(root / "silent.wav", np.zeros(8_000), 16_000)
    (root / "notes.txt").write_text("not a sound")
    return root


def quiet() -> Console:
    return Console(file=io.StringIO(), width=200)


def test_a_folder_is_searched_at_any_depth_and_the_rest_is_used(model, sounds, tmp_path):
    console = quiet()
    result = embed_input(model, sounds, tmp_path / "new" / "out.npz", console=console)
    archive = np.load(result.output)
    assert archive["keys"].tolist() == ["a.wav", "deeper/B.FLAC", "deeper/still/c.ogg"]
    assert [path for path, _ in result.refused] == ["broken.wav", "silent.wav"]
    assert archive["refused"].tolist() == [list(one) for one in result.refused]
    assert archive["accent_names"].tolist() == list(ACCENTS)
    embedder = AccentEmbedder.load(model)
    for row, key in enumerate(archive["keys"]):
        heard = embedder.predict_file(sounds / key)
        assert (archive["embeddings"][row] == heard.embedding_E).all()
        assert (archive["probabilities"][row] == heard.probability_A).all()
    text = console.file.getvalue()
    assert "refused: broken.wav: not readable" in text and "refused: silent.wav: " in text
    assert "3 embeddings of 12 numbers; 2 refused" in text


def test_one_file_gives_one_row(model, sounds, tmp_path):
    embed_input(model, sounds / "a.wav", tmp_path / "out.npz", console=quiet())
    archive = np.load(tmp_path / "out.npz")
    assert archive["keys"].tolist() == ["a.wav"] and archive["embeddings"].shape == (1, 12)
    assert archive["probabilities"].sum() == pytest.approx(1, abs=1e-5)


def test_shards_bring_their_keys_speakers_and_accents(model, tmp_path):
    shard_set = synthetic(tmp_path / "shards", 2)
    result = embed_input(model, shard_set.root, tmp_path / "out.npz", console=quiet())
    archive = np.load(tmp_path / "out.npz")
    assert result.count == len(shard_set) == len(set(archive["keys"]))
    assert [key.split("-")[0] for key in archive["keys"]] == archive["speakers"].tolist()
    assert all(accent[0] == speaker[0] for accent, speaker in zip(archive["accents"], archive["speakers"], strict=True))
    np.testing.assert_allclose(np.linalg.norm(archive["embeddings"], axis=1), 1, atol=1e-5)


def test_real_speech_embeds_the_same_from_its_file_and_from_a_shard(model, saa, tmp_path):
    config = FeaturizeConfig(corpus=CorpusConfig(speakers=("ARA016", "FRA037")))
    shard_set = FeatureProcessor(saa, tmp_path / "shards", config, workers=1).process_dataset()
    embed_input(model, shard_set.root, tmp_path / "shards.npz", console=quiet())
    for speaker in ("ARA016", "FRA037"):
        shutil.copytree(saa / speaker / "wav", tmp_path / "sound" / speaker)
    embed_input(model, tmp_path / "sound", tmp_path / "sound.npz", console=quiet())
    from_shards, from_sound = np.load(tmp_path / "shards.npz"), np.load(tmp_path / "sound.npz")
    row_of = {key: row for row, key in enumerate(from_shards["keys"])}
    assert len(from_sound["keys"]) == len(row_of) == 12
    for key, embedding in zip(from_sound["keys"], from_sound["embeddings"], strict=True):
        other = from_shards["embeddings"][row_of[key.removesuffix(".wav").replace("/", "-")]]
        # The same float16 numbers go in; only the batch around them differs.
        np.testing.assert_allclose(embedding, other, atol=1e-5)


@pytest.mark.parametrize(
    ("source", "output", "line"),
    [
        ("nowhere", "out.npz", "no such file or folder"),
        ("empty", "out.npz", "no sound file"),
        ("bad", "out.npz", "none of 1 sound files can be used"),
        ("sounds/broken.wav", "out.npz", "broken.wav"),
        ("sounds", "out.txt", r"an \.npz archive or a \.csv table"),
        ("sounds", "sounds/a.wav/out.npz", "cannot make this folder"),
    ],
)
def test_what_cannot_be_embedded_is_one_clear_line_and_writes_nothing(model, sounds, tmp_path, source, output, line):
    (tmp_path / "empty").mkdir()
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "x.wav").write_bytes(b"")
    with pytest.raises(AccentError, match=line):
        embed_input(model, tmp_path / source, tmp_path / output, console=quiet())
    assert not list(tmp_path.rglob("*.npz*"))


def test_shards_of_other_features_are_refused(tmp_path):
    model = save_model(untrained(), tmp_path / "model", FeatureConfig(two_pass_pitch=True))
    shard_set = synthetic(tmp_path / "shards", 1)
    with pytest.raises(AccentError, match="two_pass_pitch False, not True"):
        embed_input(model, shard_set.root, tmp_path / "out.npz", console=quiet())


def test_an_archive_from_before_stays_until_the_new_one_is_whole(model, sounds, tmp_path, monkeypatch):
    output = tmp_path / "out.npz"
    output.write_bytes(b"before")

    def full_disk(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full_disk)
    with pytest.raises(AccentError, match=r"out\.npz: cannot be written \(No space left on device\)"):
        embed_input(model, sounds / "a.wav", output, console=quiet())
    assert output.read_bytes() == b"before"
    assert not list(tmp_path.glob(".out*"))


def test_a_name_that_is_not_utf_8_is_refused_under_an_escaped_name(model, sounds, tmp_path):
    with open(bytes(sounds) + b"/caf\xe9.wav", "wb") as file:
        file.write((sounds / "a.wav").read_bytes())
    result = embed_input(model, sounds, tmp_path / "out.npz", console=quiet())
    (sounds / os.fsdecode(b"caf\xe9.wav")).unlink()
    assert (r"caf\xe9.wav", "its name is not UTF-8; rename it") in result.refused


def test_an_error_that_was_not_foreseen_costs_one_file(model, sounds, tmp_path, monkeypatch):
    load = sound_features.load_speech

    def unforeseen(path, config):
        if path.name == "a.wav":
            raise ZeroDivisionError("division by zero")
        return load(path, config)

    monkeypatch.setattr(sound_features, "load_speech", unforeseen)
    result = embed_input(model, sounds, tmp_path / "out.npz", console=quiet())
    assert result.count > 0
    assert ("a.wav", "the features could not be computed (ZeroDivisionError: division by zero)") in result.refused


def test_a_folder_that_cannot_be_listed_is_said(model, sounds, tmp_path, monkeypatch):
    (sounds / "locked").mkdir()
    scandir = os.scandir

    def refusing(folder):
        if str(folder) == str(sounds / "locked"):
            raise PermissionError(13, "Permission denied", str(folder))
        return scandir(folder)

    monkeypatch.setattr(os, "scandir", refusing)
    result = embed_input(model, sounds, tmp_path / "out.npz", console=quiet())
    assert ("locked", "cannot be listed: Permission denied") in result.refused


def test_a_table_holds_the_numbers_of_the_archive(model, tmp_path):
    shard_set = synthetic(tmp_path / "shards", 2)
    for name in ("out.npz", "out.csv"):
        embed_input(model, shard_set.root, tmp_path / name, console=quiet())
    archive = np.load(tmp_path / "out.npz")
    with (tmp_path / "out.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["key"] for row in rows] == archive["keys"].tolist()
    assert [row["accent"] for row in rows] == archive["accents"].tolist()
    width = archive["embeddings"].shape[1]
    embeddings = np.array([[np.float32(row[f"e{column}"]) for column in range(width)] for row in rows])
    probabilities = np.array([[np.float32(row[accent]) for accent in ACCENTS] for row in rows])
    assert (embeddings == archive["embeddings"]).all() and (probabilities == archive["probabilities"]).all()


def test_several_workers_give_what_one_gives(model, sounds, tmp_path):
    for workers in (1, 2):
        embed_input(model, sounds, tmp_path / f"{workers}.npz", console=quiet(), workers=workers)
    one, two = np.load(tmp_path / "1.npz"), np.load(tmp_path / "2.npz")
    assert all((one[name] == two[name]).all() for name in one.files)
