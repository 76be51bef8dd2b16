"""Praat's voice report of the kept region, and the smoothed cepstral peak prominence (CPPS).

Cost: about 20 ms a second of sound, nearly all of it CPPS.

Shape legend: T frames of 10 ms.
"""

import numpy as np
from parselmouth.praat import call

from accent.audio.prepare import Speech
from accent.features.backend import VOICE_REPORT_COLUMNS
from accent.features.config import FeatureConfig
from accent.features.definitions import LONGEST_PERIOD, SHORTEST_PERIOD, mean_harmonicity
from accent.features.reference.cepstrum import smoothed_cepstral_peak
from accent.features.reference.pitch import PitchTrack
from accent.features.reference.pulses import glottal_pulses

JITTERS = ("local", "rap", "ppq5")
SHIMMERS = ("local", "apq3", "apq5")


def voice_report(speech: Speech, pitch: PitchTrack, config: FeatureConfig) -> dict[str, float]:
    """Measure the voice of the kept region as Praat's voice report does.

    Args:
        speech: the prepared recording.
        pitch: its pitch track.
        config: pitch range, factors of neighbouring periods and amplitudes, settings of the cepstrum.

    Returns:
        A value for each of `VOICE_REPORT_COLUMNS`, NaN where Praat has none (no voiced sound, too few periods).

    Source: Praat manual, "Voice" and its sections 2 (jitter), 3 (shimmer), 4 (additive noise); "PowerCepstrogram: Get
    CPPS..."; Maryn & Weenink (2015), Objective dysphonia measures in the program Praat.
    """
    report = voice_perturbation(pitch, speech.kept, config)
    report["hnr_mean_db"] = mean_harmonicity(chosen_correlation(pitch)[speech.kept])
    report["cpps_db"] = smoothed_cepstral_peak(speech, config)
    return {column: float(report[column]) for column in VOICE_REPORT_COLUMNS}


def voice_perturbation(pitch: PitchTrack, kept: slice, config: FeatureConfig) -> dict[str, float]:
    """Return the jitters and shimmers of Praat's voice report over the kept frames, by name.

    The report takes its limits of the period from the pitch range; they are narrower than those of the frame columns.
    """
    pulses = glottal_pulses(pitch)
    kept_times_T = pitch.times_T[kept]
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
    return report


def chosen_correlation(pitch: PitchTrack) -> np.ndarray:
    """Return the autocorrelation of the candidate on the path, `[T]`; 0 where unvoiced."""
    selected_T = pitch.pitch.selected_array
    return np.where(selected_T["frequency"] > 0, selected_T["strength"], 0.0)
