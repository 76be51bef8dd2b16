"""A length that is estimated or not given is no promise: what is there is read, whatever the header says."""

import struct
from pathlib import Path

import numpy as np
import pytest
import soundfile

from accent.audio.decode import decode
from accent.audio.prepare import AudioConfig, load_speech
from accent.errors import AccentError

SECONDS = 2.0


def sound(rate: int, channels: int = 1) -> np.ndarray:
    # The second half is silent, so that a variable bit rate makes the first frames' rate a wrong guess.
    samples_NC = np.random.default_rng(0).normal(0, 0.1, (round(SECONDS * rate), channels))
    samples_NC[len(samples_NC) // 2 :] *= 1e-3
    return samples_NC


def without_length_tag(content: bytes) -> bytes:
    """Cut off an MP3's first frame, which holds the tag and no sound."""
    tag = max(content.find(b"Xing"), content.find(b"Info"))
    assert 0 < tag < 200
    return content[content.index(content[:2], tag) :]


def id3(size: int) -> bytes:
    return b"ID3\x04\x00\x00" + bytes((size >> shift) & 0x7F for shift in (21, 14, 7, 0)) + b"I" * size


@pytest.mark.parametrize("rate", [16_000, 22_050, 44_100])
@pytest.mark.parametrize("mode", ["CONSTANT", "VARIABLE", "AVERAGE"])
@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("before", [b"", id3(5000)], ids=["bare", "id3"])
def test_an_mp3_without_a_length_is_read_to_its_end(
    tmp_path: Path, rate: int, mode: str, channels: int, before: bytes
) -> None:
    path = tmp_path / "a.mp3"
    soundfile.write(path, sound(rate, channels), rate, bitrate_mode=mode)
    with_tag, _, info = decode(path)
    assert "length" not in info
    path.write_bytes(before + without_length_tag(path.read_bytes()))
    found, _, info = decode(path)
    assert info["length"] == "not in the header"
    # The encoder's delay and padding are cut only where the tag says how long they are.
    assert len(with_tag) <= len(found) <= len(with_tag) + 3 * 1152
    windows = [np.sqrt((samples[: len(with_tag) // 4] ** 2).mean()) for samples in (with_tag, found)]
    assert windows[0] == pytest.approx(windows[1], rel=0.1)


@pytest.mark.parametrize("share", [0.3, 0.6, 0.9])
def test_an_mp3_that_promises_a_length_must_hold_it(tmp_path: Path, share: float) -> None:
    path = tmp_path / "a.mp3"
    soundfile.write(path, sound(44_100), 44_100)
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(AccentError, match="cut short"):
        decode(path)


def without_flac_length(content: bytes) -> bytes:
    """Write 0 for the number of samples: the last 36 bits of bytes 13 to 17 of the stream information."""
    changed = bytearray(content)
    assert changed[:4] == b"fLaC"
    changed[21] &= 0xF0
    changed[22:26] = bytes(4)
    return bytes(changed)


@pytest.mark.parametrize("rate", [16_000, 48_000])
@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_24"])
def test_a_flac_of_unknown_length_is_read_to_its_end(tmp_path: Path, rate: int, channels: int, subtype: str) -> None:
    path = tmp_path / "a.flac"
    soundfile.write(path, sound(rate, channels), rate, subtype=subtype)
    whole = decode(path)[0]
    path.write_bytes(without_flac_length(path.read_bytes()))
    np.testing.assert_array_equal(decode(path)[0], whole)


def wav(path: Path, subtype: str, riff: int | None, data: int | None, behind: bytes = b"") -> bytes:
    """Write a WAV with other sizes in its header, and return the samples that it holds."""
    soundfile.write(path, sound(16_000), 16_000, subtype=subtype)
    content = bytearray(path.read_bytes())
    at = content.index(b"data") + 4
    size = struct.unpack("<I", content[at : at + 4])[0]
    samples = bytes(content[at + 4 : at + 4 + size])
    if riff is not None:
        content[4:8] = struct.pack("<I", riff)
    if data is not None:
        content[at : at + 4] = struct.pack("<I", data)
    path.write_bytes(content + behind)
    return samples


@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_24", "FLOAT"])
@pytest.mark.parametrize(
    ("riff", "data"),
    [(0, 0), (None, 0), (0xFFFFFFFF, 0xFFFFFFFF), (0x7FFFF024, 0x7FFFF000), (0, 200_000), (None, 200_000), (36, 0)],
)
def test_a_wav_whose_header_was_never_finished_is_read_to_its_end(
    tmp_path: Path, subtype: str, riff: int | None, data: int | None
) -> None:
    whole, path = tmp_path / "whole.wav", tmp_path / "a.wav"
    wav(whole, subtype, None, None)
    wav(path, subtype, riff, data)
    np.testing.assert_array_equal(decode(path)[0], decode(whole)[0])


@pytest.mark.parametrize("more", [2, 44, 1000, 3000])
def test_a_header_that_runs_a_little_ahead_of_the_sound_is_forgiven_and_told(tmp_path: Path, more: int) -> None:
    path = tmp_path / "a.wav"
    wav(path, "PCM_16", 36 + 64_000 + more, 64_000 + more)
    samples, _, info = decode(path)
    assert len(samples) == 32_000 and info["missing_samples"] == more // 2


def test_a_wav_without_sound_holds_no_samples_although_notes_follow(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    soundfile.write(path, np.zeros(0), 16_000)
    content = path.read_bytes()
    path.write_bytes(content + b"LIST" + struct.pack("<I", 3000) + b"x" * 3000)
    with pytest.raises(AccentError, match="holds no samples"):
        decode(path)


@pytest.mark.parametrize("make", ["mp3", "flac", "wav"])
def test_sound_of_unknown_length_is_refused_where_it_is_too_long(tmp_path: Path, make: str) -> None:
    path = tmp_path / f"a.{make}"
    if make == "wav":
        wav(path, "PCM_16", 0, 0)
    else:
        soundfile.write(path, sound(16_000), 16_000)
        strip = without_length_tag if make == "mp3" else without_flac_length
        path.write_bytes(strip(path.read_bytes()))
    with pytest.raises(AccentError, match=r"too long: over .*audio\.max_seconds"):
        load_speech(path, AudioConfig(max_seconds=1.0))


@pytest.mark.parametrize("subtype", ["GSM610", "IMA_ADPCM", "MS_ADPCM", "G721_32", "ULAW", "ALAW", "NMS_ADPCM_16"])
def test_codecs_that_cannot_seek_are_read(tmp_path: Path, subtype: str) -> None:
    path = tmp_path / "a.wav"
    soundfile.write(path, sound(8_000), 8_000, subtype=subtype)
    assert len(decode(path)[0]) == pytest.approx(SECONDS * 8_000, abs=1200)
