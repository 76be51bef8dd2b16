"""Preparation of recordings: edges found, loudness reached, every step on record, every unusable file refused."""

import json
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyloudnorm
import pytest
import soundfile

from accent.audio.decode import decode
from accent.audio.prepare import AudioConfig, Speech, load_speech, prepare_speech
from accent.configuration import load
from accent.errors import AccentError
from tests.support.sound.synthesis import RATE, vowel

VOWEL_FORMANTS = (700.0, 1200.0, 2600.0, 3500.0)
NOTHING = AudioConfig(trim_db=None, loudness_lufs=None, highpass_hz=None)


def speech_like(seconds: float) -> np.ndarray:
    return vowel(120.0, VOWEL_FORMANTS, seconds)


def tone(frequency: float, seconds: float, rate: int, amplitude: float = 0.5) -> np.ndarray:
    return amplitude * np.sin(2 * np.pi * frequency * np.arange(round(seconds * rate)) / rate)


def kept(speech: Speech) -> np.ndarray:
    first = speech.first_frame * 160
    return speech.normalised_N[first : first + (speech.n_frames - 1) * 160 + 1]


def refusal(path: Path, config: AudioConfig | None = None) -> str:
    with pytest.raises(AccentError) as caught:
        load_speech(path, config or AudioConfig())
    line = str(caught.value)
    assert line.startswith(str(path)) and "\n" not in line
    return line


@pytest.mark.parametrize(("name", "subtype"), [("a.wav", "PCM_16"), ("a.wav", "PCM_24"), ("a.wav", "FLOAT")])
@pytest.mark.parametrize("channels", [1, 2])
def test_decode_returns_the_samples_that_were_written(tmp_path: Path, name: str, subtype: str, channels: int) -> None:
    written = np.random.default_rng(0).uniform(-0.9, 0.9, (4000, channels))
    soundfile.write(tmp_path / name, written, 22_050, subtype=subtype)
    samples, rate, info = decode(tmp_path / name)
    assert rate == 22_050 and info == {"format": "WAV", "subtype": subtype}
    np.testing.assert_allclose(samples, written, atol=2**-15)


@pytest.mark.parametrize("name", ["a.flac", "a.ogg", "a.mp3"])
def test_compressed_formats_hold_the_same_tone(tmp_path: Path, name: str) -> None:
    soundfile.write(tmp_path / name, tone(1000, 1.0, 44_100), 44_100)
    speech = load_speech(tmp_path / name, NOTHING)
    middle = speech.unfiltered_N[4000:12000]
    assert np.argmax(np.abs(np.fft.rfft(middle * np.hanning(8000)))) * RATE / 8000 == pytest.approx(1000, abs=2)
    assert np.sqrt(2 * np.mean(middle**2)) == pytest.approx(0.5, rel=0.02)


@pytest.mark.parametrize("rate", [8_000, 11_025, 44_100, 48_000, 96_000])
def test_resampling_keeps_a_tone_where_it_was(rate: int) -> None:
    speech = prepare_speech(tone(1500, 1.0, rate), rate, NOTHING)
    assert len(speech.unfiltered_N) == RATE
    middle = slice(800, -800)
    np.testing.assert_allclose(speech.unfiltered_N[middle], tone(1500, 1.0, RATE)[middle], atol=1e-4)


def test_a_recording_at_16_khz_is_not_touched() -> None:
    samples = speech_like(0.5)
    np.testing.assert_array_equal(prepare_speech(samples, RATE, NOTHING).unfiltered_N, samples)


def test_samples_of_16_bits_give_what_the_same_numbers_in_full_scale_give() -> None:
    samples = np.round(20_000 * speech_like(1.0)).astype(np.int16)
    samples[100:103] = [32_767, -32_767, -32_768]
    for rate in (RATE, 44_100):
        small, wide = (prepare_speech(each, rate, AudioConfig()) for each in (samples, samples / 32_768))
        assert small.preprocessing == wide.preprocessing
        assert small.preprocessing["source"]["clipped_share"] == 3 / len(samples)
        np.testing.assert_array_equal(small.unfiltered_N, wide.unfiltered_N)
        np.testing.assert_array_equal(small.normalised_N, wide.normalised_N)


def test_channels_are_averaged() -> None:
    left, right = speech_like(0.5), tone(300, 0.5, RATE)
    speech = prepare_speech(np.column_stack([left, right]), RATE, NOTHING)
    np.testing.assert_allclose(speech.unfiltered_N, (left + right) / 2)
    assert speech.preprocessing["source"]["channels"] == 2


