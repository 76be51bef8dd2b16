"""The spectral families: librosa's plain calls, sums worked out by hand, and sounds whose spectrum is known."""

from pathlib import Path

import librosa
import numpy as np
import pytest
from scipy.fft import dct

from accent.audio.prepare import AudioConfig, load_speech
from accent.features.reference.spectrum import spectral_frames
from accent.features.schema import FAMILIES
from tests.support.sound.synthesis import RATE, harmonics, noise, vowel

COLUMN = {family.name: {name: at for at, name in enumerate(family.columns)} for family in FAMILIES}
PLAIN = {"sr": RATE, "n_fft": 512, "hop_length": 160, "win_length": 400}
INNER = slice(5, -5)
"""Frames whose windows hold sound only."""


def tone(frequency: float, seconds: float = 1.0, amplitude: float = 0.5) -> np.ndarray:
    return amplitude * np.sin(2 * np.pi * frequency * np.arange(round(seconds * RATE)) / RATE)


def spectral(samples: np.ndarray, column: str) -> np.ndarray:
    return spectral_frames(samples)["spectral"][:, COLUMN["spectral"][column]]


@pytest.fixture(scope="module")
def real(saa: Path) -> np.ndarray:
    return load_speech(saa / "ENG036" / "wav" / "arctic_a0002.wav", AudioConfig()).normalised_N


@pytest.mark.parametrize("n_samples", [1600, 1601, 1759, 1760, 16_000, 16_079, 16_080])
def test_every_family_has_one_frame_every_10_ms(n_samples: int) -> None:
    families = spectral_frames(noise(2.0)[:n_samples])
    widths = {family.name: len(family.columns) for family in FAMILIES}
    assert {name: frames.shape for name, frames in families.items()} == {
        name: (n_samples // 160 + 1, widths[name]) for name in ("mel", "mfcc", "chroma", "spectral")
    }


def test_each_family_is_what_librosa_says_when_called_the_plain_way(real: np.ndarray) -> None:
    families = spectral_frames(real)
    mel = librosa.power_to_db(
        librosa.feature.melspectrogram(y=real, **PLAIN, n_mels=80, fmin=80, fmax=7600, power=2), top_db=None
    )
    np.testing.assert_allclose(families["mel"], mel.T, atol=1e-6)
    np.testing.assert_allclose(families["mfcc"], dct(mel.T, type=2, norm="ortho", axis=1)[:, :20], atol=1e-6)
    np.testing.assert_allclose(families["chroma"], librosa.feature.chroma_stft(y=real, **PLAIN, tuning=0).T, atol=1e-6)
    frames = {"frame_length": 400, "hop_length": 160}
    expected = {
        "centroid_hz": librosa.feature.spectral_centroid(y=real, **PLAIN)[0],
        "bandwidth_hz": librosa.feature.spectral_bandwidth(y=real, **PLAIN)[0],
        "rolloff_hz": librosa.feature.spectral_rolloff(y=real, **PLAIN)[0],
        "log_flatness": np.log(
            librosa.feature.spectral_flatness(y=real, **{key: PLAIN[key] for key in PLAIN if key != "sr"})[0]
        ),
        "zero_crossing_rate": librosa.feature.zero_crossing_rate(real, **frames)[0],
        "rms_db": librosa.amplitude_to_db(librosa.feature.rms(y=real, **frames)[0], ref=1.0, top_db=None),
    }
    contrast = librosa.feature.spectral_contrast(y=real, **PLAIN, fmin=200, n_bands=6)
    expected |= {f"contrast_{band}_db": contrast[band] for band in range(7)}
    assert set(expected) == set(COLUMN["spectral"])
    for name, values in expected.items():
        np.testing.assert_allclose(families["spectral"][:, COLUMN["spectral"][name]], values, rtol=1e-6, err_msg=name)


def test_one_frame_agrees_with_the_definition_worked_out_by_hand(real: np.ndarray) -> None:
    frame = 120
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(400) / 400)
    magnitude = np.abs(np.fft.rfft(real[frame * 160 - 200 : frame * 160 + 200] * window, 512))
    frequency = np.arange(257) * RATE / 512
    centroid = (frequency * magnitude).sum() / magnitude.sum()
    families = spectral_frames(real)
    shape = dict(zip(COLUMN["spectral"], families["spectral"][frame], strict=True))
    assert shape["centroid_hz"] == pytest.approx(centroid)
    assert shape["bandwidth_hz"] == pytest.approx(
        np.sqrt((magnitude * (frequency - centroid) ** 2).sum() / magnitude.sum())
    )
    assert shape["log_flatness"] == pytest.approx(np.log(magnitude**2).mean() - np.log((magnitude**2).mean()))
    reached = np.cumsum(magnitude) >= 0.85 * magnitude.sum()
    assert shape["rolloff_hz"] == frequency[np.argmax(reached)]
    filters = librosa.filters.mel(sr=RATE, n_fft=512, n_mels=80, fmin=80, fmax=7600)
    np.testing.assert_allclose(families["mel"][frame], 10 * np.log10(filters @ magnitude**2), atol=1e-4)


