"""What is exported answers as the model does, for any batch and any time, on real speech; and loads as a model."""

import json
import shutil

import numpy as np
import pytest
import torch

import accent
from accent.errors import AccentError
from accent.inference.embedder import AccentEmbedder
from accent.inference.onnx_export import INT8_NAME, ONNX_NAME, PROGRAM_NAME, network_inputs

onnxruntime = pytest.importorskip("onnxruntime", reason="the extra `export` is not installed")

from launch.applications import export as exporting  # noqa: E402


@pytest.fixture(scope="module")
def exported(saa_run, tmp_path_factory):
    folder = tmp_path_factory.mktemp("exported") / "frames"
    exporting.export_run(saa_run, folder)
    return folder


@pytest.fixture(scope="module")
def phones_exported(saa_phones_run, tmp_path_factory):
    folder = tmp_path_factory.mktemp("exported") / "phones"
    exporting.export_run(saa_phones_run, folder)
    return folder


def padded(embedder, files):
    frames = [embedder._features([path], None)[0] for path in files]
    longest = max(map(len, frames))
    frames_BTD = np.stack([np.pad(one, ((0, longest - len(one)), (0, 0))) for one in frames])
    return frames_BTD, np.arange(longest) < np.array([len(one) for one in frames])[:, None]


def session(folder, name=ONNX_NAME):
    return onnxruntime.InferenceSession(folder / name, providers=["CPUExecutionProvider"])


@pytest.mark.parametrize("count", [1, 2, 5])
def test_the_onnx_network_embeds_sound_as_the_model_does(exported, saa, count):
    embedder = AccentEmbedder.load(exported)
    files = sorted((saa / "ENG036" / "wav").glob("*"))[:count]
    inputs = network_inputs(embedder.model, *padded(embedder, files))
    embedding_BE, logits_BA = session(exported).run(["embedding", "logits"], inputs)
    for path, embedding_E, logits_A in zip(files, embedding_BE, logits_BA, strict=True):
        expected = embedder.predict_file(path)
        np.testing.assert_allclose(embedding_E, expected.embedding_E, atol=1e-4)
        np.testing.assert_allclose(logits_A, expected.logits_A, atol=1e-3)


def test_the_torch_program_does_too(exported, saa):
    embedder = AccentEmbedder.load(exported)
    network = torch.export.load(exported / PROGRAM_NAME).module()
    path = sorted((saa / "ENG036" / "wav").glob("*"))[2]
    frames_BTD, valid_BT = padded(embedder, [path])
    # Lengths that the subsampling divides and others.
    for frames in (frames_BTD.shape[1], 100, 101, 102, 103):
        inputs = network_inputs(embedder.model, frames_BTD[:, :frames], valid_BT[:, :frames])
        with torch.inference_mode():
            embedding_BE, _ = network(*map(torch.from_numpy, inputs.values()))
        expected = embedder.predict_frames(frames_BTD[0, :frames]).embedding_E
        np.testing.assert_allclose(embedding_BE[0], expected, atol=1e-4)


def test_the_report_says_what_int8_loses(exported):
    report = json.loads((exported / "export.json").read_text())
    assert report["largest_difference"] <= 1e-4 and report["recordings"] == 36
    assert report["bytes_int8"] < report["bytes_float32"]
    assert 0.9 < report["int8_mean_cosine"] <= 1 and 0 <= report["accuracy_int8"] <= 1
    card = (exported / "README.md").read_text()
    assert card.startswith("---\n") and "6 speakers train, 6 validate" in card
    assert f"{report['int8_mean_cosine']:.4f}" in card and "equal error rate" in card


def test_int8_is_close_to_float32_on_other_speech(exported, saa):
    embedder = AccentEmbedder.load(exported)
    files = sorted((saa / "ENG036" / "wav").glob("*"))
    inputs = network_inputs(embedder.model, *padded(embedder, files))
    exact, rounded = (session(exported, name).run(["embedding"], inputs)[0] for name in (ONNX_NAME, INT8_NAME))
    assert (exact * rounded).sum(-1).min() > 0.9
    assert np.abs(exact - rounded).max() > 1e-5


def test_the_folder_loads_as_the_run_does(exported, saa_run, saa):
    path = saa / "ARA016" / "wav" / "arctic_a0001.wav"
    assert accent.load(exported).identify(path) == accent.load(saa_run).identify(path)


@pytest.mark.slow
def test_phone_heads_answer_as_in_the_model(phones_exported, saa):
    embedder = AccentEmbedder.load(phones_exported)
    files = sorted((saa / "ENG036" / "wav").glob("*"))[:3]
    inputs = network_inputs(embedder.model, *padded(embedder, files))
    states_BTS, phones_BTP = session(phones_exported).run(["state_posteriors", "phone_posteriors"], inputs)
    given = [torch.from_numpy(one) for one in inputs.values()]
    model = embedder.model
    with torch.inference_mode():
        values_BTD, _ = model.normalisation(given[0], given[1], accent_voices(given[2:]))
        expected_BTS = model.recogniser.posteriors(values_BTD, given[1])
        expected_BTP = model.recogniser.by_phone(expected_BTS)
    real = inputs["valid"]
    np.testing.assert_allclose(states_BTS[real], expected_BTS.numpy()[real], atol=1e-4)
    np.testing.assert_allclose(phones_BTP[real], expected_BTP.numpy()[real], atol=1e-4)
    np.testing.assert_allclose(phones_BTP[real].sum(-1), 1, atol=1e-4)


def accent_voices(parts):
    from accent.model.normalisation import VoiceStatistics

    return VoiceStatistics(*parts)


def test_a_folder_of_something_else_stays(saa_run, tmp_path):
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(AccentError, match="holds something that is no exported model"):
        exporting.export_run(saa_run, tmp_path)
    assert (tmp_path / "thesis.tex").read_text() == "years of work"


def test_a_network_that_answers_otherwise_is_not_exported(saa_run, exported, tmp_path, monkeypatch):
    def other_network(model, folder):
        for name in (ONNX_NAME, INT8_NAME, PROGRAM_NAME):
            shutil.copy(exported / name, folder / name)
        return ("embedding", "logits")

    class Biased(onnxruntime.InferenceSession):
        def run(self, *arguments):
            return [one + 0.01 for one in super().run(*arguments)]

    monkeypatch.setattr(exporting, "write_networks", other_network)
    monkeypatch.setattr(onnxruntime, "InferenceSession", Biased)
    with pytest.raises(AccentError, match=r"differs from torch by 0\.01"):
        exporting.export_run(saa_run, tmp_path / "out")
    assert list(tmp_path.iterdir()) == []
