"""`accent stream` on real recordings, through the command line."""

import json

import numpy as np
import pytest
import soundfile

import accent as accent_package
from accent.audio.decode import decode


@pytest.fixture
def path(saa):
    return saa / "ARA016" / "wav" / "arctic_a0001.wav"


def test_a_file_is_answered_every_half_second(accent, saa_run, path):
    status, lines, errors = accent("stream", saa_run, path, "--json")
    found = [json.loads(line) for line in lines]
    assert status == 0 and errors == []
    assert [one["at_seconds"] for one in found[:-1]] == [(at + 1) / 2 for at in range(len(found) - 1)]
    assert found[-1]["end"] and sum(found[-1]["probabilities"].values()) == pytest.approx(1)
    assert found[-1]["probability"] == max(found[-1]["probabilities"].values())
    assert np.linalg.norm(found[-1]["embedding"]) == pytest.approx(1, abs=1e-5)


def test_raw_sound_on_stdin_is_answered_as_the_samples_are(accent, saa_run, path):
    samples_NC, rate, _ = decode(path)
    stereo = (np.repeat(samples_NC[:, :1], 2, axis=1) * 32767).astype("<i2")
    status, lines, _ = accent(
        "stream", saa_run, "-", "--rate", rate, "--channels", 2, "--hop", 1, "--json", stdin=stereo.tobytes() + b"\0"
    )
    stream = accent_package.load(saa_run).stream(rate, hop_seconds=1)
    expected = [*stream.feed(stereo), stream.finish()]
    assert status == 0 and len(lines) == len(expected)
    for line, answer in zip(lines, expected, strict=True):
        np.testing.assert_allclose(json.loads(line)["embedding"], answer.embedding_E, atol=1e-5)


def test_people_read_one_line_a_hop(accent, saa_run, path):
    status, lines, _ = accent("stream", saa_run, path)
    assert status == 0 and lines[0].startswith("    0.5 s  ") and lines[-1].endswith("(end)")


def test_silence_is_status_two(accent, saa_run, tmp_path):
    soundfile.write(tmp_path / "silent.wav", np.zeros(16_000), 16_000)
    status, lines, errors = accent("stream", saa_run, tmp_path / "silent.wav")
    assert status == 2 and all("no speech: silent" in line for line in lines) and "silent" in errors[0]


@pytest.mark.parametrize(
    ("words", "stdin", "expected"),
    [
        (["-"], b"RIFF....WAVE", "raw PCM"),
        (["-"], b"", "no sound came"),
        (["nowhere.wav"], b"", "no such sound file"),
        ([], b"", "give one source"),
        (["-", "--microphone"], b"", "give one source"),
        (["-", "--hop", "20"], bytes(4000), "a hop of 20"),
    ],
)
def test_what_cannot_be_heard_is_one_line(accent, saa_run, words, stdin, expected):
    status, lines, errors = accent("stream", saa_run, *words, stdin=stdin)
    assert status == 2 and lines == [] and len(errors) == 1 and expected in errors[0]


def test_a_file_that_ends_early_is_named_at_its_end(accent, saa_run, path, tmp_path):
    (tmp_path / "torn.wav").write_bytes(path.read_bytes()[:100_000])
    status, lines, errors = accent("stream", saa_run, tmp_path / "torn.wav")
    assert status == 2 and lines and "cut short" in errors[0]
