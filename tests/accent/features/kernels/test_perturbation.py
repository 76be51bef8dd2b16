"""Jitter and shimmer: agreement with Praat given its pulses and end to end, and pulse trains of known jitter.

Shape legend: N samples at 16 kHz, T frames of 10 ms, P glottal pulses.
"""

import dataclasses
from pathlib import Path
from typing import NamedTuple

import numpy as np
import parselmouth
import pytest
from parselmouth.praat import call

from accent.audio.prepare import Speech, load_speech
from accent.features.config import FeatureConfig
from accent.features.definitions import LONGEST_PERIOD, SHORTEST_PERIOD
from accent.features.kernels import pitch as our_pitch
from accent.features.kernels.perturbation import jitter_and_shimmer, voice_perturbation
from accent.features.kernels.pulses import frame_seconds, glottal_pulses
from accent.features.reference import pulses as reference
from accent.features.reference.pitch import PitchTrack, track_pitch
from accent.features.reference.voice_report import JITTERS, SHIMMERS
from accent.grid import FRAMES_PER_SECOND, HOP, SAMPLE_RATE
from tests.support.sound import synthesis

CONFIG = FeatureConfig()
INSIDE = slice(20, -20)
"""Frames whose windows see no end of a synthetic signal."""
SHIFT = 37
"""Zero samples before a recording that move Praat's own answers: samples fall differently into its windows."""
EVERY = 3
"""Praat's frames cost 12 ms a second of sound: one in so many is asked for, in every recording."""


class Measured(NamedTuple):
    """One recording, and what Praat says of it."""

    speech: Speech
    pitch: PitchTrack
    times_P: np.ndarray
    """Praat's pulses in seconds of the recording."""
    frames: tuple[np.ndarray, np.ndarray]
    """Jitter and shimmer of every third frame."""


@pytest.fixture(scope="module")
def measured(saa: Path) -> list[Measured]:
    """All 120 recordings."""
    everything = []
    for path in sorted(saa.glob("*/wav/*.wav")):
        speech = load_speech(path, CONFIG.audio)
        pitch = track_pitch(speech.unfiltered_N, CONFIG)
        some_frames = dataclasses.replace(pitch, times_T=pitch.times_T[::EVERY])
        praats = reference.jitter_and_shimmer(some_frames, CONFIG)
        everything.append(Measured(speech, pitch, seconds_of_recording(pitch), praats))
    return everything


def seconds_of_recording(pitch: PitchTrack) -> np.ndarray:
    """Praat's pulses [P], sample 0 at time 0."""
    return reference.pulse_times(reference.glottal_pulses(pitch)) - (pitch.times_T[0] - frame_seconds(np.zeros(1))[0])


def relative_errors(found: np.ndarray, expected: np.ndarray) -> np.ndarray:
    both = np.isfinite(found) & np.isfinite(expected)
    return np.abs(found[both] / expected[both] - 1)


def quantiles(errors: np.ndarray) -> np.ndarray:
    return np.quantile(errors, [0.5, 0.9, 0.99, 1.0])


def table(name: str, errors: np.ndarray, unequally_undefined: int) -> None:
    p50, p90, p99, largest = 100 * quantiles(errors)
    print(
        f"{name:34s} {len(errors):6d} values, error in %: p50 {p50:.2g}  p90 {p90:.2g}  p99 {p99:.2g}  "
        f"max {largest:.2g}; undefined in one only {unequally_undefined}"
    )


# Agreement


def test_frames_are_praats_given_its_pulses(measured: list[Measured]) -> None:
    print()
    for number, name in enumerate(("jitter", "shimmer")):
        errors, unequal = [], 0
        for recording in measured:
            sound_N, n_frames = recording.speech.unfiltered_N, recording.speech.total_frames
            found_T = jitter_and_shimmer(sound_N, recording.times_P, n_frames, CONFIG)[number][::EVERY]
            expected_T = recording.frames[number]
            errors.append(relative_errors(found_T, expected_T))
            unequal += int(np.sum(np.isnan(found_T) != np.isnan(expected_T)))
        table(f"{name} of frames, Praat's pulses", np.concatenate(errors), unequal)
        assert len(np.concatenate(errors)) > 10_000
        assert np.concatenate(errors).max() < 1e-8
        assert unequal == 0


