"""Praat's voice report of the kept region, and the smoothed cepstral peak prominence (CPPS).

Cost: about 20 ms a second of sound, nearly all of it CPPS.

Shape legend: T frames of 10 ms.
"""

import numpy as np
from parselmouth.praat import call

from accent.audio import Speech
from accent.features.config import FeatureConfig
from accent.features.reference.pitch import PitchTrack
from accent.features.reference.voice import PEAK_TOLERANCE, glottal_pulses, power_cepstrogram

JITTERS = ("local", "rap", "ppq5")
SHIMMERS = ("local", "apq3", "apq5")
VOICE_COLUMNS: tuple[str, ...] = (
    *(f"jitter_{measure}" for measure in JITTERS),
    *(f"shimmer_{measure}" for measure in SHIMMERS),
    "hnr_mean_db",
    "cpps_db",
)
"""Jitter and shimmer are ratios (0.01 is what Praat prints as 1 %)."""
SHORTEST_PERIOD = 0.8
"""Shortest period of the voice report, in periods of the pitch ceiling (found by experiment)."""
LONGEST_PERIOD = 1.25
"""Longest period of the voice report, in periods of the pitch floor (found by experiment)."""
PERFECT_CORRELATION = 1 - 1e-15
"""Autocorrelation that counts as 1, so that a synthetic tone has 150 dB and not infinity."""


def voice_report(speech: Speech, pitch: PitchTrack, config: FeatureConfig) -> dict[str, float]:
    """Measure the voice of the kept region as Praat's voice report does.

    The report takes its limits of the period from the pitch range; they are narrower than those of the frame columns.

    Args:
        speech: the prepared recording.
        pitch: its pitch track.
        config: pitch range, factors of neighbouring periods and amplitudes, settings of the cepstrum.

    Returns:
        A value for each of `VOICE_COLUMNS`, NaN where Praat has none (no voiced sound, too few periods).

    Source: Praat manual, "Voice" and its sections 2 (jitter), 3 (shimmer), 4 (additive noise); "PowerCepstrogram: Get
    CPPS..."; Maryn & Weenink (2015), Objective dysphonia measures in the program Praat.
    """
    pulses = glottal_pulses(pitch)
    kept_times_T = pitch.times_T[speech.kept]
    region = (kept_times_T[0], kept_times_T[-1])
    limits = (
        SHORTEST_PERIOD / config.pitch_ceiling_hz,
        LONGEST_PERIOD / config.pitch_floor_hz,
        config.max_period_factor,
    )
    report = {f"jitter_{measure}": call(pulses, f"Get jitter ({measure})", *region, *limits) for measure in JITTERS}
    for measure in SHIMMERS:
        report[f"shimmer_{measure}"] = call(
            [pitch.sound, pulses], f"Get shimmer ({measure})", *region, *limits, config.max_amplitude_factor
        )
    report["hnr_mean_db"] = mean_harmonicity(pitch, speech.kept)
    report["cpps_db"] = smoothed_cepstral_peak(speech, config)
    return {column: float(report[column]) for column in VOICE_COLUMNS}


def mean_harmonicity(pitch: PitchTrack, kept: slice) -> float:
    """Return the mean harmonics-to-noise ratio in dB of the voiced frames: the voice report's, from the pitch analysis.

    Praat's own differs by some hundredths of a decibel where the region begins or ends within a voiced stretch.  The
    frame column `hnr_db` comes from an analysis of its own with a longer window and covers unvoiced frames too.
    """
    selected = pitch.pitch.selected_array[kept]
    correlation = selected["strength"][selected["frequency"] > 0]
    if len(correlation) == 0:
        return float("nan")
    correlation = np.clip(correlation, 1 - PERFECT_CORRELATION, PERFECT_CORRELATION)
    return float(np.mean(10 * np.log10(correlation / (1 - correlation))))


def smoothed_cepstral_peak(speech: Speech, config: FeatureConfig) -> float:
    """Return the CPPS of the kept region in dB: the prominence of the peak of the smoothed cepstrum."""
    cepstrogram = power_cepstrogram(speech.unfiltered_N, config, speech.first_frame, speech.n_frames)
    return call(
        cepstrogram,
        "Get CPPS",
        "yes",  # subtract the trend before smoothing
        config.cpps_time_average_seconds,
        config.cpps_quefrency_average_seconds,
        config.cpp_floor_hz,
        config.cpp_ceiling_hz,
        PEAK_TOLERANCE,
        "parabolic",
        config.cpp_trend_from_seconds,
        config.cpp_trend_to_seconds,
        "Straight",
        "Robust",
    )
