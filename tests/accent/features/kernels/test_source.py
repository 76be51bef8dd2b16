"""H1-H2, H1*-H2* and tilt: the plain definitions on real speech, sources of known levels and slopes, sums by hand."""

import dataclasses
import math
from pathlib import Path

import numpy as np
import pytest
from scipy.signal import freqz, get_window

from accent.audio.prepare import load_speech
from accent.features.config import FeatureConfig
from accent.features.kernels import source as kernels
from accent.features.kernels.source import formant_gain, power_between, source_frames
from accent.features.reference import source as reference
from accent.features.reference.formants import formant_frames
from accent.features.reference.pitch import track_pitch
from accent.grid import HOP, SAMPLE_RATE
from tests.support.sound import synthesis

CONFIG = FeatureConfig()
INSIDE = slice(20, -20)
"""Frames whose windows see no end of a synthetic signal."""
NO_FORMANTS = np.full(8, np.nan)
NAMES = ("H1-H2", "H1*-H2*", "tilt")

Recording = tuple[np.ndarray, np.ndarray, np.ndarray]
Measures = tuple[np.ndarray, np.ndarray, np.ndarray]


@pytest.fixture(scope="module")
def recordings(saa: Path) -> list[Recording]:
    """Sound, F0 and formants of one recording of each of ten speakers."""
    sounds = [load_speech(file, CONFIG.audio).unfiltered_N for file in sorted(saa.glob("*/wav/*.wav"))[::12]]
    return [(sound_N, track_pitch(sound_N, CONFIG).f0_T, formant_frames(sound_N, CONFIG)) for sound_N in sounds]


def by_definition(
    sound_N: np.ndarray, f0_T: np.ndarray, formants_T8: np.ndarray, config: FeatureConfig = CONFIG
) -> Measures:
    frames_TW = reference.pitch_frames(sound_N, config.pitch_floor_hz)
    harmonics = reference.first_harmonics(frames_TW, f0_T, formants_T8)
    return (*harmonics, reference.spectral_tilt(frames_TW, f0_T, config))


def measured(sound_N: np.ndarray, f0: float, formants: np.ndarray = NO_FORMANTS) -> Measures:
    """Measure a sound whose F0 and formants are the same in all frames."""
    n_frames = len(sound_N) // HOP + 1
    return source_frames(sound_N, np.full(n_frames, f0), np.tile(formants, (n_frames, 1)), CONFIG)


def test_measures_of_real_speech_are_those_of_the_definitions(recordings: list[Recording]) -> None:
    ours = [np.concatenate(parts) for parts in zip(*(source_frames(*each, CONFIG) for each in recordings), strict=True)]
    theirs = [np.concatenate(parts) for parts in zip(*(by_definition(*each) for each in recordings), strict=True)]
    print(f"\nsource, {len(recordings)} files, {len(ours[0])} frames; |difference| in dB or dB an octave:")
    # The reference subtracts sums of the whole spectrum, which leaves a quiet band few digits.
    for name, ours_T, theirs_T, tolerance in zip(NAMES, ours, theirs, (1e-9, 1e-9, 1e-5), strict=True):
        defined_T = np.isfinite(theirs_T)
        np.testing.assert_array_equal(np.isfinite(ours_T), defined_T)
        errors = np.abs(ours_T - theirs_T)[defined_T]
        p50, p99 = np.quantile(errors, [0.5, 0.99])
        print(f"{name}: {len(errors)} defined, median {p50:.1e}, 99th percentile {p99:.1e}, maximum {errors.max():.1e}")
        assert len(errors) > 1000
        assert p99 < 1e-9
        assert errors.max() < tolerance


def exact_tilt(frame_W: np.ndarray, width_hz: float, octave_K: np.ndarray) -> float:
    """Return the tilt of a frame from exactly rounded sums."""
    power_F = np.abs(np.fft.rfft(frame_W, 1024)) ** 2
    bin_hz = SAMPLE_RATE / 1024
    levels = []
    for number in range(1, int(CONFIG.tilt_ceiling_hz / width_hz) + 1):
        lower, upper = (number - 0.5) * width_hz, (number + 0.5) * width_hz
        edges_F = (np.arange(len(power_F) + 1) - 0.5) * bin_hz
        share_F = np.diff(np.clip(edges_F, lower, upper)) / bin_hz
        levels.append(10 * math.log10(math.fsum(share_F * power_F)))
    weight_K = 1 / np.arange(1, len(levels) + 1)
    return float(np.polyfit(octave_K[: len(levels)], levels, 1, w=np.sqrt(weight_K))[0])