def test_report_is_praats_given_its_pulses(measured: list[Measured]) -> None:
    limits = (SHORTEST_PERIOD / 600, LONGEST_PERIOD / 75, CONFIG.max_period_factor)
    errors: dict[str, list[np.ndarray]] = {}
    unequal = 0
    for recording in measured[::3]:
        pulses, kept = reference.glottal_pulses(recording.pitch), recording.speech.kept
        region = recording.pitch.times_T[kept][[0, -1]]
        praats = {f"jitter_{one}": call(pulses, f"Get jitter ({one})", *region, *limits) for one in JITTERS}
        for one in SHIMMERS:
            praats[f"shimmer_{one}"] = call(
                [recording.pitch.sound, pulses], f"Get shimmer ({one})", *region, *limits, CONFIG.max_amplitude_factor
            )
        from_seconds, to_seconds = kept.start / FRAMES_PER_SECOND, (kept.stop - 1) / FRAMES_PER_SECOND
        found = voice_perturbation(recording.speech.unfiltered_N, recording.times_P, from_seconds, to_seconds, CONFIG)
        assert list(found) == list(praats)
        for one, expected in praats.items():
            unequal += np.isnan(found[one]) != np.isnan(expected)
            errors.setdefault(one, []).append(relative_errors(np.array([found[one]]), np.array([expected])))
    print()
    for one, parts in errors.items():
        table(f"{one} of reports", np.concatenate(parts), unequal)
        assert len(np.concatenate(parts)) >= 38
        assert np.concatenate(parts).max() < 1e-8
    assert unequal == 0


def test_end_to_end_is_nearer_to_praat_than_praat_to_itself_after_37_zeros(measured: list[Measured]) -> None:
    ours: tuple[list[np.ndarray], list[np.ndarray]] = ([], [])
    praats: tuple[list[np.ndarray], list[np.ndarray]] = ([], [])
    ours_unequal, praats_unequal = [0, 0], [0, 0]
    for recording in measured:
        sound_N = recording.speech.unfiltered_N
        f0_T = our_pitch.track_pitch(sound_N, CONFIG).f0_T
        found = jitter_and_shimmer(sound_N, glottal_pulses(sound_N, f0_T), len(f0_T), CONFIG)
        shifted = track_pitch(np.concatenate([np.zeros(SHIFT), sound_N]), CONFIG)
        same_instants = recording.pitch.times_T[::EVERY] + SHIFT / SAMPLE_RATE
        again = reference.jitter_and_shimmer(dataclasses.replace(shifted, times_T=same_instants), CONFIG)
        for number, expected_T in enumerate(recording.frames):
            ours[number].append(relative_errors(found[number][::EVERY], expected_T))
            ours_unequal[number] += int(np.sum(np.isnan(found[number][::EVERY]) != np.isnan(expected_T)))
            praats[number].append(relative_errors(again[number], expected_T))
            praats_unequal[number] += int(np.sum(np.isnan(again[number]) != np.isnan(expected_T)))
    print()
    for number, name in enumerate(("jitter", "shimmer")):
        ours_errors, praats_errors = np.concatenate(ours[number]), np.concatenate(praats[number])
        table(f"{name} of frames, end to end", ours_errors, ours_unequal[number])
        table(f"{name}, Praat after {SHIFT} zeros", praats_errors, praats_unequal[number])
        assert np.all(quantiles(ours_errors)[:3] <= quantiles(praats_errors)[:3])
        assert ours_unequal[number] <= praats_unequal[number]


