"""What the backends share: several rates from one transform, and frames without sound by their definition."""

import math
from pathlib import Path

import numpy as np
import pytest

from accent.audio.prepare import AudioConfig, load_speech
from accent.dsp.resample import brick_wall_resample, brick_wall_resample_to_rates
from accent.dsp.silence import without_sound
from tests.support.sound.synthesis import noise


@pytest.mark.parametrize("n_samples", [0, 1, 160, 4321, 16_000, 28_400])
def test_several_rates_together_are_each_rate_alone(n_samples: int) -> None:
    samples = noise(2.0)[:n_samples]
    rates = [11_000, 10_000, 16_000, 11_000]
    together = brick_wall_resample_to_rates(samples, rates)
    for rate, resampled in zip(rates, together, strict=True):
        np.testing.assert_array_equal(resampled, brick_wall_resample(samples, rate))
        assert len(resampled) == n_samples * rate // 16_000


def test_resampling_leaves_the_sound_as_it_was() -> None:
    samples = noise(1.0)
    before = samples.copy()
    brick_wall_resample_to_rates(samples, [11_000, 16_000])[1][:] = 0
    np.testing.assert_array_equal(samples, before)


def without_sound_by_definition(samples_N: np.ndarray, window_seconds: float) -> np.ndarray:
    half = math.ceil(window_seconds / 2 * 16_000) - 1
    tolerance = 1e-7 * np.abs(samples_N).max()
    frames = []
    for centre in range(0, len(samples_N) + 1, 160):
        inside = samples_N[max(0, centre - half) : centre + half + 1]
        frames.append(not (np.abs(np.diff(inside)) > tolerance).any())
    return np.array(frames)


def _one_change(n_samples: int, place: int) -> np.ndarray:
    samples = np.zeros(n_samples)
    samples[place:] = 0.1
    return samples


@pytest.mark.parametrize("window_seconds", [0.01, 0.04, 0.05, 0.12])
@pytest.mark.parametrize(
    "samples",
    [
        noise(0.5),
        noise(0.5)[:177],
        noise(0.5)[:15],
        noise(0.5)[:1],
        np.zeros(8000),
        np.full(3200, 0.5),
        _one_change(8000, 4000),
        _one_change(3207, 3200),
        np.concatenate([noise(0.1), np.full(4000, 0.2), noise(0.1)]),
        np.concatenate([noise(0.1), 1e-9 * noise(0.2)]),
    ],
    ids=["sound", "177", "15", "1", "zeros", "constant", "one change", "last change", "gap", "rounding"],
)
def test_frames_without_sound_are_those_where_nothing_changes(samples: np.ndarray, window_seconds: float) -> None:
    np.testing.assert_array_equal(
        without_sound(samples, window_seconds), without_sound_by_definition(samples, window_seconds)
    )


def test_a_recording_without_digital_silence_has_sound_in_every_frame(saa: Path) -> None:
    samples = load_speech(saa / "FRA010" / "wav" / "arctic_a0002.wav", AudioConfig()).unfiltered_N
    for n_samples in range(len(samples) - 170, len(samples), 7):
        expected = without_sound_by_definition(samples[:n_samples], 0.05)
        np.testing.assert_array_equal(without_sound(samples[:n_samples], 0.05), expected)
