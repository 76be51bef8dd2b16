"""Voice quality: synthetic signals with known answers, Praat's own queries, and real speech."""

from pathlib import Path

import numpy as np
import parselmouth
import pytest
from parselmouth.praat import call
from scipy.signal import freqz

from accent.audio.prepare import Speech, load_speech
from accent.features.config import FeatureConfig
from accent.features.reference.backend import analyse
from accent.features.reference.cepstrum import cepstral_peak_prominence, power_cepstrogram
from accent.features.reference.harmonicity import harmonicity
from accent.features.reference.pitch import PitchTrack, track_pitch
from accent.features.reference.pulses import count_periods, glottal_pulses, is_period, jitter_and_shimmer, pulse_times
from accent.features.reference.source import first_harmonics, formant_gain, pitch_frames, spectral_tilt
from accent.features.schema import FAMILIES, family_slices
from accent.grid import HOP, SAMPLE_RATE
from tests.support.sound import synthesis

CONFIG = FeatureConfig()
INSIDE = slice(20, -20)
"""Frames whose windows see no end of a synthetic signal."""


@pytest.fixture(scope="module")
def recording(saa: Path) -> Speech:
    return load_speech(sorted(saa.glob("*/wav/*.wav"))[1], CONFIG.audio)


@pytest.fixture(scope="module")
def pitch(recording: Speech) -> PitchTrack:
    return track_pitch(recording.unfiltered_N, CONFIG)


@pytest.fixture(scope="module")
def real_frames(recording: Speech) -> np.ndarray:
    return analyse(recording, CONFIG).frames_TD[:, family_slices()["voice"]]


def column(frames_T7: np.ndarray, name: str) -> np.ndarray:
    return frames_T7[:, FAMILIES[-1].columns.index(name)]


# Harmonics-to-noise ratio


@pytest.mark.parametrize("f0", [100.0, 200.0])
@pytest.mark.parametrize("hnr_db", [0.0, 5.0, 10.0, 20.0, 30.0])
def test_harmonicity_of_harmonics_plus_noise_is_their_power_ratio(f0: float, hnr_db: float) -> None:
    measured_T = harmonicity(synthesis.harmonics_plus_noise(f0, hnr_db, 1.0), CONFIG)[INSIDE]
    assert np.median(measured_T) == pytest.approx(hnr_db, abs=0.7)


