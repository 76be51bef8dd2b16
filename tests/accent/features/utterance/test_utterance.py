"""Utterance-level values: Praat's voice report as the oracle, signals with known answers, and real speech."""

import re
from pathlib import Path

import numpy as np
import parselmouth
import pytest
from parselmouth.praat import call
from scipy.signal import get_window
from scipy.spatial import ConvexHull, QhullError

from accent.audio.prepare import AudioConfig, Speech, load_speech, prepare_speech
from accent.features.config import FeatureConfig
from accent.features.extract import extract
from accent.features.reference.cepstrum import smoothed_cepstral_peak
from accent.features.reference.harmonicity import harmonicity
from accent.features.reference.pitch import smooth_intensity, track_pitch
from accent.features.reference.pulses import glottal_pulses
from accent.features.reference.voice_report import voice_report
from accent.features.textgrid import read_alignment
from accent.features.utterance import ALIGNMENT_COLUMNS, UTTERANCE_COLUMNS
from accent.features.utterance.delivery import delivery, quantiles, syllable_nuclei
from accent.features.utterance.fricatives import FRICATIVE_COLUMNS, fricative_moments, spectral_moments
from accent.features.utterance.rhythm import Interval
from accent.features.utterance.vowels import hull_area, vowel_space
from accent.grid import SAMPLE_RATE
from tests.support.sound import synthesis

UNTRIMMED = AudioConfig(trim_db=None, highpass_hz=None)
CONFIG = FeatureConfig(audio=UNTRIMMED)


def recordings(saa: Path) -> list[Path]:
    """One utterance of each of seven speakers."""
    return sorted(saa.glob("*/wav/*.wav"))[1::17]


def delivery_of(speech: Speech, config: FeatureConfig) -> dict[str, float]:
    f0_T = track_pitch(speech.unfiltered_N, config).f0_T[speech.kept]
    return delivery(f0_T, smooth_intensity(speech.unfiltered_N)[speech.kept], config)


def voice_report_of(speech: Speech, config: FeatureConfig) -> dict[str, float]:
    return voice_report(speech, track_pitch(speech.unfiltered_N, config), config)


def measured_delivery(samples_N: np.ndarray) -> dict[str, float]:
    return delivery_of(prepare_speech(samples_N, SAMPLE_RATE, UNTRIMMED), CONFIG)


# The table


def test_columns_are_unique_and_all_have_a_value(saa: Path) -> None:
    path = recordings(saa)[0]
    config = FeatureConfig()
    speech = load_speech(path, config.audio)
    intervals = read_alignment(path.parents[1] / "textgrid" / f"{path.stem}.TextGrid").intervals
    assert len(set(UTTERANCE_COLUMNS)) == len(UTTERANCE_COLUMNS)
    for features in (extract(speech, config, intervals), extract(speech, config)):
        assert tuple(features.utterance) == UTTERANCE_COLUMNS
        assert all(type(value) is float for value in features.utterance.values())
        assert not any(np.isinf(value) for value in features.utterance.values())


def test_alignment_changes_only_what_needs_phones(saa: Path) -> None:
    path = recordings(saa)[1]
    config = FeatureConfig()
    speech = load_speech(path, config.audio)
    aligned = extract(speech, config, read_alignment(path.parents[1] / "textgrid" / f"{path.stem}.TextGrid").intervals)
    unaligned = extract(speech, config)
    for column in UTTERANCE_COLUMNS:
        if column in ALIGNMENT_COLUMNS:
            assert np.isnan(unaligned.utterance[column])
        else:
            np.testing.assert_equal(unaligned.utterance[column], aligned.utterance[column])
    assert np.isfinite(
        [aligned.utterance[column] for column in ("percent_v", "npvi_v", "vowel_space_area_lobanov")]
    ).all()


def test_values_of_real_speech_are_those_of_speech(saa: Path) -> None:
    config = FeatureConfig()
    for path in recordings(saa):
        intervals = read_alignment(path.parents[1] / "textgrid" / f"{path.stem}.TextGrid").intervals
        values = extract(load_speech(path, config.audio), config, intervals).utterance
        assert 70 < values["f0_median_hz"] < 300
        assert 1 < values["f0_range_semitones"] < 40
        assert 0.25 < values["voiced_share"] < 0.9
        assert 0.5 < values["speech_share"] <= 1
        assert 1.5 < values["syllables_per_second"] < 7
        assert 6 < values["phones_per_second"] < 20
        assert 20 < values["percent_v"] < 60
        assert 20 < values["npvi_v"] < 100
        assert 0.5 < values["vowel_space_area_lobanov"] < 10
        assert 2500 < values["s_centre_of_gravity_hz"] < 7500
        assert 2 < values["cpps_db"] < 20