def test_trimming_finds_the_edges_of_the_speech() -> None:
    samples = np.concatenate([np.zeros(8000), speech_like(1.0), np.zeros(12_800)])
    speech = prepare_speech(samples, RATE, AudioConfig(trim_margin_seconds=0.0))
    # The level window of 25 ms sees the speech up to 12.5 ms before it begins.
    assert speech.first_frame == pytest.approx(50, abs=2)
    assert speech.first_frame + speech.n_frames - 1 == pytest.approx(150, abs=2)


def test_the_margin_is_kept_and_ends_at_the_recording() -> None:
    samples = np.concatenate([np.zeros(8000), speech_like(1.0), np.zeros(800)])
    bare = prepare_speech(samples, RATE, AudioConfig(trim_margin_seconds=0.0))
    wide = prepare_speech(samples, RATE, AudioConfig(trim_margin_seconds=0.2))
    assert wide.first_frame == bare.first_frame - 20
    assert wide.first_frame + wide.n_frames == wide.total_frames == len(samples) // 160 + 1


def test_trimming_cuts_no_sample_and_null_keeps_every_frame() -> None:
    samples = np.concatenate([np.zeros(8000), speech_like(1.0), np.zeros(8000)])
    trimmed = prepare_speech(samples, RATE, AudioConfig())
    whole = prepare_speech(samples, RATE, AudioConfig(trim_db=None))
    assert len(trimmed.unfiltered_N) == len(trimmed.normalised_N) == len(samples)
    assert (whole.first_frame, whole.n_frames) == (0, len(samples) // 160 + 1)


@pytest.mark.parametrize("gain", [0.02, 1.0])
@pytest.mark.parametrize("seconds", [0.15, 0.5, 3.0])
def test_the_kept_region_has_the_target_loudness(gain: float, seconds: float) -> None:
    speech = prepare_speech(gain * speech_like(seconds), RATE, AudioConfig(loudness_lufs=-23.0))
    region = kept(speech)
    block = min(0.4, (len(region) - 1) / RATE)
    assert pyloudnorm.Meter(RATE, block_size=block).integrated_loudness(region) == pytest.approx(-23.0, abs=0.01)


def test_silence_around_the_speech_changes_no_gain() -> None:
    speech, silence = speech_like(2.0), np.zeros(160 * 200)
    config = AudioConfig(trim_margin_seconds=0.0, highpass_hz=None)
    gains = [
        prepare_speech(samples, RATE, config).preprocessing["loudness"]["gain_db"]
        for samples in (speech, np.concatenate([silence, speech, silence]))
    ]
    assert gains[0] == pytest.approx(gains[1], abs=0.2)


def test_the_unfiltered_reading_knows_no_gain_and_no_filter() -> None:
    samples = 0.1 * speech_like(1.0) + tone(20, 1.0, RATE, 0.2)
    np.testing.assert_array_equal(prepare_speech(samples, RATE, AudioConfig()).unfiltered_N, samples)


def test_scaling_the_recording_changes_nothing_in_the_normalised_reading() -> None:
    samples = speech_like(1.0)
    loud, quiet = (prepare_speech(gain * samples, RATE, AudioConfig()) for gain in (1.0, 0.5))
    np.testing.assert_allclose(loud.normalised_N, quiet.normalised_N, rtol=1e-9, atol=1e-12)
    gained = quiet.preprocessing["loudness"]["gain_db"] - loud.preprocessing["loudness"]["gain_db"]
    assert gained == pytest.approx(20 * np.log10(2), abs=1e-9)


def test_filters_pass_the_band_without_delay_and_stop_the_rest() -> None:
    config = AudioConfig(trim_db=None, loudness_lufs=None, highpass_hz=100.0, lowpass_hz=4000.0)
    inside = tone(1000, 1.0, RATE)
    speech = prepare_speech(inside + tone(20, 1.0, RATE) + tone(7500, 1.0, RATE) + 0.1, RATE, config)
    middle = slice(4000, 12_000)
    np.testing.assert_allclose(speech.normalised_N[middle], inside[middle], atol=2e-3)


def test_preprocessing_is_json_and_names_every_step(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", np.column_stack([speech_like(1.0)] * 2), 44_100)
    record = load_speech(tmp_path / "a.wav", AudioConfig()).preprocessing
    assert json.loads(json.dumps(record, allow_nan=False)) == record
    assert set(record) == {"source", "mix_down", "resample", "filter", "trim", "loudness"}
    assert record["source"]["rate_hz"] == 44_100 and record["source"]["format"] == "WAV"


def test_preparing_sound_needs_no_library_that_is_slow_to_import() -> None:
    slow = ["scipy.signal", "pyloudnorm", "praatio", "librosa", "parselmouth", "torch"]
    program = (
        f"import sys, accent.audio.prepare, accent.features.phones; print([n for n in {slow} if n in sys.modules])"
    )
    finished = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert finished.stdout.strip() == "[]"


def test_the_share_of_clipped_samples_is_recorded(tmp_path: Path) -> None:
    samples = np.clip(4 * tone(100, 1.0, RATE), -1, 1)
    soundfile.write(tmp_path / "a.wav", samples, RATE, subtype="PCM_16")
    clipped = load_speech(tmp_path / "a.wav", NOTHING).preprocessing["source"]["clipped_share"]
    # |2 sin| is above 1 for two thirds of the time.
    assert clipped == pytest.approx(2 / 3, abs=0.01)
    assert prepare_speech(speech_like(1.0), RATE, NOTHING).preprocessing["source"]["clipped_share"] == 0


def test_real_speech_keeps_its_duration_and_reaches_the_loudness(saa: Path) -> None:
    paths = sorted(saa.glob("*/wav/arctic_a0001.wav"))
    assert paths
    for path in paths:
        speech = load_speech(path, AudioConfig())
        assert len(speech.unfiltered_N) / RATE == pytest.approx(soundfile.info(path).duration, abs=1 / RATE)
        assert pyloudnorm.Meter(RATE).integrated_loudness(kept(speech)) == pytest.approx(-23, abs=0.01)
        assert speech.n_frames > 0.5 * speech.total_frames


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    assert "no such sound file" in refusal(tmp_path / "a.wav")


def test_an_empty_file_is_refused_as_such(tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_bytes(b"")
    assert "an empty file" in refusal(tmp_path / "a.wav")


@pytest.mark.parametrize("content", [b"hello world", bytes(1000)])
def test_a_file_that_is_no_sound_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.wav").write_bytes(content)
    assert "not readable as sound" in refusal(tmp_path / "a.wav")


@pytest.mark.parametrize("extension", ["wav", "flac", "mp3", "aiff"])
@pytest.mark.parametrize("share", [0.02, 0.5, 0.95])
def test_a_file_cut_short_is_refused(tmp_path: Path, extension: str, share: float) -> None:
    path = tmp_path / f"a.{extension}"
    soundfile.write(path, np.random.default_rng(0).normal(0, 0.1, 32_000), RATE)
    content = path.read_bytes()
    assert load_speech(path, AudioConfig()).n_frames > 100
    path.write_bytes(content[: int(share * len(content))])
    refusal(path)


def test_an_ogg_stream_promises_no_length_and_is_read_as_far_as_it_goes(tmp_path: Path) -> None:
    path = tmp_path / "a.ogg"
    soundfile.write(path, np.random.default_rng(0).normal(0, 0.1, 32_000), RATE)
    whole = decode(path)[0]
    content = path.read_bytes()
    path.write_bytes(content[: int(0.95 * len(content))])
    rest = decode(path)[0]
    assert 16_000 < len(rest) < len(whole)
    np.testing.assert_array_equal(rest, whole[: len(rest)])
    path.write_bytes(content[: len(content) // 50])
    refusal(path)


def test_a_wav_header_of_unknown_length_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    soundfile.write(path, speech_like(1.0), RATE)
    content = bytearray(path.read_bytes())
    at = content.index(b"data") + 4
    content[at : at + 4] = struct.pack("<I", 0xFFFFFFFF)
    path.write_bytes(content)
    assert len(decode(path)[0]) == RATE


def test_a_damaged_flac_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.flac"
    soundfile.write(path, speech_like(2.0), RATE)
    content = bytearray(path.read_bytes())
    content[len(content) // 2 : len(content) // 2 + 500] = bytes(500)
    path.write_bytes(content)
    refusal(path)


@pytest.mark.parametrize(
    ("samples", "reason"),
    [
        (np.zeros(0), "holds no samples"),
        (np.zeros(16_000), "silent"),
        (np.full(16_000, 0.3), "silent"),
        (np.random.default_rng(0).choice([-1, 0, 1], 16_000) / 32_768, "silent"),
        (np.full(10, 0.1), "too short"),
        (np.tile([0.5, -0.5], 130 * 8000), "too long"),
        (np.where(np.arange(16_000) == 5000, np.nan, 0.1), "1 of 16000 samples are no finite numbers"),
        (np.where(np.arange(16_000) == 5000, np.inf, 0.1), "1 of 16000 samples are no finite numbers"),
        (np.tile([1e30, -1e30], 8000), "times full scale"),
    ],
    ids=["empty", "silence", "offset", "dither", "short", "long", "nan", "infinite", "huge"],
)
@pytest.mark.parametrize("config", [AudioConfig(), NOTHING], ids=["default", "nothing"])
def test_unusable_sound_is_refused_with_its_reason(
    tmp_path: Path, samples: np.ndarray, reason: str, config: AudioConfig
) -> None:
    soundfile.write(tmp_path / "a.wav", samples, RATE, subtype="FLOAT")
    assert reason in refusal(tmp_path / "a.wav", config)


def test_sound_below_the_gate_of_the_loudness_is_refused() -> None:
    # One click is loud for 25 ms and nearly nothing over 400 ms.
    samples = np.zeros(16_000)
    samples[8000] = 0.012
    with pytest.raises(AccentError, match="too quiet"):
        prepare_speech(samples, RATE, AudioConfig())


@pytest.mark.parametrize("n_samples", [1600, 1601, 1759, 1760, 5000])
def test_short_recordings_at_the_limit_are_prepared(n_samples: int) -> None:
    speech = prepare_speech(speech_like(1.0)[:n_samples], RATE, AudioConfig())
    assert speech.total_frames == n_samples // 160 + 1 >= speech.n_frames
    assert np.isfinite(speech.normalised_N).all()


@pytest.mark.parametrize(
    "word", ["trim_db=-3", "highpass_hz=9000", "lowpass_hz=40", "min_seconds=0.01", "trim_margin_seconds=-1"]
)
def test_impossible_settings_are_refused_by_name(word: str) -> None:
    with pytest.raises(AccentError, match=word.split("=")[0]):
        load(AudioConfig, overrides=[word])


@pytest.mark.parametrize("peak", [9.0, 100.0, 9831.0, 32_768.0, 2.0**31])
def test_integers_stored_as_floats_are_refused_with_what_to_do(tmp_path: Path, peak: float) -> None:
    samples = speech_like(1.0)
    soundfile.write(tmp_path / "a.wav", peak * samples / np.abs(samples).max(), RATE, subtype="FLOAT")
    assert "divide them by" in refusal(tmp_path / "a.wav")


def test_floats_a_little_above_full_scale_are_kept_as_they_are() -> None:
    samples = 2 * speech_like(1.0) / np.abs(speech_like(1.0)).max()
    speech = prepare_speech(samples, RATE, NOTHING)
    np.testing.assert_array_equal(speech.unfiltered_N, samples)
    assert speech.preprocessing["source"]["peak"] == pytest.approx(2)


@pytest.mark.parametrize("dead", [np.zeros(RATE), np.full(RATE, 0.2), 1e-4 * tone(50, 1.0, RATE)])
@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_dead_channel_is_left_out_of_the_mean_and_told(dead: np.ndarray, place: int) -> None:
    alive = [speech_like(1.0), speech_like(1.0) + tone(300, 1.0, RATE, 0.1)]
    channels = [*alive[:place], dead, *alive[place:]]
    speech = prepare_speech(np.column_stack(channels), RATE, NOTHING)
    np.testing.assert_allclose(speech.unfiltered_N, np.mean(alive, axis=0))
    assert speech.preprocessing["mix_down"]["channels_left_out"] == [place + 1]


@pytest.mark.parametrize("ratio", [-1.0, -0.98, -0.7, -1.3])
def test_channels_that_cancel_give_the_louder_one_and_tell(ratio: float) -> None:
    left = speech_like(1.0)
    speech = prepare_speech(np.column_stack([left, ratio * left]), RATE, NOTHING)
    np.testing.assert_array_equal(speech.unfiltered_N, left if abs(ratio) <= 1 else ratio * left)
    record = speech.preprocessing["mix_down"]
    assert record["channels_cancel"] is True and record["method"] == "loudest channel"


@pytest.mark.parametrize("other", ["the same", "independent", "half as loud"])
def test_usual_channels_are_averaged_and_nothing_is_told(other: str) -> None:
    left = np.random.default_rng(0).normal(0, 0.1, RATE)
    right = {"the same": left, "independent": np.random.default_rng(1).normal(0, 0.1, RATE), "half as loud": left / 2}
    speech = prepare_speech(np.column_stack([left, right[other]]), RATE, NOTHING)
    np.testing.assert_array_equal(speech.unfiltered_N, np.column_stack([left, right[other]]).mean(axis=1))
    assert set(speech.preprocessing["mix_down"]) == {"method", "offset"}
