"""A model saved and loaded is the same model, and refuses what it was not made for."""

import json
from typing import get_args

import numpy as np
import pytest
import soundfile
import torch
from safetensors.torch import load_file, save_file

from accent import AccentEmbedder
from accent.audio.prepare import AudioConfig, load_speech
from accent.errors import AccentError
from accent.features.config import FeatureConfig
from accent.features.extract import extract
from accent.features.phones import PHONES
from accent.features.schema import COLUMNS, N_COLUMNS
from accent.inference.model_file import DESCRIPTION_NAME, WEIGHTS_NAME, load_model, save_model
from accent.model.config import Mode, ModelConfig
from accent.model.encoder import EnhancedAccentEncoder
from tests.support.sound.synthesis import vowel

ACCENTS = ("Arabic", "Español", "한국어")
SIZES = {"hidden": 16, "layers": 1, "heads": 2, "embedding_dim": 12, "accents": ACCENTS}


def tiny(seed: int = 0, **changes) -> EnhancedAccentEncoder:
    torch.manual_seed(seed)
    model = EnhancedAccentEncoder(ModelConfig.from_preset("tiny", **{**SIZES, **changes}))
    model.set_normalisation(np.linspace(-3, 3, N_COLUMNS), np.linspace(0.5, 2, N_COLUMNS))
    return model


def frames(n_frames: int = 80, seed: int = 0) -> np.ndarray:
    frames_TD = np.random.default_rng(seed).standard_normal((n_frames, N_COLUMNS)).astype(np.float32)
    frames_TD[10:30, COLUMNS.index("f0_hz")] = np.nan
    return frames_TD


@pytest.fixture
def wav(tmp_path):
    path = tmp_path / "speech.wav"
    soundfile.write(path, vowel(120, [500.0, 1500.0, 2500.0], seconds=0.8), 16_000)
    return path


@pytest.mark.parametrize("named", ["", "model", f"model/{WEIGHTS_NAME}"], ids=["run", "folder", "file"])
def test_a_loaded_model_embeds_as_the_saved_one(tmp_path, named):
    model, config = tiny().eval(), FeatureConfig(formant_ceiling_hz=5000.0, audio=AudioConfig(trim_db=None))
    save_model(model, tmp_path / "model", config)
    loaded, loaded_config = load_model(tmp_path / named)
    assert not loaded.training
    assert loaded_config == config
    assert loaded.config == model.config
    before, after = (AccentEmbedder(one, config).predict_frames(frames()) for one in (model, loaded))
    assert (before.embedding_E == after.embedding_E).all()
    assert (before.probability_A == after.probability_A).all()


def test_accents_given_later_are_saved_with_their_head(tmp_path):
    model = tiny()
    model.set_accents(["b", "a"])
    save_model(model, tmp_path, FeatureConfig())
    assert AccentEmbedder.load(tmp_path).accents == ("b", "a")


def test_saving_again_replaces_the_model_and_leaves_nothing_else(tmp_path):
    save_model(tiny(0), tmp_path, FeatureConfig())
    save_model(tiny(1), tmp_path, FeatureConfig())
    assert sorted(path.name for path in tmp_path.iterdir()) == [DESCRIPTION_NAME, WEIGHTS_NAME]
    expected = AccentEmbedder(tiny(1), FeatureConfig()).predict_frames(frames()).embedding_E
    assert (AccentEmbedder.load(tmp_path).predict_frames(frames()).embedding_E == expected).all()


def test_a_save_that_fails_leaves_the_model_before(tmp_path, monkeypatch):
    save_model(tiny(0), tmp_path, FeatureConfig())
    before = (tmp_path / WEIGHTS_NAME).read_bytes()

    def full_disk(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full_disk)
    with pytest.raises(AccentError, match="No space left"):
        save_model(tiny(1), tmp_path, FeatureConfig())
    assert (tmp_path / WEIGHTS_NAME).read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == [DESCRIPTION_NAME, WEIGHTS_NAME]