# Voice report


def test_voice_report_is_praats_own_over_the_kept_region(saa: Path) -> None:
    config = FeatureConfig()
    for path in recordings(saa):
        speech = load_speech(path, config.audio)
        pitch = track_pitch(speech.unfiltered_N, config)
        kept_T = pitch.times_T[speech.kept]
        text = call(
            [pitch.sound, pitch.pitch, glottal_pulses(pitch)],
            "Voice report",
            *(kept_T[0], kept_T[-1], 75, 600, 1.3, 1.6, 0.03, 0.45),
        )
        measured = voice_report(speech, pitch, config)
        for family in ("Jitter", "Shimmer"):
            for measure, percent in re.findall(rf"{family} \((local|rap|ppq5|apq3|apq5)\): ([\d.]+)%", text):
                assert measured[f"{family.lower()}_{measure}"] == pytest.approx(float(percent) / 100, abs=6e-6)
        assert len(re.findall(r"\((?:local|rap|ppq5|apq3|apq5)\): [\d.]+%", text)) == 6
        printed = re.search(r"Mean harmonics-to-noise ratio: ([-\d.]+) dB", text)
        assert printed is not None
        assert measured["hnr_mean_db"] == pytest.approx(float(printed[1]), abs=6e-4)


def test_frame_harmonicity_agrees_with_the_voice_report_on_the_whole(saa: Path) -> None:
    config = FeatureConfig()
    differences = []
    for path in recordings(saa):
        speech = load_speech(path, config.audio)
        pitch = track_pitch(speech.unfiltered_N, config)
        voiced_T = np.isfinite(pitch.f0_T[speech.kept])
        frame_mean = np.nanmean(harmonicity(speech.unfiltered_N, config)[speech.kept][voiced_T])
        differences.append(frame_mean - voice_report(speech, pitch, config)["hnr_mean_db"])
    # Two windows, 120 and 40 ms: the longer one sees more of the changing voice.
    assert np.max(np.abs(differences)) < 1.5
    assert abs(np.mean(differences)) < 0.75


def test_voice_report_of_known_pulses_is_recovered() -> None:
    times_P = synthesis.alternating_pulse_times(1 / 120, 0.02, 1.0)
    sound_N = synthesis.pulses(times_P, synthesis.alternating_amplitudes(len(times_P), 0.1), 1.0)
    speech = prepare_speech(sound_N, SAMPLE_RATE, UNTRIMMED)
    measured = voice_report(speech, track_pitch(sound_N, CONFIG), CONFIG)
    assert measured["jitter_local"] == pytest.approx(0.02, abs=2e-4)
    assert measured["shimmer_local"] == pytest.approx(0.1, abs=2e-3)
    # Alternating periods differ from the mean of three by 2/3 of the step, and from the mean of five by 3/5 or 2/5.
    assert measured["jitter_rap"] == pytest.approx(0.02 * 2 / 3, abs=2e-4)
    assert measured["shimmer_apq3"] == pytest.approx(0.1 * 2 / 3, abs=2e-3)
    assert measured["jitter_ppq5"] == pytest.approx(0.02 * 2 / 5, abs=2e-4)
    assert measured["shimmer_apq5"] == pytest.approx(0.1 * 2 / 5, abs=2e-3)


def test_unvoiced_sound_has_no_voice_report() -> None:
    speech = prepare_speech(synthesis.noise(1.0) * 0.1, SAMPLE_RATE, UNTRIMMED)
    pitch = track_pitch(speech.unfiltered_N, CONFIG)
    assert not np.isfinite(pitch.f0_T).any()
    measured = voice_report(speech, pitch, CONFIG)
    assert {column for column, value in measured.items() if np.isfinite(value)} == {"cpps_db"}
    spoken = delivery_of(speech, CONFIG)
    assert spoken["voiced_share"] == 0
    assert spoken["syllables_per_second"] == 0
    assert np.isnan(spoken["f0_median_hz"])
    assert np.isnan(spoken["f0_range_semitones"])


