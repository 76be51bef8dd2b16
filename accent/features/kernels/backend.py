"""Puts the families of the numba backend side by side.

Cost: 2 to 2.5 ms a second of sound on one core, processes of their own for each core.

Shape legend: N samples at 16 kHz, T frames of 10 ms, D columns of the schema, P glottal pulses.
"""

from dataclasses import dataclass

import numpy as np

from accent.audio.prepare import Speech
from accent.dsp.resample import brick_wall_resample_to_rates
from accent.dsp.silence import without_sound
from accent.features.backend import Analysis
from accent.features.config import FeatureConfig
from accent.features.definitions import mean_harmonicity
from accent.features.kernels import cepstrum
from accent.features.kernels.formants import resampled_formants
from accent.features.kernels.harmonicity import harmonicity
from accent.features.kernels.intensity import intensity, smooth_intensity
from accent.features.kernels.perturbation import jitter_and_shimmer, voice_perturbation
from accent.features.kernels.pitch import PitchTrack, track_pitch
from accent.features.kernels.pulses import glottal_pulses
from accent.features.kernels.source import source_frames
from accent.features.kernels.spectrum import spectral_frames
from accent.features.schema import FAMILY_NAMES
from accent.grid import FRAMES_PER_SECOND


@dataclass(frozen=True)
class UnfilteredFrames:
    """What is measured on the unfiltered sound, and what an utterance's values are made of."""

    families: dict[str, np.ndarray]
    """Prosody, formants and voice quality by family, `[T, D]`."""
    pitch: PitchTrack
    pulses_P: np.ndarray
    """Glottal pulses in seconds."""
    cpps_db: float
    """Of the kept region."""


def analyse(speech: Speech, config: FeatureConfig, sex: str | None = None) -> Analysis:
    """Compute all columns of all frames of a recording; the contract is `accent.features.backend.Backend`."""
    sound_N = speech.unfiltered_N
    measured = unfiltered_frames(sound_N, config, speech.kept, sex)
    families = {**spectral_frames(speech.normalised_N), **measured.families}
    from_seconds = speech.first_frame / FRAMES_PER_SECOND
    to_seconds = (speech.first_frame + speech.n_frames - 1) / FRAMES_PER_SECOND
    return Analysis(
        np.hstack([families[name] for name in FAMILY_NAMES]),
        smooth_intensity(sound_N),
        {
            **voice_perturbation(sound_N, measured.pulses_P, from_seconds, to_seconds, config),
            "hnr_mean_db": mean_harmonicity(measured.pitch.correlation_T[speech.kept]),
            "cpps_db": measured.cpps_db,
        },
    )


def unfiltered_frames(
    sound_N: np.ndarray, config: FeatureConfig, kept: slice, sex: str | None = None, peak_elsewhere: float = 0.0
) -> UnfilteredFrames:
    """Compute prosody, formants and voice quality of a recording, or of a part of one.

    Args:
        sound_N: sound at 16 kHz, neither filtered nor normalised.
        config: the settings of the analyses.
        kept: frames of the kept region, which CPPS is of.
        sex: "male" or "female" where known.
        peak_elsewhere: of a part, the largest magnitude in the rest of the recording: pitch, harmonics-to-noise ratio
            and pulses compare frames with the loudest place.  Of a part without an offset this is all that they need
            to know of the rest; the pitch's path and the resamplers' ringing reach a little further than a window.
    """
    pitch = track_pitch(sound_N, config, peak_elsewhere)
    pulses_P = glottal_pulses(sound_N, pitch.f0_T, peak_elsewhere)
    jitter_T, shimmer_T = jitter_and_shimmer(sound_N, pulses_P, len(pitch.f0_T), config)
    formants_T8, (prominence_T, cpps_db) = _formants_and_cepstral_peaks(sound_N, config, kept, sex)
    families = {
        "prosody": np.column_stack([pitch.f0_T, pitch.strength_T, intensity(sound_N, config)]),
        "formants": formants_T8,
        "voice": np.column_stack(
            [
                harmonicity(sound_N, config, peak_elsewhere),
                jitter_T,
                shimmer_T,
                prominence_T,
                *source_frames(sound_N, pitch.f0_T, formants_T8, config),
            ]
        ),
    }
    return UnfilteredFrames(families, pitch, pulses_P, cpps_db)


def _formants_and_cepstral_peaks(
    sound_N: np.ndarray, config: FeatureConfig, kept: slice, sex: str | None
) -> tuple[np.ndarray, tuple[np.ndarray, float]]:
    """Measure what reads the sound below 16 kHz; resampling to both rates shares one transform."""
    formant_rate = round(2 * config.formant_ceiling_for(sex))
    for_formants_N, for_cepstra_N = brick_wall_resample_to_rates(sound_N, [formant_rate, cepstrum.RATE])
    no_formants_T = without_sound(sound_N, 2 * config.formant_window_seconds)
    no_cepstra_T = without_sound(sound_N, cepstrum.PERIODS_IN_WINDOW / config.cpp_floor_hz)
    return (
        resampled_formants(for_formants_N, formant_rate, no_formants_T, config),
        cepstrum.resampled_peaks(for_cepstra_N, no_cepstra_T, config, kept.start, kept.stop - kept.start),
    )
