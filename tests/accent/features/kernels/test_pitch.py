"""Pitch and voicing strength: agreement with Praat, signals of a known F0, the path by exhaustion, hard recordings."""

import itertools
from pathlib import Path

import numpy as np
import pytest

from accent.audio.prepare import AudioConfig, load_speech
from accent.features.config import FeatureConfig
from accent.features.kernels import pitch as kernels
from accent.features.kernels.pitch_path import best_path, candidate_strengths
from accent.features.reference import pitch as reference
from tests.support.sound.synthesis import RATE, alternating_pulse_times, harmonics, harmonics_plus_noise, noise, pulses

CONFIG = FeatureConfig()
INNER = slice(10, -10)


@pytest.fixture(scope="module")
def recordings(saa: Path) -> list[np.ndarray]:
    return [load_speech(path, AudioConfig()).unfiltered_N for path in sorted(saa.glob("*/wav/*.wav"))[::5]]


class Agreement:
    """How far the kernels' pitch is from Praat's, over some recordings."""

    def __init__(self, recordings: list[np.ndarray], config: FeatureConfig) -> None:
        same, f0, strength, correlation = [], [], [], []
        for samples in recordings:
            found, expected = kernels.track_pitch(samples, config), reference.track_pitch(samples, config)
            assert len(found.f0_T) == len(expected.f0_T)
            voiced = np.isfinite(expected.f0_T)
            same.append(np.isfinite(found.f0_T) == voiced)
            f0.append(np.abs(found.f0_T - expected.f0_T)[voiced & np.isfinite(found.f0_T)])
            np.testing.assert_array_equal(np.isnan(found.strength_T), np.isnan(expected.strength_T))
            strength.append(np.abs(found.strength_T - expected.strength_T)[np.isfinite(expected.strength_T)])
            both_chosen = voiced & (np.abs(found.f0_T - expected.f0_T) < 0.2)
            chosen = expected.pitch.selected_array["strength"]
            correlation.append(np.abs(found.correlation_T - chosen)[both_chosen])
            np.testing.assert_array_equal(found.correlation_T[np.isnan(found.f0_T)], 0)
        self.same_voicing, self.f0 = np.concatenate(same), np.concatenate(f0)
        self.strength, self.correlation = np.concatenate(strength), np.concatenate(correlation)

    def table(self) -> str:
        lines = [f"voicing equal    {100 * self.same_voicing.mean():.3f} % of {len(self.same_voicing)} frames"]
        lines += [f"F0 within 0.2 Hz {100 * (self.f0 <= 0.2).mean():.3f} % of {len(self.f0)} voiced frames"]
        for name, values in (("F0", self.f0), ("strength", self.strength), ("correlation", self.correlation)):
            middle, high = np.quantile(values, [0.5, 0.99])
            lines.append(f"{name:16s} p50 {middle:.1e}  p99 {high:.1e}  largest {values.max():.1e}")
        return "\n".join(lines)


def test_pitch_of_real_speech_is_praats(recordings: list[np.ndarray]) -> None:
    agreement = Agreement(recordings, CONFIG)
    print(f"\n{len(recordings)} files\n{agreement.table()}")
    assert agreement.same_voicing.mean() >= 0.9998
    assert (agreement.f0 <= 0.2).mean() >= 0.9995
    assert np.quantile(agreement.strength, 0.99) < 1e-5
    assert np.quantile(agreement.correlation, 0.99) < 1e-5