def test_the_description_names_all_a_user_of_the_weights_needs(tmp_path):
    save_model(tiny(), tmp_path, FeatureConfig(pitch_floor_hz=60.0))
    description = json.loads((tmp_path / DESCRIPTION_NAME).read_text(encoding="utf-8"))
    assert description["columns"] == list(COLUMNS) and description["phones"] == list(PHONES)
    assert description["features"]["pitch_floor_hz"] == 60.0
    assert description["model"]["accents"] == list(ACCENTS)


def test_a_missing_model_is_one_clear_line(tmp_path):
    with pytest.raises(AccentError, match="no such run or model folder"):
        load_model(tmp_path / "nowhere")
    with pytest.raises(AccentError, match="no trained model here"):
        load_model(tmp_path)


def test_a_torn_model_file_is_refused(tmp_path):
    save_model(tiny(), tmp_path, FeatureConfig())
    path = tmp_path / WEIGHTS_NAME
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(AccentError, match="damaged model file"):
        load_model(tmp_path)


def test_weights_of_something_else_are_refused(tmp_path):
    save_file({"weight": torch.zeros(3)}, tmp_path / WEIGHTS_NAME)
    with pytest.raises(AccentError, match="not a model of this program"):
        load_model(tmp_path)


def rewritten(folder, change) -> None:
    """Change the description inside the weights file."""
    description = json.loads((folder / DESCRIPTION_NAME).read_text(encoding="utf-8"))
    change(description)
    weights = load_file(folder / WEIGHTS_NAME)
    save_file(weights, folder / WEIGHTS_NAME, metadata={"accent_model": json.dumps(description)})


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (lambda one: one["columns"].pop(), "other columns than this program's .tilt_db_octave."),
        (lambda one: one["columns"].reverse(), "other columns than this program's .their order."),
        (lambda one: one["phones"].append("XX"), "other phones than this program's .XX."),
        (lambda one: one.update(format_version=99), "model format 99, this program reads 1"),
        (lambda one: one["model"].update(embedding_dim=13), "the weights do not fit"),
        (lambda one: one["features"].update(pitch_flor_hz=1), "another version .*unknown key 'pitch_flor_hz'"),
    ],
    ids=["column", "order", "phone", "version", "weights", "configuration"],
)
def test_a_model_made_for_other_features_is_refused(tmp_path, change, line):
    save_model(tiny(), tmp_path, FeatureConfig())
    rewritten(tmp_path, change)
    with pytest.raises(AccentError, match=line):
        load_model(tmp_path)


def test_embedding_a_file_equals_preparing_it_by_hand(wav):
    embedder = AccentEmbedder(tiny(), FeatureConfig())
    speech = load_speech(wav, FeatureConfig().audio)
    embedding = embedder.embed_file(wav)
    assert embedding.shape == (12,) and embedding.dtype == np.float32
    assert np.linalg.norm(embedding) == pytest.approx(1, abs=1e-5)
    assert (embedding == embedder.embed_speech(speech)).all()
    assert (embedding == embedder.predict_frames(extract(speech, FeatureConfig()).frames_TD).embedding_E).all()


def test_files_of_one_speaker_are_heard_together_where_the_voice_counts(tmp_path):
    paths = [tmp_path / f"{number}.wav" for number in range(3)]
    for number, path in enumerate(paths):
        soundfile.write(path, vowel(110 + 30 * number, [500.0 + 90 * number, 1500.0, 2500.0], seconds=0.7), 16_000)
    for mode in get_args(Mode):
        embedder = AccentEmbedder(tiny(normalisation=mode), FeatureConfig())
        alone = np.stack([embedder.embed_file(path) for path in paths])
        together = embedder.embed_each(paths)
        assert together.shape == (3, 12) and together.dtype == np.float32
        assert (together == alone).all() == (mode != "speaker")
        assert (embedder.embed_each(paths[:1])[0] == alone[0]).all()
        np.testing.assert_allclose(embedder.embed_each(paths[::-1])[::-1], together, atol=1e-5)


