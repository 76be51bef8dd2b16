"""Praat on our grid: frames where they belong, and pitch, strength and intensity of sounds that are known."""

from pathlib import Path
from typing import Literal

import numpy as np
import parselmouth
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accent.audio.prepare import AudioConfig, load_speech
from accent.dsp.resample import brick_wall_resample
from accent.dsp.silence import without_sound
from accent.features.config import FeatureConfig
from accent.features.reference.padding import padded_sound
from accent.features.reference.pitch import intensity, track_pitch
from tests.support.sound.synthesis import (
    RATE,
    alternating_pulse_times,
    harmonics,
    harmonics_plus_noise,
    noise,
    pulses,
    vowel,
)

CONFIG = FeatureConfig()
INNER = slice(10, -10)
Parity = Literal["odd", "even"]


def frame_times(analysis: str, sound: parselmouth.Sound) -> np.ndarray:
    if analysis == "pitch":
        return sound.to_pitch_ac(0.01, 75, pitch_ceiling=600).xs()
    if analysis == "intensity":
        return sound.to_intensity(75, 0.01, True).xs()
    if analysis == "harmonicity":
        return sound.to_harmonicity_ac(0.01, 75, 0.1, 4.5).xs()
    return sound.to_formant_burg(0.01, 5, sound.sampling_frequency / 2, 0.025, 50).xs()


GRIDS: list[tuple[str, float, int, Parity]] = [
    ("pitch", 3 / 75, 16_000, "even"),
    ("intensity", 6.4 / 75, 16_000, "odd"),
    ("harmonicity", 9 / 75, 16_000, "even"),
    ("formants", 0.05, 11_000, "even"),
    ("formants", 0.05, 10_000, "even"),
]


def real_speech(saa: Path) -> list[np.ndarray]:
    """One utterance of each speaker."""
    paths = sorted(saa.glob("*/wav/arctic_a0003.wav"))
    assert len(paths) == 20
    return [load_speech(path, AudioConfig()).unfiltered_N for path in paths]