def test_tilt_is_the_slope_of_exactly_summed_bands(recordings: list[Recording]) -> None:
    sound_N, f0_T, formants_T8 = recordings[0]
    *_, tilt_T = source_frames(sound_N, f0_T, formants_T8, CONFIG)
    frames_TW = reference.pitch_frames(sound_N, CONFIG.pitch_floor_hz)
    number_K = np.arange(1, 101)
    for frame in range(0, len(tilt_T), 5):
        voiced = np.isfinite(f0_T[frame])
        width_hz = f0_T[frame] if voiced else CONFIG.tilt_unvoiced_band_hz
        octave_K = np.log2(number_K) if voiced else np.log2(np.sqrt((number_K - 0.5) * (number_K + 0.5)))
        assert tilt_T[frame] == pytest.approx(exact_tilt(frames_TW[frame], width_hz, octave_K), abs=1e-9)


@pytest.mark.parametrize("floor_hz", [50.0, 100.0])
def test_the_frame_follows_the_pitch_floor(recordings: list[Recording], floor_hz: float) -> None:
    config = dataclasses.replace(CONFIG, pitch_floor_hz=floor_hz, tilt_ceiling_hz=4000.0, tilt_unvoiced_band_hz=150.0)
    default = source_frames(*recordings[1], CONFIG)
    ours, theirs = source_frames(*recordings[1], config), by_definition(*recordings[1], config)
    for ours_T, theirs_T, default_T in zip(ours, theirs, default, strict=True):
        np.testing.assert_allclose(ours_T, theirs_T, atol=1e-5)
        assert np.nanmedian(np.abs(ours_T - default_T)) > 1e-3


@pytest.mark.parametrize("f0", [80.0, 100.0, 150.0, 220.0, 350.0])
@pytest.mark.parametrize("h1_h2", [-6.0, 0.0, 10.0])
def test_h1_h2_of_known_harmonics_is_recovered(f0: float, h1_h2: float) -> None:
    sound_N = synthesis.harmonics_at_levels(f0, [h1_h2, 0.0, *(-6.0 * k for k in range(1, 12))], 0.5)
    difference_T, corrected_T, _ = measured(sound_N, f0)
    np.testing.assert_allclose(difference_T[5:-5], h1_h2, atol=0.25)
    assert np.isnan(corrected_T).all()


@pytest.mark.parametrize("f0", [100.0, 220.0, 350.0])
@pytest.mark.parametrize("formants", [(500.0, 1500.0), (300.0, 2300.0), (750.0, 1200.0)])
def test_corrected_h1_h2_is_that_of_the_source_whatever_the_formants(f0: float, formants: tuple[float, float]) -> None:
    source_N = synthesis.harmonics_at_levels(f0, [4.0, 0.0, *(-6.0 * k for k in range(1, 12))], 0.5)
    vowel_N = synthesis.resonate(source_N, formants, (80.0, 100.0))
    row = np.array([*formants, np.nan, np.nan, 80.0, 100.0, np.nan, np.nan])
    difference_T, corrected_T, _ = measured(vowel_N, f0, row)
    np.testing.assert_allclose(corrected_T[5:-5], 4.0, atol=0.1)
    assert np.all(np.abs(difference_T[5:-5] - 4.0) > 0.4)


@pytest.mark.parametrize("at_hz", [100.0, 440.0, 500.0, 3000.0])
def test_formant_gain_is_the_response_of_the_resonator(at_hz: float) -> None:
    radius = np.exp(-np.pi * 80 / SAMPLE_RATE)
    poles = [1.0, -2 * radius * np.cos(2 * np.pi * 500 / SAMPLE_RATE), radius**2]
    _, response = freqz([sum(poles)], poles, worN=[at_hz], fs=SAMPLE_RATE)
    assert formant_gain(at_hz, 500.0, 80.0) == pytest.approx(20 * np.log10(np.abs(response[0])), abs=1e-9)


def test_h1_h2_is_undefined_where_it_must_be() -> None:
    vowel_N = synthesis.vowel(120, (500, 1500), 0.5)
    f0_T = np.full(51, 120.0)
    f0_T[10] = np.nan
    formants_T8 = np.tile([500.0, 1500.0, 2500.0, 3500.0, 60.0, 90.0, 120.0, 150.0], (51, 1))
    formants_T8[20, 1] = np.nan  # no F2
    formants_T8[25, 4] = np.nan  # no B1
    formants_T8[30, 3] = np.nan  # no F4: not needed
    difference_T, corrected_T, tilt_T = source_frames(vowel_N, f0_T, formants_T8, CONFIG)
    assert np.flatnonzero(np.isnan(difference_T)).tolist() == [10]
    assert np.flatnonzero(np.isnan(corrected_T)).tolist() == [10, 20, 25]
    assert np.isfinite(tilt_T).all()


@pytest.mark.parametrize("f0", [90.0, 140.0, 250.0, 400.0])
@pytest.mark.parametrize("db_per_octave", [0.0, -6.0, -12.0])
def test_tilt_of_a_known_harmonic_source_is_its_slope(f0: float, db_per_octave: float) -> None:
    *_, tilt_T = measured(synthesis.harmonics(f0, 0.5, db_per_octave), f0)
    np.testing.assert_allclose(tilt_T[5:-5], db_per_octave, atol=0.02)


