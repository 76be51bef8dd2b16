"""Formants of both backends: resonances that are known, settings, level and silence."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from accent.audio.prepare import AudioConfig, load_speech
from accent.features.config import FeatureConfig
from accent.features.kernels import formants as kernels
from accent.features.reference import formants as reference
from tests.support.sound.synthesis import VOWELS, noise, resonate, vowel

CONFIG = FeatureConfig()

Measure = Callable[..., np.ndarray]


@pytest.fixture(params=[kernels, reference], ids=["numba", "reference"])
def formant_frames(request: pytest.FixtureRequest) -> Measure:
    measure: Measure = request.param.formant_frames
    return measure


@pytest.fixture(scope="module")
def real(saa: Path) -> np.ndarray:
    return load_speech(saa / "FRA010" / "wav" / "arctic_a0002.wav", AudioConfig()).unfiltered_N


@pytest.mark.parametrize("name", VOWELS)
@pytest.mark.parametrize("f0", [100.0, 140.0])
def test_a_synthetic_vowel_has_the_formants_it_was_made_with(formant_frames: Measure, name: str, f0: float) -> None:
    found = np.nanmedian(formant_frames(vowel(f0, VOWELS[name], 1.0), CONFIG)[20:80], axis=0)
    for formant, expected in zip(found[:4], VOWELS[name][:4], strict=True):
        # An all-pole model is drawn to the nearest harmonic: a quarter of their distance is the best to hope for.
        assert formant == pytest.approx(expected, abs=max(f0 / 4, 0.025 * expected))


def test_the_bandwidth_of_a_sharp_resonance_is_smaller_than_that_of_a_broad_one(formant_frames: Measure) -> None:
    source = noise(3.0)
    others = ((1500.0, 2500.0, 3500.0, 4500.0), (80.0, 120.0, 150.0, 200.0))
    median = [
        np.nanmedian(formant_frames(resonate(source, (600.0, *others[0]), (bandwidth, *others[1])), CONFIG)[20:-20, 4])
        for bandwidth in (50.0, 200.0)
    ]
    assert 50 < median[0] < 150 < median[1]


def test_men_get_their_own_ceiling_only_where_one_is_set(formant_frames: Measure, real: np.ndarray) -> None:
    both, low = FeatureConfig(formant_ceiling_male_hz=5000.0), FeatureConfig(formant_ceiling_hz=5000.0)
    np.testing.assert_array_equal(formant_frames(real, both, "male"), formant_frames(real, low))
    for sex in ("female", None):
        np.testing.assert_array_equal(formant_frames(real, both, sex), formant_frames(real, CONFIG))
    np.testing.assert_array_equal(formant_frames(real, CONFIG, "male"), formant_frames(real, CONFIG))


def test_digital_silence_has_no_formants(formant_frames: Measure) -> None:
    samples = np.concatenate([np.zeros(8000), vowel(120.0, VOWELS["a"], 0.5), np.zeros(8000)])
    found = formant_frames(samples, CONFIG)
    assert np.isnan(found[np.r_[0:45, 106 : len(found)]]).all()
    assert np.isfinite(found[55:95]).all()


def test_halving_the_sound_moves_no_formant(formant_frames: Measure, real: np.ndarray) -> None:
    np.testing.assert_allclose(formant_frames(0.5 * real, CONFIG), formant_frames(real, CONFIG), rtol=1e-9)