@pytest.mark.parametrize(("analysis", "window", "rate", "parity"), GRIDS)
def test_praat_puts_its_frames_on_the_grid_for_real_speech(
    saa: Path, analysis: str, window: float, rate: int, parity: Parity
) -> None:
    for samples in real_speech(saa):
        resampled = brick_wall_resample(samples, rate)
        sound, times = padded_sound(resampled, rate, rate // 100, window, parity)
        assert len(times) == len(samples) // 160 + 1
        found = frame_times(analysis, sound)
        assert len(found) == len(times)
        np.testing.assert_allclose(found, times, rtol=0, atol=1e-9)


@given(n_samples=st.integers(1, 3000), grid=st.sampled_from(GRIDS))
@settings(max_examples=100, deadline=None)
def test_praat_puts_its_frames_on_the_grid_for_every_length(
    n_samples: int, grid: tuple[str, float, int, Parity]
) -> None:
    analysis, window, rate, parity = grid
    hop = rate // 100
    samples = np.random.default_rng(n_samples).normal(0, 0.1, n_samples)
    sound, times = padded_sound(samples, rate, hop, window, parity)
    found = frame_times(analysis, sound)
    assert len(found) == len(times) == n_samples // hop + 1
    np.testing.assert_allclose(found, times, rtol=0, atol=1e-9)
    np.testing.assert_allclose(times, times[0] + np.arange(len(times)) * 0.01, rtol=0, atol=1e-9)
    # Praat's sample i is centred at (i + 1/2) / rate: an odd sound has frames on sample k x hop, an even one half a
    # sample before it.
    first = times[0] * rate - (0.5 if parity == "odd" else 0.0)
    assert first == pytest.approx(round(first), abs=1e-6)
    np.testing.assert_array_equal(sound.values[0][round(first) : round(first) + n_samples], samples)
    assert sound.n_samples % 2 == (parity == "odd")


@given(floor=st.floats(40, 1000), n_samples=st.integers(1, 2000))
@settings(max_examples=60, deadline=None)
def test_any_pitch_floor_stays_on_the_grid(floor: float, n_samples: int) -> None:
    samples = np.random.default_rng(n_samples).normal(0, 0.1, n_samples)
    sound, times = padded_sound(samples, RATE, 160, 3 / floor, "even")
    found = sound.to_pitch_ac(0.01, floor, pitch_ceiling=2000).xs()
    assert len(found) == len(times)
    np.testing.assert_allclose(found, times, rtol=0, atol=1e-9)


@pytest.mark.parametrize("f0", [80.0, 123.4, 220.0, 440.0, 590.0])
def test_a_pulse_train_has_the_pitch_it_was_made_with(f0: float) -> None:
    times = alternating_pulse_times(1 / f0, 0.0, 1.0)
    found = track_pitch(pulses(times, np.ones(len(times)), 1.0), CONFIG).f0_T[INNER]
    np.testing.assert_allclose(found, f0, rtol=1e-4)


def test_a_glide_is_measured_at_the_centre_of_each_frame() -> None:
    clock = np.arange(2 * RATE) / RATE
    phase = 2 * np.pi * (100 * clock + 25 * clock**2)  # F0 = 100 + 50 t Hz
    samples = sum(np.cos(number * phase) / number for number in range(1, 20)) / 10
    found = track_pitch(samples, CONFIG).f0_T
    expected = 100 + 50 * np.arange(len(found)) * 0.01
    np.testing.assert_allclose(found[INNER], expected[INNER], atol=0.2)


@pytest.mark.parametrize("hnr_db", [5.0, 10.0, 20.0])
def test_strength_is_the_share_of_the_periodic_power(hnr_db: float) -> None:
    ratio = 10 ** (hnr_db / 10)
    strength = track_pitch(harmonics_plus_noise(150, hnr_db, 2.0), CONFIG).strength_T[INNER]
    assert strength.mean() == pytest.approx(ratio / (1 + ratio), abs=0.01)


def test_white_noise_is_unvoiced_and_still_has_a_strength() -> None:
    track = track_pitch(0.1 * noise(2.0), CONFIG)
    assert np.isnan(track.f0_T).all()
    assert ((track.strength_T >= 0) & (track.strength_T < 0.5)).all()


def test_no_voiced_frame_is_stronger_than_the_best_strength(saa: Path) -> None:
    for samples in real_speech(saa)[::5]:
        track = track_pitch(samples, CONFIG)
        voiced = np.isfinite(track.f0_T)
        chosen = track.pitch.selected_array["strength"][voiced]
        assert (track.strength_T[voiced] >= chosen - 1e-9).all()
        assert ((track.strength_T >= 0) & (track.strength_T <= 1)).all()


def test_strength_is_the_best_of_all_lags_and_no_candidate_was_crowded_out(saa: Path) -> None:
    """Against the normalised autocorrelation of Boersma (1993) worked out by hand, at whole lags."""
    samples = real_speech(saa)[3]
    track = track_pitch(samples, CONFIG)
    sound = track.sound.values[0]
    width = 640
    window = 0.5 - 0.5 * np.cos(2 * np.pi * (np.arange(width) + 0.5) / width)
    lags = np.arange(int(RATE / 600) + 1, int(RATE / 75))
    window_correlation = np.correlate(window, window, "full")[width - 1 :]
    for frame in range(10, len(track.f0_T) - 10, 9):
        at = round(track.times_T[frame] * RATE)
        segment = sound[at - width // 2 : at + width // 2]
        segment = (segment - segment.mean()) * window
        correlation = np.correlate(segment, segment, "full")[width - 1 :] / window_correlation
        ratio = (correlation / correlation[0])[lags]
        interior = (ratio[1:-1] > ratio[:-2]) & (ratio[1:-1] >= ratio[2:])
        best = ratio[1:-1][interior].max(initial=0.0)
        # Between whole lags the maximum is a little higher, most so at short lags.
        assert best - 0.02 <= track.strength_T[frame] <= best + 0.12


def test_two_passes_narrow_the_range_to_the_speaker() -> None:
    voice = vowel(120.0, (700.0, 1200.0, 2600.0), 1.5)
    whistle = 0.3 * np.sin(2 * np.pi * 500 * np.arange(4800) / RATE)
    samples = np.concatenate([voice, whistle])
    once = track_pitch(samples, CONFIG).f0_T
    twice = track_pitch(samples, FeatureConfig(two_pass_pitch=True)).f0_T
    assert np.nanmax(once) == pytest.approx(500, abs=1)
    assert np.nanmax(twice) <= 1.5 * 120 + 1
    np.testing.assert_allclose(twice[10:140], 120, rtol=1e-3)
    assert len(once) == len(twice)


def test_the_strength_column_does_not_depend_on_the_second_pass() -> None:
    samples = harmonics_plus_noise(210, 10, 1.0)
    once, twice = (track_pitch(samples, FeatureConfig(two_pass_pitch=two)) for two in (False, True))
    np.testing.assert_array_equal(once.strength_T, twice.strength_T)


@pytest.mark.parametrize("frames", [1, 8])
def test_a_delay_by_whole_frames_delays_pitch_and_intensity(saa: Path, frames: int) -> None:
    samples = real_speech(saa)[0]
    delayed = np.concatenate([np.zeros(160 * frames), samples])
    now, later = track_pitch(samples, CONFIG), track_pitch(delayed, CONFIG)
    np.testing.assert_allclose(later.f0_T[frames:], now.f0_T, atol=1e-3)
    np.testing.assert_allclose(later.strength_T[frames:], now.strength_T, atol=1e-5)
    np.testing.assert_allclose(intensity(delayed, CONFIG)[frames:], intensity(samples, CONFIG), atol=1e-9)


def test_halving_the_sound_lowers_intensity_by_six_decibels_and_keeps_the_pitch(saa: Path) -> None:
    samples = real_speech(saa)[1]
    loud, quiet = track_pitch(samples, CONFIG), track_pitch(0.5 * samples, CONFIG)
    np.testing.assert_array_equal(loud.f0_T, quiet.f0_T)
    np.testing.assert_array_equal(loud.strength_T, quiet.strength_T)
    np.testing.assert_allclose(
        intensity(0.5 * samples, CONFIG) - intensity(samples, CONFIG), -20 * np.log10(2), atol=1e-9
    )


@pytest.mark.parametrize("amplitude", [0.001, 0.1])
def test_the_intensity_of_a_tone_is_its_level_re_20_micropascal(amplitude: float) -> None:
    samples = amplitude * np.sin(2 * np.pi * 200 * np.arange(RATE) / RATE)
    expected = 20 * np.log10(amplitude / np.sqrt(2) / 2e-5)
    np.testing.assert_allclose(intensity(samples, CONFIG)[INNER], expected, atol=0.01)


def test_intensity_is_symmetrical_about_a_click_on_the_grid() -> None:
    samples = np.zeros(RATE)
    samples[50 * 160] = 1.0
    found = intensity(samples, CONFIG)
    assert np.nanargmax(found) == 50
    np.testing.assert_allclose(found[51:54], found[49:46:-1], atol=1e-9)


def test_digital_silence_has_no_pitch_no_strength_and_no_intensity() -> None:
    samples = np.concatenate([np.zeros(8000), harmonics(120, 0.5, -6) * 0.05, np.zeros(8000)])
    track = track_pitch(samples, CONFIG)
    silent = np.r_[0:40, 110 : len(track.f0_T)]
    for values in (track.f0_T, track.strength_T, intensity(samples, CONFIG)):
        assert np.isnan(values[silent]).all()
        assert np.isfinite(values[55:95]).all()
    assert np.isnan(track_pitch(np.zeros(1600), CONFIG).strength_T).all()


def test_a_quiet_sound_is_not_digital_silence() -> None:
    rng = np.random.default_rng(0)
    samples = np.concatenate([0.5 * noise(0.5), rng.choice([-1, 1], 8000) / 2**15])
    assert not without_sound(samples, 0.04).any()