def test_files_of_one_speaker_make_one_vector(tmp_path):
    paths = [tmp_path / f"{number}.wav" for number in range(3)]
    for number, path in enumerate(paths):
        soundfile.write(path, vowel(120, [500.0 + 90 * number, 1500.0, 2500.0], seconds=0.7), 16_000)
    embedder = AccentEmbedder(tiny(), FeatureConfig())
    mean_E = embedder.embed_each(paths).mean(0)
    one_E = embedder.embed_files(paths)
    np.testing.assert_allclose(one_E, mean_E / np.linalg.norm(mean_E), atol=1e-6)
    np.testing.assert_allclose(embedder.embed_files(paths[:1]), embedder.embed_file(paths[0]), atol=1e-6)


@pytest.mark.parametrize("mode", get_args(Mode))
def test_a_loaded_model_normalises_as_the_saved_one(tmp_path, mode):
    model = tiny(normalisation=mode, deltas=1, delta_families=("mel", "formants"))
    save_model(model, tmp_path, FeatureConfig())
    loaded = AccentEmbedder.load(tmp_path)
    assert loaded.model.config == model.config
    recordings = [frames(150), frames(90, seed=1)]
    for one, other in zip(
        AccentEmbedder(model, FeatureConfig()).predict_voice(recordings), loaded.predict_voice(recordings), strict=True
    ):
        assert (one.embedding_E == other.embedding_E).all()


def test_features_are_rounded_as_they_are_in_shards():
    embedder, exact = AccentEmbedder(tiny(), FeatureConfig()), 100 * frames()
    stored = exact.astype(np.float16)
    assert (embedder.predict_frames(exact).embedding_E == embedder.predict_frames(stored).embedding_E).all()


@pytest.mark.parametrize("normalisation", get_args(Mode))
def test_recordings_in_batches_are_each_predicted_as_alone(normalisation):
    embedder = AccentEmbedder(tiny(normalisation=normalisation), FeatureConfig())
    recordings = [frames(length, seed) for seed, length in enumerate([300, 80, 2500, 81, 4000, 120])]
    together = embedder.predict_recordings(recordings)
    for one, recording in zip(together, recordings, strict=True):
        alone = embedder.predict_frames(recording)
        np.testing.assert_allclose(one.embedding_E, alone.embedding_E, atol=1e-5)
        np.testing.assert_allclose(one.logits_A, alone.logits_A, atol=2e-4)
        assert one.probability_A.sum() == pytest.approx(1, abs=1e-5)


def test_sex_moves_the_formants_where_the_configuration_says_so(wav):
    embedder = AccentEmbedder(tiny(), FeatureConfig(formant_ceiling_male_hz=5000.0))
    unknown, female, male = (embedder.embed_file(wav, sex) for sex in (None, "female", "male"))
    assert (unknown == female).all() and not (unknown == male).all()


def test_an_unusable_file_is_refused_with_its_reason(tmp_path):
    embedder = AccentEmbedder(tiny(), FeatureConfig())
    with pytest.raises(AccentError):
        embedder.embed_file(tmp_path / "missing.wav")
    soundfile.write(tmp_path / "silent.wav", np.zeros(16_000), 16_000)
    with pytest.raises(AccentError):
        embedder.embed_file(tmp_path / "silent.wav")


def test_loading_embeds_on_the_device_asked_for(tmp_path):
    save_model(tiny(), tmp_path, FeatureConfig())
    embedder = AccentEmbedder.load(tmp_path, "cpu")
    assert {parameter.device.type for parameter in embedder.model.parameters()} == {"cpu"}


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_a_gpu_embeds_as_the_cpu(tmp_path):
    save_model(tiny(), tmp_path, FeatureConfig())
    on_cpu, on_gpu = (AccentEmbedder.load(tmp_path, device).predict_frames(frames()) for device in ("cpu", "cuda"))
    assert float(on_cpu.embedding_E @ on_gpu.embedding_E) > 0.9999
