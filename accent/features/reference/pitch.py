"""Pitch, voicing strength and intensity by Praat, on our grid.

Cost: about 6 ms a second of sound for the two pitch analyses, 1 ms for intensity.

Shape legend: N samples at 16 kHz, T frames of 10 ms.
"""

from dataclasses import dataclass

import numpy as np
import parselmouth

from accent.dsp.silence import without_sound
from accent.features.config import FeatureConfig
from accent.features.definitions import (
    INTENSITY_PERIODS,
    PITCH_PERIODS,
    SMOOTH_INTENSITY_FLOOR_HZ,
    second_pass_range,
)
from accent.features.reference.padding import padded_sound
from accent.grid import FRAMES_PER_SECOND, HOP, SAMPLE_RATE

TIME_STEP = 1 / FRAMES_PER_SECOND
PATH_CANDIDATES = 15
"""Candidates a frame for the path: Praat's default."""
STRENGTH_CANDIDATES = 100
"""Candidates a frame when all of them are wanted: more than autocorrelation has maxima between floor and ceiling."""


@dataclass(frozen=True)
class PitchTrack:
    """The pitch of a whole recording, as numbers and as Praat's objects."""

    f0_T: np.ndarray
    """Fundamental frequency in Hz, NaN where unvoiced."""
    strength_T: np.ndarray
    """Best autocorrelation between floor and ceiling, 0..1, voiced or not; NaN in digital silence."""
    sound: parselmouth.Sound
    """The recording, padded so that frames fall on the grid."""
    pitch: parselmouth.Pitch
    """Praat's pitch object of that sound."""
    times_T: np.ndarray
    """Seconds in that sound at which the frames are centred."""


def track_pitch(unfiltered_N: np.ndarray, config: FeatureConfig) -> PitchTrack:
    """Measure pitch and voicing strength of a recording.

    Args:
        unfiltered_N: sound at 16 kHz, neither filtered nor normalised.
        config: floor, ceiling, thresholds and costs.

    Returns:
        One value for each frame of the whole recording.

    Source: Boersma (1993), Accurate short-term analysis of the fundamental frequency and the harmonics-to-noise ratio
    of a sampled sound; Praat manual, "Sound: To Pitch (ac)...".  Two passes: Hirst (2011), The analysis by synthesis
    of speech melody: from data to models.
    """
    floor_hz, ceiling_hz = config.pitch_floor_hz, config.pitch_ceiling_hz
    sound, times_T = padded_sound(unfiltered_N, SAMPLE_RATE, HOP, PITCH_PERIODS / floor_hz, "even")
    strength_T = _strength(sound, config)
    strength_T[without_sound(unfiltered_N, PITCH_PERIODS / floor_hz)] = np.nan
    pitch = _pitch(sound, config, floor_hz, ceiling_hz)
    if config.two_pass_pitch:
        floor_hz, ceiling_hz = second_pass_range(_frequencies(pitch), config)
        sound, times_T = padded_sound(unfiltered_N, SAMPLE_RATE, HOP, PITCH_PERIODS / floor_hz, "even")
        pitch = _pitch(sound, config, floor_hz, ceiling_hz)
    return PitchTrack(_frequencies(pitch), strength_T, sound, pitch, times_T)


def intensity(unfiltered_N: np.ndarray, config: FeatureConfig) -> np.ndarray:
    """Measure intensity.

    Args:
        unfiltered_N: sound at 16 kHz, neither filtered nor normalised.
        config: `config.pitch_floor_hz` decides the window: 6.4 periods.

    Returns:
        `[T]` dB relative to 2e-5 (full scale is 1), NaN in digital silence.

    Source: Praat manual, "Sound: To Intensity...", with the mean subtracted.
    """
    window_seconds = INTENSITY_PERIODS / config.pitch_floor_hz
    sound, _ = padded_sound(unfiltered_N, SAMPLE_RATE, HOP, window_seconds, "odd")
    intensity_T = sound.to_intensity(config.pitch_floor_hz, TIME_STEP, True).values[0].copy()
    intensity_T[without_sound(unfiltered_N, window_seconds)] = np.nan
    return intensity_T


def smooth_intensity(unfiltered_N: np.ndarray) -> np.ndarray:
    """Return the intensity of a recording in dB, `[T]`, through a window of 128 ms."""
    window_seconds = INTENSITY_PERIODS / SMOOTH_INTENSITY_FLOOR_HZ
    sound, _ = padded_sound(unfiltered_N, SAMPLE_RATE, HOP, window_seconds, "odd")
    return sound.to_intensity(SMOOTH_INTENSITY_FLOOR_HZ, TIME_STEP, True).values[0].copy()


def _pitch(sound: parselmouth.Sound, config: FeatureConfig, floor_hz: float, ceiling_hz: float) -> parselmouth.Pitch:
    return sound.to_pitch_ac(
        time_step=TIME_STEP,
        pitch_floor=floor_hz,
        max_number_of_candidates=PATH_CANDIDATES,
        very_accurate=False,
        silence_threshold=config.pitch_silence_threshold,
        voicing_threshold=config.pitch_voicing_threshold,
        octave_cost=config.pitch_octave_cost,
        octave_jump_cost=config.pitch_octave_jump_cost,
        voiced_unvoiced_cost=config.pitch_voiced_unvoiced_cost,
        pitch_ceiling=ceiling_hz,
    )


def _frequencies(pitch: parselmouth.Pitch) -> np.ndarray:
    frequency_T = pitch.selected_array["frequency"].copy()
    frequency_T[frequency_T == 0] = np.nan
    return frequency_T


def _strength(sound: parselmouth.Sound, config: FeatureConfig) -> np.ndarray:
    """Return the best autocorrelation of each frame; 0 where it has no maximum between floor and ceiling."""
    every_maximum = sound.to_pitch_ac(
        time_step=TIME_STEP,
        pitch_floor=config.pitch_floor_hz,
        max_number_of_candidates=STRENGTH_CANDIDATES,
        very_accurate=False,
        silence_threshold=config.pitch_silence_threshold,
        voicing_threshold=0.0,
        octave_cost=0.0,
        pitch_ceiling=config.pitch_ceiling_hz,
    )
    candidates_KT = every_maximum.to_array()
    frequency_KT = candidates_KT["frequency"]
    in_range_KT = (frequency_KT >= config.pitch_floor_hz) & (frequency_KT <= config.pitch_ceiling_hz)
    return np.where(in_range_KT, candidates_KT["strength"], 0.0).max(axis=0)
