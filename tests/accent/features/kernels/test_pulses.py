"""Glottal pulses: agreement with Praat on real speech and on hard sounds, and pulse trains of known times.

Shape legend: N samples at 16 kHz, T frames of 10 ms, P glottal pulses.
"""

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import parselmouth
import pytest

from accent.audio.prepare import load_speech
from accent.features.config import FeatureConfig
from accent.features.kernels.pulses import frame_seconds, glottal_pulses
from accent.features.reference import pulses as reference
from accent.features.reference.pitch import PitchTrack, track_pitch
from accent.grid import HOP, SAMPLE_RATE
from tests.support.sound import synthesis

CONFIG = FeatureConfig()
SAME = 1e-6
"""Seconds; a fiftieth of a sample."""


@pytest.fixture(scope="module")
def tracks(saa: Path) -> list[tuple[np.ndarray, PitchTrack]]:
    """Every sixth of 120 recordings with Praat's pitch track."""
    recordings = [load_speech(path, CONFIG.audio).unfiltered_N for path in sorted(saa.glob("*/wav/*.wav"))[::6]]
    return [(sound_N, track_pitch(sound_N, CONFIG)) for sound_N in recordings]


def praat_pulses(pitch: PitchTrack) -> np.ndarray:
    """Praat's pulses [P] in seconds of the recording, whose sample 0 is at time 0."""
    return reference.pulse_times(reference.glottal_pulses(pitch)) - (pitch.times_T[0] - frame_seconds(np.zeros(1))[0])


def with_sound(pitch: PitchTrack, sound_N: np.ndarray) -> PitchTrack:
    """A pitch track with another sound under it, so that Praat looks for pulses where there is no such pitch."""
    padded_N = np.zeros(pitch.sound.n_samples)
    left = round(pitch.times_T[0] * SAMPLE_RATE)
    reached = min(len(sound_N), len(padded_N) - left)
    padded_N[left : left + reached] = sound_N[:reached]
    return dataclasses.replace(pitch, sound=parselmouth.Sound(padded_N, SAMPLE_RATE))


def apart(one_P: np.ndarray, other_P: np.ndarray) -> np.ndarray:
    """Seconds [P] from each pulse of one to the nearest of the other."""
    if len(other_P) == 0:
        return np.full(len(one_P), np.inf)
    return np.abs(one_P[:, None] - other_P[None, :]).min(axis=1)


def compare(name: str, pairs: list[tuple[np.ndarray, np.ndarray]]) -> tuple[int, int, int]:
    """Print and return how many pulses Praat has, how many of them we lack, and how many we have that it lacks."""
    missing = [apart(praat_P, ours_P) for praat_P, ours_P in pairs]
    extra = [apart(ours_P, praat_P) for praat_P, ours_P in pairs]
    every = np.concatenate(missing)
    counts = len(every), int(np.sum(every > SAME)), int(np.sum(np.concatenate(extra) > SAME))
    largest = every[every <= SAME].max(initial=0)
    print(
        f"{name:24s} {len(pairs):3d} files {counts[0]:6d} pulses, {counts[1]:3d} missing {counts[2]:3d} extra, within "
        f"0.05 ms {np.mean(every < 5e-5):.4f}, largest difference of the same {largest:.0e} s"
    )
    return counts


def test_pulses_of_real_speech_are_praats(tracks: list[tuple[np.ndarray, PitchTrack]]) -> None:
    pairs = [(praat_pulses(pitch), glottal_pulses(sound_N, pitch.f0_T)) for sound_N, pitch in tracks]
    praats, missing, extra = compare("\nreal speech", pairs)
    assert praats > 3000
    assert missing == extra == 0


@pytest.mark.parametrize(
    "config",
    [
        FeatureConfig(two_pass_pitch=True),
        FeatureConfig(pitch_floor_hz=50.0, pitch_ceiling_hz=400.0),
        FeatureConfig(pitch_floor_hz=60.0, pitch_ceiling_hz=2000.0, tilt_ceiling_hz=6500.0),
    ],
    ids=["two passes", "50-400 Hz", "60-2000 Hz"],
)
def test_pulses_are_praats_whatever_the_pitch_range(
    tracks: list[tuple[np.ndarray, PitchTrack]], config: FeatureConfig
) -> None:
    pairs = []
    for sound_N, _ in tracks[::3]:
        pitch = track_pitch(sound_N, config)
        pairs.append((praat_pulses(pitch), glottal_pulses(sound_N, pitch.f0_T)))
    praats, missing, extra = compare(f"{config.pitch_floor_hz:g}-{config.pitch_ceiling_hz:g} Hz", pairs)
    assert praats > 500
    assert missing == extra == 0


def white(sound_N: np.ndarray) -> np.ndarray:
    return np.random.default_rng(1).standard_normal(len(sound_N))


