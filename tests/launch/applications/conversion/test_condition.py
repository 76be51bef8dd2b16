"""Vectors for conversion: the schema in both forms, against the model's own embeddings and the formula."""

import json
import shutil

import numpy as np
import pytest
import torch
from safetensors import safe_open

import accent as accent_package

WEIGHTS = [0.0, 0.5, 1.0]


@pytest.fixture(scope="module")
def sounds(saa, tmp_path_factory):
    root = tmp_path_factory.mktemp("sounds")
    for speaker in ("ARA004", "CMN007"):
        (root / speaker / "wav").mkdir(parents=True)
        for number in (1, 2):
            shutil.copy(saa / speaker / "wav" / f"arctic_a000{number}.wav", root / speaker / "wav")
    return root


@pytest.fixture
def vectors(accent, saa_listening_run, sounds, tmp_path):
    def make(name, *words):
        words = ["condition", saa_listening_run, sounds, "--speaker-from", "folder", "-o", tmp_path / name, *words]
        status, _, errors = accent(*words)
        assert status == 0 and errors == []
        return tmp_path / name

    return make


def unit(vectors):
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


def test_recordings_speakers_and_accents_have_the_vectors_that_the_model_gives(vectors, saa_listening_run, sounds):
    found = np.load(vectors("vectors.npz"))
    model = accent_package.load(saa_listening_run)
    paths = {name: sorted((sounds / name / "wav").iterdir()) for name in ("ARA004", "CMN007")}
    assert found["utterance_keys"].tolist() == [str(path) for mine in paths.values() for path in mine]
    assert found["utterance_speakers"].tolist() == ["ARA004"] * 2 + ["CMN007"] * 2
    assert found["speaker_names"].tolist() == list(paths)
    each = np.concatenate([model.embedder.embed_each(mine) for mine in paths.values()])
    np.testing.assert_allclose(found["utterance_vectors"], each, atol=1e-5)
    together = np.stack([model.embed_speaker(mine) for mine in paths.values()])
    np.testing.assert_allclose(found["speaker_vectors"], together, atol=1e-5)
    means = found["accent_vectors"].astype(float)
    others = [np.mean([means[other] for other in range(3) if other != one], axis=0) for one in range(3)]
    np.testing.assert_allclose(found["accent_directions"], unit(means - np.stack(others)), atol=1e-5)
    assert not any(name.startswith("interpol") for name in found.files)


def test_between_two_accents_a_vector_keeps_its_speaker_and_the_model_hears_it_move(vectors, saa_listening_run):
    found = np.load(vectors("vectors.npz", "--interpolate", "Arabic", "Mandarin", "0,0.5,1"))
    assert found["interpolation_weights"].tolist() == WEIGHTS
    first, second = (
        found["accent_vectors"][found["accent_names"].tolist().index(one)] for one in ("Arabic", "Mandarin")
    )
    expected = unit(np.stack([(1 - weight) * first + weight * second for weight in WEIGHTS]))
    np.testing.assert_allclose(found["interpolated_accent_vectors"], expected, atol=1e-5)
    head = accent_package.load(saa_listening_run).embedder.model.accent_head
    for level in ("utterance", "speaker"):
        before, after = found[f"{level}_vectors"], found[f"interpolated_{level}_vectors"]
        np.testing.assert_allclose(after[0], before, atol=1e-6)
        moved = before + (second - first)
        # What is left after the accent's mean is taken away is the same before and after.
        np.testing.assert_allclose(
            after[2] * np.linalg.norm(moved, axis=-1, keepdims=True) - second, before - first, atol=1e-5
        )
        with torch.no_grad():
            logits = head(torch.from_numpy(after)).numpy()
        names = found["accent_names"].tolist()
        odds = logits[..., names.index("Mandarin")] - logits[..., names.index("Arabic")]
        assert (np.diff(odds, axis=0) > 0).all()


def test_safetensors_hold_the_same_as_npz(vectors):
    words = ("--interpolate", "French", "Arabic", "0.25")
    archive, tensors = np.load(vectors("vectors.npz", *words)), vectors("vectors.safetensors", *words)
    with safe_open(tensors, "np") as file:
        text = file.metadata()
        numbers = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    assert sorted([*text, *numbers]) == sorted(archive.files)
    assert json.loads(text["schema"]) == "accent-conditioning-1"
    for name in archive.files:
        if name in numbers:
            np.testing.assert_array_equal(numbers[name], archive[name])
        else:
            assert json.loads(text[name]) == archive[name].tolist()


@pytest.mark.parametrize(
    "words, reason",
    [
        (("-o", "vectors.pt"), "ends in .npz or .safetensors"),
        (("-o", "vectors.npz", "--interpolate", "Arabic", "Klingon", "0.5"), "does not know the accent 'Klingon'"),
        (("-o", "vectors.npz", "--interpolate", "Arabic", "French", "half"), "no list of numbers"),
    ],
)
def test_what_cannot_be_written_is_one_line(accent, saa_listening_run, sounds, tmp_path, monkeypatch, words, reason):
    monkeypatch.chdir(tmp_path)
    status, lines, errors = accent("condition", saa_listening_run, sounds, *words)
    assert status == 2 and lines == [] and len(errors) == 1 and reason in errors[0]
    assert list(tmp_path.iterdir()) == []