@pytest.mark.parametrize("frequency", [300.0, 1000.0, 3000.0, 6500.0])
def test_a_pure_tone_has_its_centroid_rolloff_and_strongest_mel_at_the_tone(frequency: float) -> None:
    samples = tone(frequency)
    assert np.median(spectral(samples, "centroid_hz")) == pytest.approx(frequency, abs=8)
    assert np.median(spectral(samples, "rolloff_hz")) == pytest.approx(frequency, abs=63)
    centres = librosa.mel_frequencies(82, fmin=80, fmax=7600)[1:-1]
    strongest = centres[spectral_frames(samples)["mel"][50].argmax()]
    assert abs(strongest - frequency) <= max(36, 0.07 * frequency)


def test_a_pure_tone_has_its_level_and_its_zero_crossings() -> None:
    np.testing.assert_allclose(spectral(tone(1000), "rms_db")[INNER], 20 * np.log10(0.5 / np.sqrt(2)), atol=1e-6)
    np.testing.assert_allclose(spectral(tone(1000), "zero_crossing_rate")[INNER], 2 * 1000 / RATE, atol=2 / 400)


def test_the_bandwidth_of_two_equal_tones_is_half_their_distance() -> None:
    samples = tone(2000) + tone(3000)
    assert np.median(spectral(samples, "centroid_hz")) == pytest.approx(2500, abs=10)
    assert np.median(spectral(samples, "bandwidth_hz")) == pytest.approx(500, abs=40)


@pytest.mark.parametrize(("frequency", "pitch_class"), [(440.0, 9), (880.0, 9), (1046.5, 0), (1318.5, 4)])
def test_chroma_names_the_note(frequency: float, pitch_class: int) -> None:
    assert (spectral_frames(tone(frequency))["chroma"][INNER].argmax(axis=1) == pitch_class).all()


def test_white_noise_is_as_flat_as_theory_says() -> None:
    # The power of a bin is exponentially distributed: the mean of its logarithm is minus Euler's constant.
    assert spectral(0.1 * noise(10.0), "log_flatness").mean() == pytest.approx(-np.euler_gamma, abs=0.03)


def test_harmonics_raise_the_contrast_of_their_own_band_only() -> None:
    floor = 1e-3 * noise(1.0)
    contrast = [f"contrast_{band}_db" for band in range(7)]
    raised = [
        np.median(spectral(floor + tone(1100), column)) - np.median(spectral(floor, column)) for column in contrast
    ]
    assert int(np.argmax(raised)) == 3  # 800-1600 Hz
    assert np.median(spectral(floor + tone(7000), contrast[6])) > np.median(spectral(floor, contrast[6])) + 20


def test_frames_are_centred_on_the_grid() -> None:
    samples = np.zeros(16_000)
    samples[50 * 160] = 1.0
    families = spectral_frames(samples)
    mel = families["mel"]
    assert mel.mean(axis=1).argmax() == 50
    np.testing.assert_allclose(mel[49], mel[51], atol=1e-6)
    heard = np.flatnonzero(spectral(samples, "rms_db") > -100)
    assert heard.tolist() == [49, 50, 51]


@pytest.mark.parametrize("frames", [1, 7])
def test_a_delay_by_whole_frames_delays_the_features(real: np.ndarray, frames: int) -> None:
    now, later = spectral_frames(real), spectral_frames(np.concatenate([np.zeros(160 * frames), real]))
    for name in now:
        np.testing.assert_allclose(later[name][frames + 3 :], now[name][3:], atol=1e-6, err_msg=name)


def test_digital_silence_has_a_level_and_no_shape() -> None:
    samples = np.concatenate([np.zeros(8000), vowel(120, (700, 1200, 2600, 3500), 0.5), np.zeros(8000)])
    families = spectral_frames(samples)
    silent = np.r_[0:45, 105 : len(samples) // 160 + 1]
    assert (families["mel"][silent] == -100).all()
    assert (families["spectral"][silent, COLUMN["spectral"]["rms_db"]] == -100).all()
    assert (families["spectral"][silent, COLUMN["spectral"]["zero_crossing_rate"]] == 0).all()
    assert np.isnan(families["chroma"][silent]).all()
    assert np.isnan(families["spectral"][silent, :11]).all()
    assert all(np.isfinite(frames[55:95]).all() for frames in families.values())


def test_doubling_the_sound_lifts_mel_by_six_decibels_and_keeps_the_shape() -> None:
    samples = harmonics(150, 1.0, -6.0) * 0.01
    once, twice = spectral_frames(samples), spectral_frames(2 * samples)
    np.testing.assert_allclose(twice["mel"] - once["mel"], 20 * np.log10(2), atol=1e-6)
    np.testing.assert_allclose(twice["mfcc"][:, 1:], once["mfcc"][:, 1:], atol=1e-6)
    np.testing.assert_allclose(twice["chroma"], once["chroma"], atol=1e-6)
