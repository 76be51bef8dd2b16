"""Intensity: agreement with Praat, brute force, tones of a known level, hard recordings."""

from pathlib import Path

import numpy as np
import pytest
from scipy.signal import get_window

from accent.audio.prepare import AudioConfig, load_speech
from accent.features.config import FeatureConfig
from accent.features.kernels import intensity as kernels
from accent.features.reference import pitch as reference
from tests.support.sound.synthesis import RATE, noise

CONFIG = FeatureConfig()
INNER = slice(10, -10)
LENGTHS = [1, 10, 159, 160, 161, 700, 1601]


def largest_difference(found: np.ndarray, expected: np.ndarray) -> float:
    np.testing.assert_array_equal(np.isnan(found), np.isnan(expected))
    return float(np.nanmax(np.abs(found - expected), initial=0))


def test_intensity_of_real_speech_is_praats(saa: Path) -> None:
    paths = sorted(saa.glob("*/wav/*.wav"))[::5]
    worst = {"intensity": 0.0, "smooth_intensity": 0.0}
    for path in paths:
        samples = load_speech(path, AudioConfig()).unfiltered_N
        both = {
            "intensity": (kernels.intensity(samples, CONFIG), reference.intensity(samples, CONFIG)),
            "smooth_intensity": (kernels.smooth_intensity(samples), reference.smooth_intensity(samples)),
        }
        for name, (found, expected) in both.items():
            worst[name] = max(worst[name], largest_difference(found, expected))
    for name, difference in worst.items():
        print(f"{name:16s} {len(paths)} files, largest difference {difference:.1e} dB")
        assert difference < 1e-6


@pytest.mark.parametrize("floor_hz", [40.0, 63.7, 120.0, 317.0])
def test_intensity_is_praats_for_any_window(floor_hz: float) -> None:
    samples = 0.1 * noise(0.7, -6) + 0.2
    config = FeatureConfig(pitch_floor_hz=floor_hz)
    assert largest_difference(kernels.intensity(samples, config), reference.intensity(samples, config)) < 1e-6


@pytest.mark.parametrize("n_samples", LENGTHS)
def test_intensity_of_short_recordings_is_praats(n_samples: int) -> None:
    samples = np.random.default_rng(n_samples).standard_normal(n_samples)
    assert largest_difference(kernels.intensity(samples, CONFIG), reference.intensity(samples, CONFIG)) < 1e-6
    assert largest_difference(kernels.smooth_intensity(samples), reference.smooth_intensity(samples)) < 1e-6


@pytest.mark.parametrize("offset", [0.0, 0.3])
def test_digital_silence_has_no_intensity_and_the_lowest_smooth_intensity(offset: float) -> None:
    samples = np.full(RATE, offset)
    samples[12_000:13_000] += 0.1 * noise(1000 / RATE)
    found = kernels.intensity(samples, CONFIG)
    largest_difference(found, reference.intensity(samples, CONFIG))
    assert np.isnan(found[10:65]).all()
    assert np.isfinite(found[71:86]).all()
    assert (kernels.smooth_intensity(samples)[10:65] == kernels.SILENCE_DB).all()
    assert largest_difference(kernels.smooth_intensity(samples), reference.smooth_intensity(samples)) < 1e-6


def test_an_offset_does_not_change_the_intensity_inside() -> None:
    samples = 1e-4 * noise(0.5)
    np.testing.assert_allclose(
        kernels.intensity(samples + 0.9, CONFIG)[INNER], kernels.intensity(samples, CONFIG)[INNER], atol=1e-8
    )


@pytest.mark.parametrize("amplitude", [0.001, 0.1])
def test_the_intensity_of_a_tone_is_its_level_re_20_micropascal(amplitude: float) -> None:
    samples = amplitude * np.sin(2 * np.pi * 200 * np.arange(RATE) / RATE)
    expected = 20 * np.log10(amplitude / np.sqrt(2) / 2e-5)
    np.testing.assert_allclose(kernels.intensity(samples, CONFIG)[INNER], expected, atol=0.01)


def test_the_power_of_a_frame_is_its_definition() -> None:
    samples = noise(0.2, -6) + 3
    window = kernels.kaiser_window(6.4 / 75)
    assert len(window) == 1365
    np.testing.assert_allclose(window, window[::-1])
    np.testing.assert_allclose(window / window.max(), get_window(("kaiser", 20.24), 1367, False)[1:-1], atol=0.002)
    found = kernels.weighted_power(samples, np.array([0, 777]), window)
    for first, power in zip((0, 777), found, strict=True):
        frame = samples[first : first + len(window)]
        assert power == pytest.approx((window * (frame - frame.mean()) ** 2).sum(), rel=1e-12)
