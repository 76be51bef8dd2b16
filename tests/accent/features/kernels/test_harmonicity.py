"""Harmonics-to-noise ratio: Praat's numbers on real speech, known ratios, and the interpolation by brute force."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from accent.audio.prepare import load_speech
from accent.dsp.maxima import DEEPEST, interpolation_weights
from accent.dsp.real_fourier import points_for
from accent.dsp.windows import gaussian_window
from accent.features.config import FeatureConfig
from accent.features.definitions import mean_harmonicity
from accent.features.kernels import harmonicity as kernels
from accent.features.kernels.autocorrelation import inverse_window_correlation, normalised_autocorrelation, weigh_frames
from accent.features.kernels.harmonicity import harmonicity, strongest_repetition
from accent.features.reference import harmonicity as reference
from accent.grid import HOP, SAMPLE_RATE
from tests.support.sound import synthesis

CONFIG = FeatureConfig()
INSIDE = slice(20, -20)
"""Frames whose windows see no end of a synthetic signal."""


@pytest.fixture(scope="module")
def recordings(saa: Path) -> list[np.ndarray]:
    """One recording of each of twelve speakers."""
    files = sorted(saa.glob("*/wav/*.wav"))[::10]
    return [load_speech(file, CONFIG.audio).unfiltered_N for file in files]


def differences(sound_N: np.ndarray, config: FeatureConfig = CONFIG) -> tuple[np.ndarray, np.ndarray]:
    """Return which frames are defined in one backend only, and the differences in dB of those defined in both."""
    ours_T, praat_T = harmonicity(sound_N, config), reference.harmonicity(sound_N, config)
    ours_defined, praat_defined = np.isfinite(ours_T), np.isfinite(praat_T)
    return ours_defined != praat_defined, (ours_T - praat_T)[ours_defined & praat_defined]


def test_harmonicity_of_real_speech_is_praats(recordings: list[np.ndarray]) -> None:
    unequal, errors = (np.concatenate(parts) for parts in zip(*map(differences, recordings), strict=True))
    p50, p99 = np.quantile(np.abs(errors), [0.5, 0.99])
    print(f"\nHNR, {len(recordings)} files, {len(unequal)} frames, {len(errors)} of them defined:")
    print(f"defined in one backend only: {np.mean(unequal):.3%}")
    print(f"|difference| in dB: median {p50:.6f}, 99th percentile {p99:.6f}, maximum {np.abs(errors).max():.6f}")
    assert len(errors) > 1500
    assert np.mean(unequal) <= 0.001
    assert p50 <= 0.001
    assert p99 <= 0.01


@pytest.mark.parametrize(
    ("floor_hz", "periods", "silence_threshold"),
    [(60.0, 4.5, 0.1), (100.0, 3.0, 0.1), (300.0, 4.5, 0.0), (1000.0, 4.5, 0.0), (75.0, 2.0, 0.3), (40.0, 60.0, 0.03)],
)
def test_harmonicity_with_other_settings_is_praats(
    recordings: list[np.ndarray], floor_hz: float, periods: float, silence_threshold: float
) -> None:
    config = dataclasses.replace(
        CONFIG,
        hnr_floor_hz=floor_hz,
        hnr_periods_per_window=periods,
        hnr_silence_threshold=silence_threshold,
    )
    unequal, errors = differences(recordings[1], config)
    assert np.sum(unequal) <= 1
    assert len(errors) > 20
    assert np.quantile(np.abs(errors), 0.99) <= 0.01


@pytest.mark.parametrize("offset", [0.01, 0.5])
def test_an_offset_changes_what_praat_finds_and_what_we_find_alike(recordings: list[np.ndarray], offset: float) -> None:
    unequal, errors = differences(recordings[2] + offset)
    assert np.sum(unequal) <= 1
    assert np.quantile(np.abs(errors), 0.99) <= 0.01


@pytest.mark.parametrize("f0", [100.0, 200.0])
@pytest.mark.parametrize("hnr_db", [0.0, 5.0, 10.0, 20.0, 30.0])
def test_harmonicity_of_harmonics_plus_noise_is_their_power_ratio(f0: float, hnr_db: float) -> None:
    measured_T = harmonicity(synthesis.harmonics_plus_noise(f0, hnr_db, 1.0), CONFIG)[INSIDE]
    assert np.median(measured_T) == pytest.approx(hnr_db, abs=0.7)


def brute_force_autocorrelation(sound_N: np.ndarray, centre: int, window_W: np.ndarray, reach: int) -> np.ndarray:
    """Return the autocorrelation of a frame at all lags, from sums of products."""
    width = len(window_W)
    padded_N = np.pad(sound_N, width)
    middle = centre + width
    frame_W = padded_N[middle - width // 2 : middle + width // 2] - padded_N[middle - reach : middle + reach].mean()
    frame_W = frame_W * window_W
    products_L, weights_L = (np.correlate(values, values, "full")[width - 1 :] for values in (frame_W, window_W))
    return np.asarray(products_L / products_L[0] / (weights_L / weights_L[0]))


def brute_force_maximum(correlation_L: np.ndarray, highest_lag: int) -> float:
    """Return the highest maximum between lags, from the formula of the interpolation at every 100th of a lag.

    Source: Boersma (1993), equation 22.
    """
    best = 0.0
    depths = np.arange(DEEPEST)
    for lag in range(2, highest_lag + 1):
        if correlation_L[lag] <= max(0, correlation_L[lag - 1]) or correlation_L[lag] < correlation_L[lag + 1]:
            continue
        heights = [correlation_L[lag]]
        for place in lag + np.arange(-99, 100) / 100:
            whole = int(np.floor(place))
            phase = place - whole
            height = 0.0
            for nearest, direction, distance in ((whole, -1, phase), (whole + 1, 1, 1 - phase)):
                taper = 0.5 + 0.5 * np.cos(np.pi * (distance + depths) / (distance + DEEPEST))
                lags = np.abs(nearest + direction * depths)
                height += np.sum(correlation_L[lags] * np.sinc(distance + depths) * taper)
            heights.append(height)
        best = max(best, min(max(heights), 1 / max(heights)))
    return best


def test_no_maximum_is_missed_for_being_left_out_of_the_interpolation(recordings: list[np.ndarray]) -> None:
    # Speech, a fricative and white noise: the last has a maximum at every third lag, any of which may be the highest.
    sound_N = np.concatenate([recordings[3][:16000], synthesis.noise(0.3, 6.0), synthesis.noise(0.3)])
    centres = np.array([4000, 8000, 10000, 12000, 18000, 19000, 23000, 24000])
    window_W, reach, highest_lag = gaussian_window(1918), 213, 214
    inverse_window = inverse_window_correlation(window_W, highest_lag + 1 + DEEPEST)
    frames_VS = np.empty((len(centres), 4096))
    weigh_frames(sound_N, centres, window_W, reach, frames_VS)
    measured_V = strongest_repetition(
        normalised_autocorrelation(frames_VS, inverse_window),
        np.zeros(len(centres)),
        inverse_window,
        highest_lag,
        len(window_W) // 4,
        interpolation_weights(),
    )
    expected_V = [
        brute_force_maximum(brute_force_autocorrelation(sound_N, centre, window_W, reach), highest_lag)
        for centre in centres
    ]
    # A hundredth of a lag is the brute force's error: 1 - cos(0.005 pi) at the highest frequency.
    np.testing.assert_allclose(measured_V, expected_V, atol=1.3e-4)


def test_the_ends_that_wrap_round_in_the_transform_weigh_nothing(
    recordings: list[np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    measured_T = harmonicity(recordings[4], CONFIG)
    monkeypatch.setattr(kernels, "_fft_size", lambda width, n_lags: points_for(2 * width))
    np.testing.assert_allclose(measured_T, harmonicity(recordings[4], CONFIG), atol=1e-5)


@pytest.mark.parametrize("block", [1, 7, 1000])
def test_harmonicity_does_not_depend_on_the_size_of_blocks(
    recordings: list[np.ndarray], monkeypatch: pytest.MonkeyPatch, block: int
) -> None:
    expected_T = harmonicity(recordings[5], CONFIG)
    monkeypatch.setattr(kernels, "BLOCK", block)
    np.testing.assert_array_equal(harmonicity(recordings[5], CONFIG), expected_T)


def test_harmonicity_moves_with_the_sound(recordings: list[np.ndarray]) -> None:
    whole_T = harmonicity(recordings[6], CONFIG)
    later_T = harmonicity(np.concatenate([np.zeros(33 * HOP), recordings[6]]), CONFIG)
    assert np.isnan(later_T[:20]).all()
    np.testing.assert_allclose(later_T[33:], whole_T, atol=1e-6)


def test_harmonicity_does_not_depend_on_loudness(recordings: list[np.ndarray]) -> None:
    expected_T = harmonicity(recordings[7], CONFIG)
    for gain in (1e-9, 1e6):
        np.testing.assert_allclose(harmonicity(gain * recordings[7], CONFIG), expected_T, atol=1e-6)


def test_quiet_frames_have_no_harmonicity_whatever_they_hold() -> None:
    tone_N = synthesis.harmonics(120, 1.0)
    fading_N = np.concatenate([tone_N, 0.05 * tone_N])
    measured_T = harmonicity(fading_N, CONFIG)
    assert np.isfinite(measured_T[10:90]).all()
    assert np.isnan(measured_T[110:190]).all()


def test_harmonicity_is_undefined_in_silence() -> None:
    speech_N = np.concatenate([np.zeros(8000), synthesis.vowel(120, (500, 1500, 2500), 0.5), np.zeros(8000)])
    measured_T = harmonicity(speech_N, CONFIG)
    assert np.isnan(measured_T[:40]).all()
    assert np.isnan(measured_T[-40:]).all()
    assert np.isfinite(measured_T[60:90]).all()


def degenerate_sounds() -> dict[str, np.ndarray]:
    """Return recordings that break careless analyses."""
    clock_N = np.arange(SAMPLE_RATE) / SAMPLE_RATE
    noise_N = synthesis.noise(1.0)
    return {
        "silence": np.zeros(SAMPLE_RATE),
        "offset": np.full(SAMPLE_RATE, 0.3),
        "click": np.eye(1, SAMPLE_RATE, 8000)[0],
        "ten samples": noise_N[:10],
        "one frame": noise_N[:159],
        "two frames": noise_N[:160],
        "clipped": np.clip(5 * noise_N, -1, 1),
        "square wave": np.sign(np.sin(2 * np.pi * 100 * clock_N + 0.1)),
    }


@pytest.mark.parametrize("name", degenerate_sounds())
def test_degenerate_sounds_are_defined_where_praat_has_a_number(name: str) -> None:
    unequal, errors = differences(degenerate_sounds()[name])
    assert not unequal.any()
    # Noise up to the Nyquist frequency: Praat interpolates from more lags.
    assert np.abs(errors).max(initial=0) < 0.5


def test_a_pure_tone_stays_below_the_limit() -> None:
    tone_N = np.sin(2 * np.pi * 200 * np.arange(SAMPLE_RATE) / SAMPLE_RATE)
    measured_T = harmonicity(tone_N, CONFIG)[INSIDE]
    assert measured_T.min() > 60
    assert measured_T.max() <= 150.1


def test_mean_harmonicity_is_undefined_without_a_voiced_frame() -> None:
    assert np.isnan(mean_harmonicity(np.zeros(20)))
    assert np.isnan(mean_harmonicity(np.zeros(0)))