def random_pulses(rng: np.random.Generator) -> np.ndarray:
    """Pulses [P] whose period drifts, jumps and breaks off, so that every limit is met."""
    n_periods = int(rng.integers(3, 60))
    jumps = np.where(rng.random(n_periods) < 0.3, np.where(rng.random(n_periods) < 0.5, 1.38, 1 / 1.38), 1.0)
    periods = 0.008 * np.clip(np.cumprod(jumps), 0.5, 1.6) * (1 + 0.03 * rng.standard_normal(n_periods))
    periods[rng.random(n_periods) < 0.05] *= rng.uniform(1.5, 6)
    return 0.05 + np.cumsum(periods)


@pytest.mark.parametrize("seed", range(40))
def test_every_measure_of_random_pulses_in_random_regions_is_praats(seed: int) -> None:
    rng = np.random.default_rng(seed)
    times_P = random_pulses(rng)
    sound_N = rng.standard_normal(round((times_P[-1] + 0.05) * SAMPLE_RATE))
    sound_N *= 1 + 0.6 * np.sin(np.arange(len(sound_N)) / 300)
    silent = rng.integers(0, len(sound_N))
    sound_N[silent : silent + 400] = 0
    config = FeatureConfig(max_amplitude_factor=(1.6, 1.2)[seed % 2], pitch_floor_hz=(75.0, 90.0)[seed % 3 == 0])
    limits = (SHORTEST_PERIOD / 600, LONGEST_PERIOD / config.pitch_floor_hz, config.max_period_factor)
    region = np.sort(rng.uniform(0, times_P[-1] + 0.03, 2)) if seed % 5 else np.zeros(2)

    # Praat's sample 0 lies half a sample after its time 0.
    points = call("Create empty PointProcess", "pulses", 0, (len(sound_N) + 1) / SAMPLE_RATE)
    for seconds in times_P:
        call(points, "Add point", seconds + 0.5 / SAMPLE_RATE)
    found = voice_perturbation(sound_N, times_P, float(region[0]), float(region[1]), config)
    # The pitch analysis centres its frames half a sample early, in Praat's own seconds exactly on the grid.
    for one in JITTERS:
        expected = call(points, f"Get jitter ({one})", *region, *limits)
        np.testing.assert_allclose(found[f"jitter_{one}"], expected, rtol=1e-8)
    for one in SHIMMERS:
        sound = parselmouth.Sound(sound_N, SAMPLE_RATE)
        expected = call([sound, points], f"Get shimmer ({one})", *region, *limits, config.max_amplitude_factor)
        np.testing.assert_allclose(found[f"shimmer_{one}"], expected, rtol=1e-8)


# Known answers


@pytest.mark.parametrize("jitter", [0.0, 0.005, 0.01, 0.03])
@pytest.mark.parametrize("shimmer", [0.0, 0.05, 0.2])
def test_jitter_and_shimmer_of_known_pulses_are_recovered(jitter: float, shimmer: float) -> None:
    times_P = synthesis.alternating_pulse_times(1 / 120, jitter, 1.0)
    sound_N = synthesis.pulses(times_P, synthesis.alternating_amplitudes(len(times_P), shimmer), 1.0)
    found_P = glottal_pulses(sound_N, our_pitch.track_pitch(sound_N, CONFIG).f0_T)
    jitter_T, shimmer_T = jitter_and_shimmer(sound_N, found_P, 101, CONFIG)
    np.testing.assert_allclose(jitter_T[INSIDE], jitter, atol=1e-4)
    np.testing.assert_allclose(shimmer_T[INSIDE], shimmer, atol=2e-3)
    report = voice_perturbation(sound_N, found_P, 0.1, 0.9, CONFIG)
    # Of three alternating values the middle one is 2/3 of their difference away from the mean; of five, 3/5 or 2/5.
    assert report["jitter_local"] == pytest.approx(jitter, abs=1e-4)
    assert report["jitter_rap"] == pytest.approx(jitter * 2 / 3, abs=1e-4)
    assert report["jitter_ppq5"] == pytest.approx(jitter * 2 / 5, abs=1e-4)
    assert report["shimmer_local"] == pytest.approx(shimmer, abs=2e-3)
    assert report["shimmer_apq3"] == pytest.approx(shimmer * 2 / 3, abs=2e-3)
    assert report["shimmer_apq5"] == pytest.approx(shimmer * 2 / 5, abs=2e-3)