@pytest.mark.parametrize(
    "config",
    [
        FeatureConfig(two_pass_pitch=True),
        FeatureConfig(pitch_floor_hz=40.0, pitch_ceiling_hz=300.0),
        FeatureConfig(pitch_floor_hz=63.7, pitch_ceiling_hz=512.3),
        FeatureConfig(pitch_floor_hz=150.0, pitch_ceiling_hz=333.0),
        FeatureConfig(pitch_floor_hz=317.0, pitch_ceiling_hz=1000.0),
        FeatureConfig(pitch_silence_threshold=0.0, pitch_voicing_threshold=0.1),
        FeatureConfig(pitch_silence_threshold=0.3, pitch_octave_cost=0.2),
        FeatureConfig(pitch_octave_jump_cost=0.0, pitch_voiced_unvoiced_cost=0.5),
    ],
    ids=lambda config: f"{config.pitch_floor_hz:g}-{config.pitch_ceiling_hz:g}",
)
def test_pitch_is_praats_for_any_floor_ceiling_threshold_and_cost(
    recordings: list[np.ndarray], config: FeatureConfig
) -> None:
    agreement = Agreement(recordings[::8], config)
    assert agreement.same_voicing.mean() >= 0.998
    assert (agreement.f0 <= 0.2).mean() >= 0.995
    assert np.quantile(agreement.strength, 0.99) < 1e-4


def hard_recordings() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    clock = np.arange(RATE) / RATE
    click = np.zeros(RATE)
    click[8000] = 1
    voice = harmonics(131, 0.5, -6)
    return {
        **{f"{n_samples} samples": rng.standard_normal(n_samples) for n_samples in (1, 10, 159, 160, 700)},
        "silence": np.zeros(8000),
        "offset": np.full(8000, 0.3),
        "click": click,
        "clipped": np.clip(20 * voice, -0.5, 0.5),
        "voice on an offset": 0.01 * voice + 0.4,
        "voice between silences": np.concatenate([np.zeros(5000), voice, np.full(5000, 0.1)]),
        "whistle above the ceiling": np.sin(2 * np.pi * 2000 * clock + 0.3 * np.sin(2 * np.pi * 100 * clock)),
        "Nyquist frequency": np.cos(np.pi * np.arange(8000)),
        "square wave": np.sign(np.sin(2 * np.pi * 100.3 * clock)),
        "noise": 0.1 * noise(1.0),
        "very quiet": 1e-9 * voice,
    }


@pytest.mark.parametrize(("name", "samples"), hard_recordings().items(), ids=lambda value: str(value)[:30])
def test_hard_recordings_are_measured_as_praat_does(name: str, samples: np.ndarray) -> None:
    found, expected = kernels.track_pitch(samples, CONFIG), reference.track_pitch(samples, CONFIG)
    np.testing.assert_allclose(found.f0_T, expected.f0_T, atol=0.05, err_msg=name)
    np.testing.assert_allclose(found.strength_T, expected.strength_T, atol=1e-3, err_msg=name)


@pytest.mark.parametrize("level", [1e-150, 1e-160, 1e-310])
def test_sounds_that_underflow_are_silence(level: float) -> None:
    track = kernels.track_pitch(level * np.random.default_rng(0).standard_normal(4000), CONFIG)
    assert np.isnan(track.f0_T).all()
    assert (np.nan_to_num(track.strength_T) == 0).all()
    assert (track.correlation_T == 0).all()


@pytest.mark.parametrize("f0", np.geomspace(76, 595, 17).round(2))
def test_a_pulse_train_has_the_pitch_it_was_made_with(f0: float) -> None:
    times = alternating_pulse_times(1 / f0, 0.0, 0.5)
    track = kernels.track_pitch(pulses(times, np.ones(len(times)), 0.5), CONFIG)
    np.testing.assert_allclose(track.f0_T[INNER], f0, rtol=2e-4)
    assert ((track.correlation_T[INNER] > 0.95) & (track.correlation_T[INNER] <= 1)).all()


def test_a_glide_is_measured_at_the_centre_of_each_frame() -> None:
    clock = np.arange(2 * RATE) / RATE
    phase = 2 * np.pi * (100 * clock + 25 * clock**2)  # F0 = 100 + 50 t Hz
    samples = np.sum([np.cos(number * phase) / number for number in range(1, 20)], axis=0) / 10
    found = kernels.track_pitch(samples, CONFIG).f0_T
    expected = 100 + 50 * np.arange(len(found)) * 0.01
    np.testing.assert_allclose(found[INNER], expected[INNER], atol=0.2)