def low(sound_N: np.ndarray) -> np.ndarray:
    return np.convolve(white(sound_N), np.hanning(41), "same")


def gated(sound_N: np.ndarray) -> np.ndarray:
    silent = np.repeat(np.random.default_rng(2).random(len(sound_N) // 300 + 1) < 0.4, 300)[: len(sound_N)]
    return np.where(silent, 0.0, sound_N)


HARD: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "white noise": white,
    "low noise": low,
    "backwards": lambda sound_N: sound_N[::-1].copy(),
    "gaps of digital silence": gated,
    "digital silence": np.zeros_like,
    "constant": np.ones_like,
    "offset": lambda sound_N: sound_N + 0.3,
    "clipped": lambda sound_N: np.clip(sound_N, -0.05, 0.05),
    "rising slowly": lambda sound_N: np.linspace(-1, 1, len(sound_N)) ** 3 + 0.01 * low(sound_N),
}


@pytest.mark.parametrize("name", HARD)
def test_pulses_of_another_sound_under_the_pitch_are_praats(
    tracks: list[tuple[np.ndarray, PitchTrack]], name: str
) -> None:
    # Low correlations, no maximum among the lags, silence, ties: what real voiced speech seldom has.
    pairs = []
    for sound_N, pitch in tracks[::2]:
        other_N = HARD[name](sound_N)
        pairs.append((praat_pulses(with_sound(pitch, other_N)), glottal_pulses(other_N, pitch.f0_T)))
    praats, missing, extra = compare(name, pairs)
    assert praats > 50
    assert missing == extra == 0


@pytest.mark.parametrize(("period", "jitter"), [(1 / 120, 0.0), (1 / 120, 0.03), (1 / 87, 0.01), (1 / 230, 0.0)])
def test_pulses_of_a_known_train_are_found_to_a_sample_and_their_periods_to_a_fiftieth(
    period: float, jitter: float
) -> None:
    times_P = synthesis.alternating_pulse_times(period, jitter, 1.0)
    sound_N = synthesis.pulses(times_P, np.ones(len(times_P)), 1.0)
    found_P = glottal_pulses(sound_N, np.full(101, 1 / period))
    inside_P = found_P[(found_P > times_P[0] - 1e-3) & (found_P < times_P[-1] + 1e-3)]
    assert len(inside_P) == len(times_P)
    np.testing.assert_allclose(inside_P, times_P, atol=1 / SAMPLE_RATE)
    np.testing.assert_allclose(np.diff(inside_P), np.diff(times_P), atol=SAME)


def test_pulses_stay_within_a_period_and_a_quarter_of_their_voiced_stretch() -> None:
    sound_N = synthesis.pulses(np.arange(0.003, 1, 0.01), np.ones(100), 1.0)
    f0_T = np.full(101, np.nan)
    f0_T[40:61] = 100.0
    found_P = glottal_pulses(sound_N, f0_T)
    assert 21 <= len(found_P) <= 23
    assert found_P[0] > 0.395 - 0.0126
    assert found_P[-1] < 0.605 + 0.0126


def test_pulses_rise_and_do_not_depend_on_level(tracks: list[tuple[np.ndarray, PitchTrack]]) -> None:
    sound_N, pitch = tracks[0]
    found_P = glottal_pulses(sound_N, pitch.f0_T)
    assert np.all(np.diff(found_P) > 0)
    np.testing.assert_array_equal(glottal_pulses(sound_N / 1024, pitch.f0_T), found_P)
    assert glottal_pulses(sound_N, pitch.f0_T).tobytes() == found_P.tobytes()


@pytest.mark.parametrize("n_samples", [10, 159, 160, 500])
def test_short_recordings_have_few_pulses_or_none(n_samples: int) -> None:
    sound_N = np.random.default_rng(n_samples).standard_normal(n_samples)
    n_frames = n_samples // HOP + 1
    assert len(glottal_pulses(sound_N, np.full(n_frames, np.nan))) == 0
    for f0 in (75.0, 600.0, 2000.0):
        found_P = glottal_pulses(sound_N, np.full(n_frames, f0))
        assert 1 <= len(found_P) <= n_frames * HOP
        assert np.all(np.abs(found_P - n_samples / SAMPLE_RATE / 2) < n_samples / SAMPLE_RATE / 2 + 2 / f0 + 0.01)


@pytest.mark.parametrize("f0", [-100.0, 0.0, 3000.0])
def test_an_impossible_pitch_is_refused(f0: float) -> None:
    with pytest.raises(ValueError, match="f0_T"):
        glottal_pulses(np.ones(1600), np.full(11, f0))


def test_two_minutes_of_hiss_called_voiced_end() -> None:
    hiss_N = np.random.default_rng(3).standard_normal(120 * SAMPLE_RATE)
    for f0 in (75.0, 2000.0):
        assert len(glottal_pulses(hiss_N, np.full(len(hiss_N) // HOP + 1, f0))) > 0