def test_fewer_than_five_periods_leave_jitter_and_shimmer_undefined() -> None:
    times_P = synthesis.alternating_pulse_times(1 / 120, 0.01, 1.0)
    sound_N = synthesis.pulses(times_P, np.ones(len(times_P)), 1.0)
    # 40 ms hold at most five pulses of 120 Hz, that is four periods; 60 ms hold at least six periods.
    for half_window, defined in ((0.02, False), (0.03, True)):
        config = FeatureConfig(jitter_window_seconds=half_window)
        for found_T in jitter_and_shimmer(sound_N, times_P, 101, config):
            np.testing.assert_array_equal(np.isfinite(found_T[INSIDE]), defined)


def test_steady_pulses_of_a_steady_tone_have_no_perturbation() -> None:
    sound_N = np.cos(2 * np.pi * 100 * np.arange(SAMPLE_RATE) / SAMPLE_RATE)
    times_P = 0.01 * np.arange(1, 99)
    for found_T in jitter_and_shimmer(sound_N, times_P, 101, CONFIG):
        np.testing.assert_allclose(found_T, 0, atol=1e-9)
    np.testing.assert_allclose(list(voice_perturbation(sound_N, times_P, 0.0, 1.0, CONFIG).values()), 0, atol=1e-9)


def test_a_frame_reads_the_pulses_of_its_window_only() -> None:
    rng = np.random.default_rng(4)
    times_P = np.cumsum(0.008 * (1 + 0.05 * rng.standard_normal(200)))
    sound_N = rng.standard_normal(round(times_P[-1] * SAMPLE_RATE))
    n_frames = len(sound_N) // HOP + 1
    whole = jitter_and_shimmer(sound_N, times_P, n_frames, CONFIG)
    # A window keeps one period of margin, because an interval looks at its neighbours, and an amplitude too.
    near = times_P[np.abs(times_P - 0.8) < 0.17]
    part = jitter_and_shimmer(sound_N, near, n_frames, CONFIG)
    for whole_T, part_T in zip(whole, part, strict=True):
        assert part_T[80] == pytest.approx(whole_T[80], rel=1e-12)
        assert not np.isclose(whole_T[40], whole_T[80])


@pytest.mark.parametrize("n_pulses", [0, 1, 2, 3])
def test_too_few_pulses_have_no_perturbation(n_pulses: int) -> None:
    sound_N, times_P = np.ones(1600), 0.01 * np.arange(1, n_pulses + 1)
    for found_T in jitter_and_shimmer(sound_N, times_P, 11, CONFIG):
        assert found_T.shape == (11,)
        assert np.isnan(found_T).all()
    report = voice_perturbation(sound_N, times_P, 0.0, 0.1, CONFIG)
    assert np.isnan(report["shimmer_local"])
    assert np.isnan(report["jitter_local"]) == (n_pulses < 3)


def test_pulses_outside_the_sound_and_in_silence_have_no_amplitude() -> None:
    sound_N = np.zeros(SAMPLE_RATE)
    times_P = 0.01 * np.arange(-3, 104)
    jitter_T, shimmer_T = jitter_and_shimmer(sound_N, times_P, 101, CONFIG)
    np.testing.assert_allclose(jitter_T, 0, atol=1e-9)
    assert np.isnan(shimmer_T).all()


def test_two_minutes_of_pulses_are_measured() -> None:
    times_P = np.arange(0.001, 120, 1 / 600)
    sound_N = np.random.default_rng(5).standard_normal(120 * SAMPLE_RATE)
    for found_T in jitter_and_shimmer(sound_N, times_P, 12_001, CONFIG):
        assert np.isfinite(found_T).all()
