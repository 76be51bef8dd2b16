"""`accent.load` on real speech: the same answers by path, by array, at any rate, in lists, from several threads."""

import shutil
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import soundfile

import accent
from accent.errors import AccentError
from accent.inference.accent_model import UNKNOWN


@pytest.fixture(scope="module", params=["saa_run", "saa_phones_run"])
def run(request):
    return request.getfixturevalue(request.param)


@pytest.fixture(scope="module")
def model(run):
    return accent.load(run)


@pytest.fixture(scope="module")
def files(saa):
    return sorted((saa / "ARA016" / "wav").glob("*.wav")) + sorted((saa / "FRA037" / "wav").glob("*.wav"))[:2]


@pytest.mark.parametrize("named", ["", "model", "model/model.safetensors"], ids=["run", "folder", "file"])
def test_run_folder_and_file_load_the_same_calibrated_model(run, model, files, named):
    assert accent.load(run / named).identify(files[0]) == model.identify(files[0])


def test_a_list_is_answered_as_each_alone_in_the_order_given(model, files):
    together = model.embed(files)
    assert together.shape == (len(files), model.embedder.model.config.embedding_dim)
    for row, path in zip(together, files, strict=True):
        np.testing.assert_allclose(row, model.embed(path), atol=1e-5)
    assert [one.accent for one in model.identify(files)] == [model.identify(path).accent for path in files]


def test_samples_with_their_rate_are_the_file(model, files):
    samples, rate = soundfile.read(files[0], dtype="int16")
    np.testing.assert_array_equal(model.embed(samples, rate=rate), model.embed(files[0]))
    stereo = np.stack([samples, samples], axis=1) / 32768
    np.testing.assert_allclose(model.embed(stereo, rate=rate), model.embed(files[0]), atol=2e-3)


def test_speech_resampled_to_another_rate_stays_close(model, files):
    import soxr

    samples, rate = soundfile.read(files[0])
    other = soxr.resample(samples, rate, 22_050)
    same, different = model.embed(files[0]), model.embed(files[-1])
    again = model.embed(other, rate=22_050)
    assert again @ same > 0.95 and again @ same > different @ same


def test_a_speaker_is_one_vector_of_unit_length_that_does_not_depend_on_the_order(model, files):
    speaker = files[:6]
    one = model.embed_speaker(speaker)
    assert one.shape == model.embed(speaker[0]).shape
    assert np.linalg.norm(one) == pytest.approx(1, abs=1e-5)
    np.testing.assert_allclose(model.embed_speaker(speaker[::-1]), one, atol=1e-5)
    np.testing.assert_allclose(model.embed_speaker(speaker[:1]), model.embed(speaker[0]), atol=1e-5)


def test_probabilities_are_ranked_and_divided_by_the_temperature(model, files):
    answer = model.identify(files[0])
    ranked = list(answer.probabilities.values())
    assert set(answer.probabilities) == set(model.accents)
    assert ranked == sorted(ranked, reverse=True) and sum(ranked) == pytest.approx(1)
    level = model.calibration.level(answer.seconds)
    logits_A = model.embedder.predict_file(files[0]).logits_A.astype(np.float64)
    odds_A = np.exp(logits_A / level.temperature)
    for name, share in zip(model.accents, odds_A / odds_A.sum(), strict=True):
        assert answer.probabilities[name] == pytest.approx(share, abs=1e-4)
    assert answer.unknownness == pytest.approx(-np.log(np.exp(logits_A).sum()), abs=1e-4)
    assert (answer.accent == UNKNOWN) == (answer.unknownness > answer.unknown_above)
    assert answer.accent in (UNKNOWN, next(iter(answer.probabilities)))


def test_verification_compares_speakers_and_is_symmetric(model, files):
    answer = model.verify(files[:6], files[6:])
    assert answer.same_accent == (answer.score > answer.threshold)
    assert answer.score == pytest.approx(
        float(model.embed_speaker(files[:6]) @ model.embed_speaker(files[6:])), abs=1e-5
    )
    assert model.verify(files[6:], files[:6]).score == pytest.approx(answer.score, abs=1e-6)
    assert model.verify(files[0], files[0]).score == pytest.approx(1, abs=1e-5)


def test_threads_share_one_model(model, files):
    alone = [model.identify(path) for path in files]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(model.identify, files * 3))
    assert together == alone * 3


def test_a_model_that_was_not_calibrated_embeds_and_says_how_to_calibrate(run, files, tmp_path):
    shutil.copytree(run / "model", tmp_path / "model")
    (tmp_path / "model" / "calibration.json").unlink()
    model = accent.load(tmp_path)
    assert model.embed(files[0]).shape == accent.load(run).embed(files[0]).shape
    with pytest.raises(AccentError, match=rf"not calibrated; measure it first: accent calibrate {tmp_path}"):
        model.identify(files[0])


def test_a_calibration_of_other_weights_is_refused(saa_run, saa_phones_run, files, tmp_path):
    shutil.copytree(saa_run / "model", tmp_path / "model")
    shutil.copy(saa_phones_run / "model" / "calibration.json", tmp_path / "model")
    with pytest.raises(AccentError, match="measured on other weights"):
        accent.load(tmp_path).verify(files[0], files[1])


@pytest.mark.parametrize(
    ("samples", "rate", "line"),
    [
        (np.zeros(16_000), None, "recording 1: samples without their rate"),
        (np.zeros(16_000), 16_000, "recording 1: silent"),
        (np.zeros((2, 16_000)), 16_000, "channels come first"),
        (np.zeros((2, 2, 2)), 16_000, "3 dimensions"),
        (np.full(16_000, np.nan), 16_000, "no finite numbers"),
    ],
)
def test_unusable_samples_are_one_line(model, samples, rate, line):
    with pytest.raises(AccentError, match=line):
        model.embed(samples, rate=rate)


def test_an_empty_list_is_refused(model):
    with pytest.raises(AccentError, match="no recording given"):
        model.embed([])