@pytest.mark.parametrize(("db_per_octave", "tolerance"), [(0.0, 0.15), (-6.0, 0.3), (-12.0, 1.2)])
def test_tilt_of_noise_is_the_slope_of_its_spectral_density(db_per_octave: float, tolerance: float) -> None:
    *_, tilt_T = measured(synthesis.noise(4.0, db_per_octave, seed=3), np.nan)
    assert np.mean(tilt_T[5:-5]) == pytest.approx(db_per_octave, abs=tolerance)
    assert np.std(tilt_T[5:-5]) < 1.0


@pytest.mark.parametrize("edges", [(0.0, 4.0), (0.25, 0.75), (1.5, 2.0), (1.5, 3.25), (2.0, 2.0)])
@pytest.mark.parametrize("whole", [0, 1, 2, 9])
def test_power_between_two_places_is_that_of_evenly_filled_bins(edges: tuple[float, float], whole: int) -> None:
    power_F = np.array([1.0, 10.0, 100.0, 1000.0, 10000.0])
    below = np.interp(edges, np.arange(6), np.concatenate([[0.0], np.cumsum(power_F)]))
    assert power_between(power_F, *edges, whole) == pytest.approx(below[1] - below[0], abs=1e-12)


def test_measures_do_not_depend_on_loudness(recordings: list[Recording]) -> None:
    sound_N, f0_T, formants_T8 = recordings[2]
    for loud_T, quiet_T in zip(
        source_frames(sound_N, f0_T, formants_T8, CONFIG),
        source_frames(1e-6 * sound_N, f0_T, formants_T8, CONFIG),
        strict=True,
    ):
        np.testing.assert_allclose(quiet_T, loud_T, atol=1e-9)


@pytest.mark.parametrize("block", [1, 7, 1000])
def test_measures_do_not_depend_on_the_size_of_blocks(
    recordings: list[Recording], monkeypatch: pytest.MonkeyPatch, block: int
) -> None:
    expected = source_frames(*recordings[3], CONFIG)
    monkeypatch.setattr(kernels, "BLOCK", block)
    for measured_T, expected_T in zip(source_frames(*recordings[3], CONFIG), expected, strict=True):
        np.testing.assert_array_equal(measured_T, expected_T)


def test_the_middle_of_a_frame_is_its_sample_on_the_grid() -> None:
    # A swell that is its own mirror image about sample 8000, frame 50: so are the levels about frame 50.
    clock_N = (np.arange(16001) - 8000) / SAMPLE_RATE
    swell_N = np.cos(2 * np.pi * 120 * clock_N) + np.cos(2 * np.pi * 240 * clock_N)
    swell_N *= np.exp(-0.5 * (clock_N / 0.02) ** 2)
    asymmetry = []
    for shift in (-1, 0, 1):
        difference_T, *_ = measured(np.roll(swell_N, shift), 110.0)
        asymmetry.append(np.abs(difference_T[40:50] - difference_T[60:50:-1]).max())
    # Not 0: a frame has one sample more before its middle than behind it, and its mean is that of all.
    assert asymmetry[1] < 0.1 * min(asymmetry[0], asymmetry[2])


def degenerate_sounds() -> dict[str, np.ndarray]:
    """Return recordings that break careless analyses."""
    noise_N = synthesis.noise(1.0)
    return {
        "silence": np.zeros(SAMPLE_RATE),
        "offset": np.full(SAMPLE_RATE, 0.3),
        "click": np.eye(1, SAMPLE_RATE, 8000)[0],
        "click where a window weighs it nothing": np.eye(1, SAMPLE_RATE, 8000 - 320)[0],
        "ten samples": noise_N[:10],
        "one frame": noise_N[:159],
        "two frames": noise_N[:160],
        "clipped": np.clip(5 * noise_N, -1, 1),
        "noise in silence": np.concatenate([np.zeros(4000), noise_N[:4000], np.zeros(4000)]),
    }


@pytest.mark.parametrize("name", degenerate_sounds())
@pytest.mark.parametrize("f0", [150.0, np.nan])
def test_degenerate_sounds_are_defined_where_the_definitions_are(name: str, f0: float) -> None:
    sound_N = degenerate_sounds()[name]
    n_frames = len(sound_N) // HOP + 1
    f0_T, formants_T8 = np.full(n_frames, f0), np.tile([500.0, 1500, 2500, 3500, 60, 90, 120, 150], (n_frames, 1))
    ours, theirs = source_frames(sound_N, f0_T, formants_T8, CONFIG), by_definition(sound_N, f0_T, formants_T8)
    for ours_T, theirs_T in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(ours_T, theirs_T, atol=1e-9)


@pytest.mark.parametrize("offset", [0.0, 0.3])
def test_measures_are_undefined_in_digital_silence(offset: float) -> None:
    for measured_T in measured(np.full(1600, offset), 120.0, np.full(8, 500.0)):
        assert measured_T.shape == (11,)
        assert np.isnan(measured_T).all()


def test_the_window_weighs_its_first_sample_nothing() -> None:
    # What folding the frame about its middle relies on.
    assert get_window("hann", 640)[0] == 0
