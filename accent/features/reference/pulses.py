"""Glottal pulses by Praat, and jitter and shimmer about each frame.

Cost: 12 ms a second of sound.

Shape legend: T frames of 10 ms, P glottal pulses.
"""

import numpy as np
import parselmouth
from parselmouth.praat import call

from accent.features.config import FeatureConfig
from accent.features.reference.pitch import PitchTrack


def glottal_pulses(pitch: PitchTrack) -> parselmouth.Data:
    """Return Praat's glottal pulses (a PointProcess, in seconds of `pitch.sound`).

    Source: Praat manual, "Sound & Pitch: To PointProcess (cc)".
    """
    return call([pitch.sound, pitch.pitch], "To PointProcess (cc)")


def pulse_times(pulses: parselmouth.Data) -> np.ndarray:
    """Return the times `[P]` of a PointProcess in seconds."""
    if call(pulses, "Get number of points") == 0:
        return np.empty(0)
    return call(pulses, "To Matrix").values[0]


def jitter_and_shimmer(pitch: PitchTrack, config: FeatureConfig) -> tuple[np.ndarray, np.ndarray]:
    """Measure local jitter and local shimmer around each frame.

    A frame reads the pulses up to `jitter_window_seconds` away.  Both are NaN where they hold fewer than
    `jitter_min_periods` periods.

    Returns:
        Jitter and shimmer `[T]` as ratios: the mean difference between neighbouring periods (amplitudes) over their
        mean.

    Source: Praat manual, "PointProcess: Get jitter (local)..." and "Voice 3. Shimmer".
    """
    pulses = glottal_pulses(pitch)
    from_T = pitch.times_T - config.jitter_window_seconds
    to_T = pitch.times_T + config.jitter_window_seconds
    periods_T = count_periods(pulse_times(pulses), from_T, to_T, config)
    limits = (config.period_floor_seconds, config.period_ceiling_seconds, config.max_period_factor)
    jitter_T = np.full(len(from_T), np.nan)
    shimmer_T = np.full(len(from_T), np.nan)
    for frame in np.flatnonzero(periods_T >= config.jitter_min_periods):
        window = (from_T[frame], to_T[frame])
        jitter_T[frame] = call(pulses, "Get jitter (local)", *window, *limits)
        shimmer_T[frame] = call(
            [pitch.sound, pulses], "Get shimmer (local)", *window, *limits, config.max_amplitude_factor
        )
    return jitter_T, shimmer_T


def is_period(times_P: np.ndarray, config: FeatureConfig) -> np.ndarray:
    """Tell which intervals between neighbouring pulses are periods, as Praat does (found by experiment).

    An interval is one if its length lies between floor and ceiling and at least one of its neighbours is as long up to
    the maximum period factor.  The very first and the very last interval need no such neighbour.

    Args:
        times_P: the pulses of the whole recording, in seconds.
        config: floor, ceiling and factor.

    Returns:
        bool `[P - 1]`.
    """
    interval_P = np.diff(times_P)
    within_P = (interval_P >= config.period_floor_seconds) & (interval_P <= config.period_ceiling_seconds)
    longer_P = np.maximum(interval_P[1:], interval_P[:-1])
    alike_P = longer_P <= config.max_period_factor * np.minimum(interval_P[1:], interval_P[:-1])
    return within_P & (np.append(True, alike_P) | np.append(alike_P, True))[: len(interval_P)]


def count_periods(times_P: np.ndarray, from_T: np.ndarray, to_T: np.ndarray, config: FeatureConfig) -> np.ndarray:
    """Count the periods that lie wholly within each window: Praat's "Get number of periods", all windows at once."""
    periods_before_P = np.concatenate([[0], np.cumsum(is_period(times_P, config))])
    first_T = np.searchsorted(times_P, from_T, side="left")
    last_T = np.searchsorted(times_P, to_T, side="right") - 1
    inside_T = last_T > first_T
    counts_T = np.zeros(len(from_T), dtype=np.int64)
    counts_T[inside_T] = periods_before_P[last_T[inside_T]] - periods_before_P[first_T[inside_T]]
    return counts_T
