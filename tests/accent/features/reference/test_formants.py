"""Formants: vowels and resonances that are known, and the resampling and grid they depend on."""

from pathlib import Path

import numpy as np
import pytest

from accent.audio.prepare import AudioConfig, load_speech
from accent.configuration import load
from accent.dsp.resample import brick_wall_resample
from accent.errors import AccentError
from accent.features.config import FeatureConfig
from accent.features.reference.formants import formant_frames
from tests.support.sound.synthesis import RATE, VOWELS, noise, vowel

CONFIG = FeatureConfig()


@pytest.fixture(scope="module")
def real(saa: Path) -> np.ndarray:
    return load_speech(saa / "FRA010" / "wav" / "arctic_a0002.wav", AudioConfig()).unfiltered_N


def test_frames_are_where_the_vowel_changes() -> None:
    first, second = (vowel(100.0, VOWELS[name], 0.5) for name in ("a", "i"))
    found = formant_frames(np.concatenate([first, second]), CONFIG)
    nearer_second = np.abs(found[:, 1] - 2300) < np.abs(found[:, 1] - 1200)
    assert not nearer_second[5:48].any() and nearer_second[52:95].all()


def test_there_is_one_row_a_frame_and_formants_rise(real: np.ndarray) -> None:
    found = formant_frames(real, CONFIG)
    assert found.shape == (len(real) // 160 + 1, 8)
    rising = np.diff(found[:, :4], axis=1)
    assert (rising[np.isfinite(rising)] > 0).all()
    assert np.nanmin(found) > 0 and np.nanmax(found[:, :4]) < CONFIG.formant_ceiling_hz
    assert np.isfinite(found).mean() > 0.95


@pytest.mark.parametrize("frames", [1, 5, 33])
def test_a_delay_by_whole_frames_delays_the_formants(saa: Path, frames: int) -> None:
    for path in sorted(saa.glob("*/wav/arctic_a0002.wav"))[::5]:
        samples = load_speech(path, AudioConfig()).unfiltered_N
        now = formant_frames(samples, CONFIG)
        later = formant_frames(np.concatenate([np.zeros(160 * frames), samples]), CONFIG)[frames:]
        # What rings before the recording's first sample is cut off in one case and seen in the other.
        np.testing.assert_array_equal(np.isnan(later[5:]), np.isnan(now[5:]))
        off = np.abs(later[5:, :4] - now[5:, :4])
        assert np.nanquantile(off, 0.99) < 0.05 and np.nanmax(off) < 2


@pytest.mark.parametrize("rate_to", [10_000, 11_000])
def test_resampling_keeps_what_is_below_the_wall_and_nothing_above(rate_to: int) -> None:
    clock, new_clock = np.arange(RATE) / RATE, np.arange(rate_to) / rate_to
    below, above = rate_to / 2 - 100, rate_to / 2 + 50
    kept = brick_wall_resample(np.sin(2 * np.pi * below * clock), rate_to)
    assert len(kept) == rate_to
    middle = slice(rate_to // 4, -rate_to // 4)
    np.testing.assert_allclose(kept[middle], np.sin(2 * np.pi * below * new_clock)[middle], atol=1e-5)
    assert np.abs(brick_wall_resample(np.sin(2 * np.pi * above * clock), rate_to)[middle]).max() < 1e-5


def test_resampling_agrees_with_a_convolution_by_the_kernel_of_the_wall() -> None:
    samples = noise(0.1)
    found = brick_wall_resample(samples, 11_000)
    # A low-pass with a raised-cosine edge of width w about its middle c: 2c sinc(2ct) cos(pi w t) / (1 - (2wt)^2).
    middle, width = 5475.0, 50.0
    seconds = np.arange(len(found))[:, None] / 11_000 - np.arange(len(samples)) / RATE
    pole = 1 - (2 * width * seconds) ** 2
    at_pole = np.isclose(pole, 0)
    edge = np.where(at_pole, np.pi / 4, np.cos(np.pi * width * seconds) / np.where(at_pole, 1, pole))
    kernel = 2 * middle * np.sinc(2 * middle * seconds) * edge
    np.testing.assert_allclose(found, kernel @ samples / RATE, atol=2e-4)


@pytest.mark.parametrize("n_samples", [1, 159, 160, 161, 1759, 1760, 4321])
def test_resampling_keeps_the_number_of_frames(n_samples: int) -> None:
    found = brick_wall_resample(noise(1.0)[:n_samples], 11_000)
    assert len(found) // 110 == n_samples // 160


def test_resampling_wraps_nothing_round() -> None:
    samples = np.zeros(16_000)
    samples[-8] = 1.0
    assert np.abs(brick_wall_resample(samples, 11_000)[:5000]).max() < 1e-3


@pytest.mark.parametrize(
    "word", ["formant_ceiling_hz=5510", "formant_ceiling_male_hz=9000", "formants_below_ceiling=3"]
)
def test_impossible_settings_are_refused_by_name(word: str) -> None:
    with pytest.raises(AccentError, match=word.split("=")[0]):
        load(FeatureConfig, overrides=[word])
