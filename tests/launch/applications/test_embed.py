"""`accent embed --json` on real recordings, through the command line."""

import json

import numpy as np
import pytest
import soundfile

import accent as accent_package


@pytest.fixture
def speaker(saa):
    return saa / "ARA016"


def test_files_are_embedded_one_a_line_and_what_cannot_be_used_is_named(accent, saa_run, speaker, tmp_path):
    soundfile.write(tmp_path / "silent.wav", np.zeros(16_000), 16_000)
    status, lines, errors = accent("embed", saa_run, speaker, tmp_path / "silent.wav", "--json")
    found = [json.loads(line) for line in lines]
    files = sorted(speaker.glob("wav/*"))
    embedded = [one for one in found if "embedding" in one]
    embedding_NE = np.array([one["embedding"] for one in embedded])
    [refused] = [one for one in found if "error" in one]
    assert status == 1 and "silent" in refused["error"] and "silent" in errors[0]
    assert [one["input"] for one in embedded] == [str(path) for path in files]
    np.testing.assert_allclose(embedding_NE, accent_package.load(saa_run).embed(files), atol=1e-5)


def test_a_speakers_files_make_one_line_and_stdin_is_a_file(accent, saa_run, speaker):
    files = sorted(speaker.glob("wav/*"))
    model = accent_package.load(saa_run)
    _, [line], _ = accent("embed", saa_run, speaker, "--json", "--speaker-from", "folder")
    told = json.loads(line)
    assert told["speaker"] == "ARA016" and len(told["inputs"]) == len(files)
    np.testing.assert_allclose(told["embedding"], model.embed_speaker(files), atol=1e-5)
    _, [line], _ = accent("embed", saa_run, "-", "--json", stdin=files[0].read_bytes())
    np.testing.assert_allclose(json.loads(line)["embedding"], model.embed(files[0]), atol=1e-5)


@pytest.mark.parametrize("words", [[], ["-o", "x.npz", "--json"], ["-o", "x.npz", "--speaker-from", "name"]])
def test_one_way_to_write_is_chosen(accent, saa_run, speaker, words):
    status, lines, errors = accent("embed", saa_run, speaker, *words)
    assert status == 2 and lines == [] and "--json" in errors[0]