def test_harmonicity_on_the_grid_is_what_praat_finds_in_the_unpadded_sound(recording: Speech) -> None:
    # A length of 320 m samples with an odd number of frames: Praat's own frames then fall on whole multiples of 10 ms.
    unpadded_N = recording.unfiltered_N[: len(recording.unfiltered_N) // 320 * 320]
    praat = parselmouth.Sound(unpadded_N, SAMPLE_RATE).to_harmonicity_ac(0.01, 75.0, 0.1, 4.5)
    positions = np.array(praat.xs()) * 100
    assert np.allclose(positions, np.round(positions), atol=1e-6), "the oracle is off the grid"
    ours_T = harmonicity(unpadded_N, CONFIG)[np.round(positions).astype(int)]
    praat_T = np.where(praat.values[0] == -200, np.nan, praat.values[0])
    assert np.mean(np.isfinite(praat_T)) > 0.4
    np.testing.assert_allclose(ours_T, praat_T, atol=1e-4, equal_nan=True)


def test_harmonicity_is_undefined_in_silence() -> None:
    speech_N = np.concatenate([np.zeros(8000), synthesis.vowel(120, (500, 1500, 2500), 0.5), np.zeros(8000)])
    measured_T = harmonicity(speech_N, CONFIG)
    assert np.isnan(measured_T[:40]).all()
    assert np.isnan(measured_T[-40:]).all()
    assert np.isfinite(measured_T[60:90]).all()


# Jitter and shimmer


@pytest.mark.parametrize("jitter", [0.0, 0.005, 0.01, 0.03])
@pytest.mark.parametrize("shimmer", [0.0, 0.05, 0.2])
def test_jitter_and_shimmer_of_known_pulses_are_recovered(jitter: float, shimmer: float) -> None:
    times_P = synthesis.alternating_pulse_times(1 / 120, jitter, 1.0)
    sound_N = synthesis.pulses(times_P, synthesis.alternating_amplitudes(len(times_P), shimmer), 1.0)
    jitter_T, shimmer_T = jitter_and_shimmer(track_pitch(sound_N, CONFIG), CONFIG)
    np.testing.assert_allclose(jitter_T[INSIDE], jitter, atol=1e-4)
    np.testing.assert_allclose(shimmer_T[INSIDE], shimmer, atol=2e-3)


def test_counted_periods_are_those_that_praat_counts(pitch: PitchTrack) -> None:
    pulses = glottal_pulses(pitch)
    from_T, to_T = pitch.times_T - 0.15, pitch.times_T + 0.15
    praat = [
        call(pulses, "Get number of periods", first, last, 0.0001, 0.02, 1.3)
        for first, last in zip(from_T, to_T, strict=True)
    ]
    assert max(praat) > 20
    np.testing.assert_array_equal(count_periods(pulse_times(pulses), from_T, to_T, CONFIG), praat)


def test_frame_jitter_follows_the_definition_given_the_pulses(pitch: PitchTrack) -> None:
    jitter_T, _ = jitter_and_shimmer(pitch, CONFIG)
    times_P = pulse_times(glottal_pulses(pitch))
    periods_P = is_period(times_P, CONFIG)
    expected_T = np.full_like(jitter_T, np.nan)
    for frame, centre in enumerate(pitch.times_T):
        near = np.flatnonzero(np.abs(times_P - centre) <= 0.15)
        intervals = np.diff(times_P[near])
        counted = periods_P[near[0] : near[-1]] if len(near) else np.empty(0, dtype=bool)
        if counted.sum() < 5:
            continue
        a, b = intervals[:-1], intervals[1:]
        pair = (np.maximum(a, b) <= 0.02) & (np.maximum(a, b) <= 1.3 * np.minimum(a, b))
        expected_T[frame] = np.mean(np.abs(a - b)[pair]) / np.mean(intervals[counted])
    assert np.mean(np.isfinite(expected_T)) > 0.5
    np.testing.assert_allclose(jitter_T, expected_T, rtol=1e-9, equal_nan=True)


def test_fewer_than_five_periods_leave_jitter_and_shimmer_undefined() -> None:
    times_P = synthesis.alternating_pulse_times(1 / 120, 0.01, 1.0)
    track = track_pitch(synthesis.pulses(times_P, np.ones(len(times_P)), 1.0), CONFIG)
    # 40 ms hold at most five pulses of 120 Hz, that is four periods; 60 ms hold at least six periods.
    for half_window, defined in ((0.02, False), (0.03, True)):
        config = FeatureConfig(jitter_window_seconds=half_window)
        for measured_T in jitter_and_shimmer(track, config):
            np.testing.assert_array_equal(np.isfinite(measured_T[INSIDE]), defined)


@pytest.mark.parametrize("n_pulses", [0, 1, 2])
def test_no_period_is_counted_among_too_few_pulses(n_pulses: int) -> None:
    times_P = 0.01 * np.arange(n_pulses)
    counts = count_periods(times_P, np.array([-1.0]), np.array([1.0]), CONFIG)
    assert counts.tolist() == [max(0, n_pulses - 1)]


def test_noise_without_pulses_has_neither_jitter_nor_shimmer() -> None:
    hiss_N = 0.01 * np.random.default_rng(1).standard_normal(SAMPLE_RATE)
    speech_N = np.concatenate([synthesis.vowel(120, (500, 1500), 0.5), hiss_N])
    jitter_T, shimmer_T = jitter_and_shimmer(track_pitch(speech_N, CONFIG), CONFIG)
    assert np.isfinite(jitter_T[5:45]).all()
    assert np.isnan(jitter_T[70:]).all()
    np.testing.assert_array_equal(np.isnan(jitter_T), np.isnan(shimmer_T))


# Cepstral peak prominence


def test_cepstral_peak_is_what_praat_says_about_single_frames(recording: Speech) -> None:
    ours_T = cepstral_peak_prominence(recording.unfiltered_N, CONFIG)
    cepstrogram = power_cepstrogram(recording.unfiltered_N, CONFIG)
    assert call(cepstrogram, "Get number of frames") == len(ours_T)
    for frame in range(0, len(ours_T), 17):
        single = call(
            cepstrogram, "To PowerCepstrum (slice)", call(cepstrogram, "Get time from frame number", frame + 1)
        )
        expected = call(single, "Get peak prominence", 60, 333.3, "parabolic", 0.001, 0.05, "Straight", "Robust")
        assert ours_T[frame] == pytest.approx(expected, abs=1e-9)


def test_cepstral_frames_are_centred_on_the_grid() -> None:
    # A voice that swells and fades about frame 50, in noise; the sound is its own mirror image.
    clock_N = (np.arange(2 * 50 * HOP + 1) - 50 * HOP) / SAMPLE_RATE
    hiss_N = np.random.default_rng(5).standard_normal(50 * HOP)
    voice_N = np.sum([np.cos(2 * np.pi * 120 * number * clock_N) for number in range(1, 40)], axis=0)
    sound_N = voice_N * np.exp(-0.5 * (clock_N / 0.1) ** 2)
    sound_N += 0.3 * np.concatenate([hiss_N, [0.0], hiss_N[::-1]])
    prominence_T = cepstral_peak_prominence(sound_N, CONFIG)
    height_T = prominence_T - np.median(np.sort(prominence_T)[:20])
    assert len(prominence_T) == 101
    assert np.sum(np.arange(101) * height_T) / np.sum(height_T) == pytest.approx(50.0, abs=0.3)


def test_a_part_of_the_cepstrogram_is_the_same_as_in_the_whole(recording: Speech) -> None:
    whole = call(power_cepstrogram(recording.unfiltered_N, CONFIG), "To Matrix").values
    part = call(power_cepstrogram(recording.unfiltered_N, CONFIG, 30, 50), "To Matrix").values
    assert part.shape[1] == 50
    # Pre-emphasis treats the first sample of a sound differently, so the first windows differ a little.
    np.testing.assert_allclose(part[:, 12:], whole[:, 42:80], rtol=1e-6)


def test_cepstral_peak_grows_with_the_harmonics_to_noise_ratio() -> None:
    prominence = [
        np.median(cepstral_peak_prominence(synthesis.harmonics_plus_noise(120, hnr_db, 1.0), CONFIG)[INSIDE])
        for hnr_db in (-10.0, 0.0, 10.0, 20.0)
    ]
    assert np.all(np.diff(prominence) > 1)


def test_cepstral_peak_is_undefined_in_digital_silence() -> None:
    speech_N = np.concatenate([np.zeros(8000), synthesis.vowel(120, (500, 1500, 2500), 0.5)])
    prominence_T = cepstral_peak_prominence(speech_N, CONFIG)
    assert np.isnan(prominence_T[:40]).all()
    assert np.isfinite(prominence_T[50:]).all()


# First harmonics


@pytest.mark.parametrize("f0", [80.0, 100.0, 150.0, 220.0, 350.0])
@pytest.mark.parametrize("h1_h2", [-6.0, 0.0, 10.0])
def test_h1_h2_of_known_harmonics_is_recovered(f0: float, h1_h2: float) -> None:
    sound_N = synthesis.harmonics_at_levels(f0, [h1_h2, 0.0, *(-6.0 * k for k in range(1, 12))], 0.5)
    frames_TW = pitch_frames(sound_N, 75.0)
    difference_T, _ = first_harmonics(frames_TW, np.full(51, f0), np.full((51, 8), np.nan))
    np.testing.assert_allclose(difference_T[5:-5], h1_h2, atol=0.25)


@pytest.mark.parametrize("f0", [100.0, 220.0, 350.0])
@pytest.mark.parametrize("formants", [(500.0, 1500.0), (300.0, 2300.0), (750.0, 1200.0)])
def test_corrected_h1_h2_is_that_of_the_source_whatever_the_formants(f0: float, formants: tuple[float, float]) -> None:
    source_N = synthesis.harmonics_at_levels(f0, [4.0, 0.0, *(-6.0 * k for k in range(1, 12))], 0.5)
    frames_TW = pitch_frames(synthesis.resonate(source_N, formants, (80.0, 100.0)), 75.0)
    formants_T8 = np.tile([*formants, np.nan, np.nan, 80.0, 100.0, np.nan, np.nan], (51, 1))
    difference_T, corrected_T = first_harmonics(frames_TW, np.full(51, f0), formants_T8)
    np.testing.assert_allclose(corrected_T[5:-5], 4.0, atol=0.1)
    assert np.all(np.abs(difference_T[5:-5] - 4.0) > 0.4)


def test_formant_gain_is_the_response_of_the_resonator() -> None:
    at_hz = np.array([100.0, 440.0, 500.0, 3000.0])
    radius = np.exp(-np.pi * 80 / SAMPLE_RATE)
    poles = [1.0, -2 * radius * np.cos(2 * np.pi * 500 / SAMPLE_RATE), radius**2]
    _, response = freqz([sum(poles)], poles, worN=at_hz, fs=SAMPLE_RATE)
    measured = formant_gain(at_hz, np.float64(500), np.float64(80))
    np.testing.assert_allclose(measured, 20 * np.log10(np.abs(response)), atol=1e-9)


def test_h1_h2_is_undefined_where_it_must_be() -> None:
    frames_TW = pitch_frames(synthesis.vowel(120, (500, 1500), 0.5), 75.0)
    f0_T = np.full(51, 120.0)
    f0_T[10] = np.nan
    formants_T8 = np.tile([500.0, 1500.0, 2500.0, 3500.0, 60.0, 90.0, 120.0, 150.0], (51, 1))
    formants_T8[20, 1] = np.nan  # no F2
    formants_T8[30, 3] = np.nan  # no F4: not needed
    difference_T, corrected_T = first_harmonics(frames_TW, f0_T, formants_T8)
    assert np.flatnonzero(np.isnan(difference_T)).tolist() == [10]
    assert np.flatnonzero(np.isnan(corrected_T)).tolist() == [10, 20]


# Spectral tilt


@pytest.mark.parametrize("f0", [90.0, 140.0, 250.0, 400.0])
@pytest.mark.parametrize("db_per_octave", [0.0, -6.0, -12.0])
def test_tilt_of_a_known_harmonic_source_is_its_slope(f0: float, db_per_octave: float) -> None:
    frames_TW = pitch_frames(synthesis.harmonics(f0, 0.5, db_per_octave), 75.0)
    tilt_T = spectral_tilt(frames_TW, np.full(51, f0), CONFIG)
    np.testing.assert_allclose(tilt_T[5:-5], db_per_octave, atol=0.02)


@pytest.mark.parametrize(("db_per_octave", "tolerance"), [(0.0, 0.15), (-6.0, 0.3), (-12.0, 1.2)])
def test_tilt_of_noise_is_the_slope_of_its_spectral_density(db_per_octave: float, tolerance: float) -> None:
    frames_TW = pitch_frames(synthesis.noise(4.0, db_per_octave, seed=3), 75.0)
    tilt_T = spectral_tilt(frames_TW, np.full(401, np.nan), CONFIG)[5:-5]
    assert np.mean(tilt_T) == pytest.approx(db_per_octave, abs=tolerance)
    assert np.std(tilt_T) < 1.0


def test_tilt_depends_on_neither_level_nor_voicing_decision() -> None:
    sound_N = synthesis.harmonics_plus_noise(150, 10.0, 1.0)
    as_voiced_T = spectral_tilt(pitch_frames(sound_N, 75.0), np.full(101, 150.0), CONFIG)[INSIDE]
    quiet_T = spectral_tilt(pitch_frames(1e-4 * sound_N, 75.0), np.full(101, 150.0), CONFIG)[INSIDE]
    unvoiced_T = spectral_tilt(pitch_frames(sound_N, 75.0), np.full(101, np.nan), CONFIG)[INSIDE]
    np.testing.assert_allclose(quiet_T, as_voiced_T, atol=1e-9)
    assert np.median(np.abs(unvoiced_T - as_voiced_T)) < 2.0


def test_tilt_is_undefined_in_digital_silence() -> None:
    frames_TW = pitch_frames(np.zeros(1600), 75.0)
    assert np.isnan(spectral_tilt(frames_TW, np.full(11, np.nan), CONFIG)).all()


# Frames and real speech


def test_middle_of_a_pitch_frame_is_its_sample_on_the_grid() -> None:
    sound_N = np.zeros(1600)
    sound_N[3 * HOP] = 1.0
    frames_TW = pitch_frames(sound_N, 75.0)
    assert frames_TW.shape == (11, 640)
    assert [int(np.argmax(frames_TW[k])) for k in (2, 3, 4)] == [480, 320, 160]


def test_every_column_of_real_speech_is_finite_or_undefined(
    recording: Speech, pitch: PitchTrack, real_frames: np.ndarray
) -> None:
    assert real_frames.shape == (len(recording.unfiltered_N) // HOP + 1, len(FAMILIES[-1].columns))
    assert not np.isinf(real_frames).any()
    voiced_T = np.isfinite(pitch.f0_T)
    np.testing.assert_array_equal(np.isfinite(column(real_frames, "h1_h2_db")), voiced_T)
    corrected_T = np.isfinite(column(real_frames, "h1_h2_corrected_db"))
    assert not np.any(corrected_T & ~voiced_T)
    assert np.mean(corrected_T[voiced_T]) > 0.9
    assert np.mean(np.isfinite(column(real_frames, "jitter_local"))[voiced_T]) > 0.9
    assert np.isfinite(column(real_frames, "cpp_db")).all()
    assert np.isfinite(column(real_frames, "tilt_db_octave")).all()


def test_values_of_real_speech_are_those_of_voices(pitch: PitchTrack, real_frames: np.ndarray) -> None:
    median = dict(
        zip(FAMILIES[-1].columns, np.nanmedian(real_frames[np.isfinite(pitch.f0_T)], axis=0).tolist(), strict=True)
    )
    assert 3 < median["hnr_db"] < 25
    assert 0.003 < median["jitter_local"] < 0.06
    assert 0.02 < median["shimmer_local"] < 0.25
    assert 10 < median["cpp_db"] < 30
    assert -15 < median["h1_h2_db"] < 15
    assert -20 < median["tilt_db_octave"] < 0