@pytest.mark.parametrize("hnr_db", [5.0, 10.0, 20.0])
def test_strength_is_the_share_of_the_periodic_power(hnr_db: float) -> None:
    ratio = 10 ** (hnr_db / 10)
    strength = kernels.track_pitch(harmonics_plus_noise(150, hnr_db, 2.0), CONFIG).strength_T[INNER]
    assert strength.mean() == pytest.approx(ratio / (1 + ratio), abs=0.01)


def test_strength_does_not_depend_on_the_second_pass() -> None:
    samples = harmonics_plus_noise(210, 10, 1.0)
    once, twice = (kernels.track_pitch(samples, FeatureConfig(two_pass_pitch=two)) for two in (False, True))
    np.testing.assert_array_equal(once.strength_T, twice.strength_T)


@pytest.mark.parametrize("block", [1, 7, 10_000])
def test_the_size_of_the_blocks_changes_no_bit(
    recordings: list[np.ndarray], block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = kernels.track_pitch(recordings[0], CONFIG)
    monkeypatch.setattr(kernels, "BLOCK", block)
    found = kernels.track_pitch(recordings[0], CONFIG)
    assert found.f0_T.tobytes() == expected.f0_T.tobytes()
    assert found.strength_T.tobytes() == expected.strength_T.tobytes()
    assert found.correlation_T.tobytes() == expected.correlation_T.tobytes()


def test_a_delay_by_whole_frames_delays_the_pitch(recordings: list[np.ndarray]) -> None:
    samples = recordings[1]
    now = kernels.track_pitch(samples, CONFIG)
    later = kernels.track_pitch(np.concatenate([np.zeros(160 * 8), samples]), CONFIG)
    np.testing.assert_allclose(later.f0_T[8:], now.f0_T, atol=1e-6)
    np.testing.assert_allclose(later.strength_T[8:], now.strength_T, atol=1e-9)


def test_two_minutes_take_no_more_than_a_block_of_frames_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    largest = 0
    original = kernels.normalised_autocorrelation

    def watched(frames_TS: np.ndarray, inverse_window: np.ndarray) -> np.ndarray:
        nonlocal largest
        largest = max(largest, len(frames_TS))
        return original(frames_TS, inverse_window)

    monkeypatch.setattr(kernels, "normalised_autocorrelation", watched)
    track = kernels.track_pitch(np.tile(harmonics(200, 1.0, -6), 120), CONFIG)
    assert len(track.f0_T) == 12_001
    assert largest == kernels.BLOCK
    np.testing.assert_allclose(track.f0_T[INNER], 200, rtol=1e-4)


def test_the_path_is_the_best_of_all_paths() -> None:
    rng = np.random.default_rng(0)
    jump_cost, voicing_cost = 0.35, 0.14
    for _ in range(60):
        count = rng.integers(1, 4, 6)
        frequency = np.where(np.arange(3) == 0, 0.0, rng.uniform(75, 600, (6, 3)))
        strength = rng.uniform(0, 1, (6, 3))

        def worth(path: tuple[int, ...], frequency: np.ndarray = frequency, strength: np.ndarray = strength) -> float:
            total = sum(strength[frame, place] for frame, place in enumerate(path))
            chosen = [frequency[frame, place] for frame, place in enumerate(path)]
            for earlier, later in itertools.pairwise(chosen):
                if (earlier == 0) != (later == 0):
                    total -= voicing_cost
                elif earlier > 0:
                    total -= jump_cost * abs(np.log2(earlier / later))
            return total

        best = max(itertools.product(*(range(number) for number in count)), key=worth)
        found = best_path(count, frequency, strength, jump_cost, voicing_cost)
        assert tuple(found) == best


def test_candidates_are_as_strong_as_published() -> None:
    frequency = np.array([[0.0, 300.0], [0.0, 75.0]])
    correlation = np.array([[0.0, 0.9], [0.0, 0.8]])
    found = candidate_strengths(
        np.array([2, 2]), frequency, correlation, np.array([1.0, 0.01]), 0.03, 0.45, 0.01, 600.0
    )
    quiet = 2 - 0.01 / (0.03 / 1.45)
    np.testing.assert_allclose(found, [[0.45, 0.9 - 0.01], [0.45 + quiet, 0.8 - 0.03]])