def test_smoothed_cepstral_peak_grows_with_the_harmonics_to_noise_ratio() -> None:
    cpps = [
        smoothed_cepstral_peak(
            prepare_speech(0.1 * synthesis.harmonics_plus_noise(120, hnr_db, 1.0), SAMPLE_RATE, UNTRIMMED), CONFIG
        )
        for hnr_db in (-10.0, 0.0, 10.0, 20.0)
    ]
    assert np.all(np.diff(cpps) > 1)


# Delivery


@pytest.mark.parametrize("n_values", [1, 2, 7, 401])
def test_quantiles_are_numpys(n_values: int) -> None:
    values, shares = np.random.default_rng(n_values).normal(0, 1, n_values), (0.0, 0.05, 0.5, 0.95, 0.99, 1.0)
    np.testing.assert_allclose(quantiles(values, shares), np.quantile(values, shares), rtol=1e-12)
    values[n_values // 2] = np.nan
    assert np.isnan(quantiles(values, shares)).all()


def test_median_and_range_of_a_known_glide() -> None:
    # F0 rises by 12 semitones at a steady rate; from the 5th to the 95th percentile it rises by 90 % of them.
    clock_N = np.arange(2 * SAMPLE_RATE) / SAMPLE_RATE
    phase_N = 2 * np.pi * np.cumsum(110 * 2 ** (clock_N / 2)) / SAMPLE_RATE
    glide_N = 0.1 * np.sum([np.cos(number * phase_N) / number for number in range(1, 12)], axis=0)
    measured = measured_delivery(glide_N)
    assert measured["duration_seconds"] == pytest.approx(2.01)
    assert measured["voiced_share"] > 0.97
    assert measured["f0_median_hz"] == pytest.approx(110 * np.sqrt(2), rel=0.01)
    assert measured["f0_range_semitones"] == pytest.approx(0.9 * 12, abs=0.3)


def test_pauses_are_counted_between_stretches_of_speech_only() -> None:
    speech_N = synthesis.vowel(120, (500, 1500, 2500), 0.6)
    gap_N = 1e-4 * np.random.default_rng(0).standard_normal(SAMPLE_RATE)
    parts = [
        gap_N[:8000],
        speech_N,
        gap_N[:8000],
        speech_N,
        gap_N[:12800],
        speech_N,
        gap_N[:1600],
        speech_N,
        gap_N[:8000],
    ]
    measured = measured_delivery(np.concatenate(parts))
    # 0.5 and 0.8 s are pauses, 0.1 s is not; half a second of silence at either edge is no pause but no speech either.
    assert measured["pause_count"] == 2
    # The 128 ms window of the intensity eats into pauses from both sides.
    assert measured["pause_mean_seconds"] == pytest.approx(0.65, abs=0.1)
    assert measured["speech_share"] == pytest.approx(2.5 / 4.8, abs=0.08)


@pytest.mark.parametrize("syllables_per_second", [2, 4, 6])
def test_syllable_rate_counts_the_swells_of_a_voice(syllables_per_second: int) -> None:
    clock_N = np.arange(3 * SAMPLE_RATE) / SAMPLE_RATE
    swell_N = 0.55 - 0.45 * np.cos(2 * np.pi * syllables_per_second * clock_N)
    measured = measured_delivery(swell_N * synthesis.vowel(120, (500, 1500, 2500), 3.0))
    assert measured["syllables_per_second"] == pytest.approx(syllables_per_second, rel=0.02)


def test_nuclei_are_parted_by_dips_and_of_close_peaks_the_highest_counts() -> None:
    intensity_T = np.array([50.0, 60, 59, 61, 59.5, 57, 66, 64.5, 66, 40, 45, 30, 63])
    everywhere = np.ones(len(intensity_T), dtype=bool)
    # 60 and 61 have no dip of 2 dB between them; neither have the two of 66; 45 is too quiet; 63 ends the sound.
    assert syllable_nuclei(intensity_T, everywhere, 50.0, 2.0).tolist() == [3, 6, 12]
    voiceless = everywhere.copy()
    voiceless[6] = False
    assert syllable_nuclei(intensity_T, voiceless, 50.0, 2.0).tolist() == [3, 12]


def test_a_steady_voice_is_one_nucleus() -> None:
    measured = measured_delivery(synthesis.vowel(120, (500, 1500, 2500), 1.0))
    assert measured["syllables_per_second"] * measured["duration_seconds"] == pytest.approx(1.0)


def test_swells_of_noise_are_no_syllables() -> None:
    clock_N = np.arange(3 * SAMPLE_RATE) / SAMPLE_RATE
    swell_N = 0.55 - 0.45 * np.cos(2 * np.pi * 4 * clock_N)
    assert measured_delivery(0.1 * swell_N * synthesis.noise(3.0))["syllables_per_second"] < 0.5


def test_trimming_leaves_the_kept_region_to_be_measured() -> None:
    speech_N = synthesis.vowel(120, (500, 1500, 2500), 1.0)
    silent_N = np.zeros(SAMPLE_RATE)
    config = FeatureConfig()
    alone = prepare_speech(speech_N, SAMPLE_RATE, AudioConfig(trim_margin_seconds=0.0))
    inside = prepare_speech(
        np.concatenate([silent_N, speech_N, silent_N]), SAMPLE_RATE, AudioConfig(trim_margin_seconds=0.0)
    )
    for measure in (delivery_of, voice_report_of):
        expected, measured = measure(alone, config), measure(inside, config)
        for column in ("duration_seconds", "f0_median_hz", "speech_share", "hnr_mean_db", "cpps_db"):
            if column in expected:
                assert measured[column] == pytest.approx(expected[column], rel=0.1), column


# Vowels


def vowels_in_a_square(scale: tuple[float, float]) -> tuple[np.ndarray, np.ndarray, list[Interval]]:
    corners = {"IY": (300, 1000), "AA": (700, 1000), "AE": (700, 2000), "UW": (300, 2000)}
    f1_T, f2_T = np.full(40, np.nan), np.full(40, np.nan)
    intervals: list[Interval] = []
    for position, (label, (f1, f2)) in enumerate(corners.items()):
        f1_T[10 * position : 10 * position + 10] = f1 * scale[0]
        f2_T[10 * position : 10 * position + 10] = f2 * scale[1]
        intervals.append((1 + 0.1 * position, 1 + 0.1 * position + 0.1, label))
    return f1_T, f2_T, intervals


@pytest.mark.parametrize("scale", [(1.0, 1.0), (1.2, 1.2), (0.8, 1.5)])
def test_vowel_space_of_a_square_is_four_whatever_the_speakers_scale(scale: tuple[float, float]) -> None:
    # After z-scoring, the corners lie at (+-1, +-1).
    f1_T, f2_T, intervals = vowels_in_a_square(scale)
    assert vowel_space(f1_T, f2_T, 100, intervals)["vowel_space_area_lobanov"] == pytest.approx(4.0)


def test_vowel_space_reads_the_middle_of_the_vowel_on_the_recordings_grid() -> None:
    f1_T, f2_T, intervals = vowels_in_a_square((1.0, 1.0))
    f1_T[0:2] = 5000  # the first quarter of the first vowel
    f1_T[8:10] = np.nan
    assert vowel_space(f1_T, f2_T, 100, intervals)["vowel_space_area_lobanov"] == pytest.approx(4.0)
    shifted = vowel_space(f1_T, f2_T, 95, intervals)["vowel_space_area_lobanov"]
    assert shifted != pytest.approx(4.0)


def test_vowel_space_is_undefined_with_two_categories() -> None:
    f1_T, f2_T, intervals = vowels_in_a_square((1.0, 1.0))
    assert np.isnan(vowel_space(f1_T, f2_T, 100, intervals[:2] * 3)["vowel_space_area_lobanov"])
    assert np.isnan(vowel_space(np.full(40, np.nan), f2_T, 100, intervals)["vowel_space_area_lobanov"])


def test_diphthongs_and_consonants_are_no_corners_of_the_vowel_space() -> None:
    f1_T, f2_T, intervals = vowels_in_a_square((1.0, 1.0))
    relabelled = [(start, end, "AY" if label == "IY" else label) for start, end, label in intervals]
    others = [(start, end, "M") for start, end, _ in intervals]
    assert vowel_space(f1_T, f2_T, 100, relabelled + others)["vowel_space_area_lobanov"] != pytest.approx(4.0)
    assert vowel_space(f1_T, f2_T, 100, intervals + others)["vowel_space_area_lobanov"] == pytest.approx(4.0)


def test_points_on_one_line_span_no_area() -> None:
    assert hull_area([(0.0, 0.0), (1.0, 1.0), (2.0, 2.0)]) == 0
    assert hull_area([(1.0, 0.0), (1.0, 2.0), (1.0, 1.0)]) == 0
    assert hull_area([(0.0, 0.0), (1.0, 0.0), (0.0, 1.0), (0.2, 0.2)]) == pytest.approx(0.5)


@pytest.mark.parametrize("n_points", [3, 4, 9, 50])
def test_area_of_the_hull_is_qhulls(n_points: int) -> None:
    for seed in range(20):
        generator = np.random.default_rng(seed)
        for points in (generator.normal(0, 1, (n_points, 2)), generator.integers(0, 4, (n_points, 2)) * 1.0):
            try:
                # SciPy calls the measure of the inside "volume"; in the plane that is the area.
                expected = ConvexHull(points).volume
            except QhullError:
                expected = 0.0
            assert hull_area([(x, y) for x, y in points.tolist()]) == pytest.approx(expected, abs=1e-12)


# Fricatives


def band_of_noise(low_hz: float, high_hz: float, seconds: float = 0.5) -> np.ndarray:
    noise_N = synthesis.noise(seconds, seed=7)
    spectrum = np.fft.rfft(noise_N)
    hertz = np.fft.rfftfreq(len(noise_N), 1 / SAMPLE_RATE)
    spectrum[(hertz < low_hz) | (hertz > high_hz)] = 0
    return np.fft.irfft(spectrum, len(noise_N))


def test_moments_are_those_of_praats_spectrum() -> None:
    sound_N = synthesis.noise(0.1, db_per_octave=-3.0, seed=4)
    weighted = parselmouth.Sound((sound_N - sound_N.mean()) * get_window("hann", len(sound_N)), SAMPLE_RATE)
    spectrum = weighted.to_spectrum(fast=False)
    expected = [
        spectrum.get_centre_of_gravity(2),
        spectrum.get_standard_deviation(2),
        spectrum.get_skewness(2),
        spectrum.get_kurtosis(2),
    ]
    np.testing.assert_allclose(spectral_moments(sound_N, 0.0), expected, rtol=1e-4)


def test_moments_of_a_band_of_noise_are_those_of_a_uniform_distribution() -> None:
    centre, spread, skewness, kurtosis = spectral_moments(band_of_noise(3000, 7000, seconds=4.0), 300.0)
    assert centre == pytest.approx(5000, abs=50)
    assert spread == pytest.approx(4000 / np.sqrt(12), rel=0.03)
    assert skewness == pytest.approx(0, abs=0.1)
    assert kurtosis == pytest.approx(-1.2, abs=0.1)


def test_voicing_below_the_limit_does_not_move_the_moments() -> None:
    frication_N = band_of_noise(3000, 7000)
    voiced_N = frication_N + 10 * synthesis.harmonics_at_levels(120, [0.0], 0.5)
    np.testing.assert_allclose(
        spectral_moments(voiced_N, 300.0), spectral_moments(frication_N, 300.0), rtol=0.02, atol=0.02
    )


def test_each_fricative_is_averaged_over_the_middles_of_its_occurrences() -> None:
    low_N, high_N = band_of_noise(1000, 3000, 0.2), band_of_noise(5000, 7000, 0.2)
    click_N = np.zeros(1600)
    click_N[10] = 100.0  # in the first quarter of its phone, outside the middle
    recording_N = np.concatenate([low_N, click_N, high_N, np.zeros(1600)])
    intervals = [
        (0.0, 0.2, "S"),
        (0.2, 0.3, "SH"),
        (0.3, 0.5, "S"),
        (0.0, 0.2, "Z"),
        (0.5, 0.505, "F"),
        (0.0, 0.2, "AA"),
    ]
    measured = fricative_moments(recording_N, intervals, 300.0)
    assert tuple(measured) == FRICATIVE_COLUMNS
    assert measured["z_centre_of_gravity_hz"] == pytest.approx(2000, abs=120)
    assert measured["s_centre_of_gravity_hz"] == pytest.approx(4000, abs=120)
    # SH: digital silence in the middle; F: too short; the others do not occur.
    defined = {column.split("_")[0] for column, value in measured.items() if np.isfinite(value)}
    assert defined == {"s", "z"}
