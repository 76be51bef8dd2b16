"""Puts the families of the numba backend side by side.

Cost: 2 to 2.5 ms a second of sound on one core, processes of their own for each core.

Shape legend: N samples at 16 kHz, T frames of 10 ms, D columns of the schema, P glottal pulses.
"""

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
from accent.features.kernels.pitch import track_pitch
from accent.features.kernels.pulses import glottal_pulses
from accent.features.kernels.source import source_frames
from accent.features.kernels.spectrum import spectral_frames
from accent.features.schema import FAMILY_NAMES
from accent.grid import FRAMES_PER_SECOND


def analyse(speech: Speech, config: FeatureConfig, sex: str | None = None) -> Analysis:
    """Compute all columns of all frames of a recording; the contract is `accent.features.backend.Backend`."""
    sound_N = speech.unfiltered_N
    pitch = track_pitch(sound_N, config)
    pulses_P = glottal_pulses(sound_N, pitch.f0_T)
    jitter_T, shimmer_T = jitter_and_shimmer(sound_N, pulses_P, speech.total_frames, config)
    formants_T8, (prominence_T, cpps_db) = _formants_and_cepstral_peaks(speech, config, sex)
    families = {
        **spectral_frames(speech.normalised_N),
        "prosody": np.column_stack([pitch.f0_T, pitch.strength_T, intensity(sound_N, config)]),
        "formants": formants_T8,
        "voice": np.column_stack(
            [
                harmonicity(sound_N, config),
                jitter_T,
                shimmer_T,
                prominence_T,
                *source_frames(sound_N, pitch.f0_T, formants_T8, config),
            ]
        ),
    }
    from_seconds = speech.first_frame / FRAMES_PER_SECOND
    to_seconds = (speech.first_frame + speech.n_frames - 1) / FRAMES_PER_SECOND
    return Analysis(
        np.hstack([families[name] for name in FAMILY_NAMES]),
        smooth_intensity(sound_N),
        {
            **voice_perturbation(sound_N, pulses_P, from_seconds, to_seconds, config),
            "hnr_mean_db": mean_harmonicity(pitch.correlation_T[speech.kept]),
            "cpps_db": cpps_db,
        },
    )


def _formants_and_cepstral_peaks(
    speech: Speech, config: FeatureConfig, sex: str | None
) -> tuple[np.ndarray, tuple[np.ndarray, float]]:
    """Measure what reads the sound below 16 kHz; resampling to both rates shares one transform."""
    sound_N = speech.unfiltered_N
    formant_rate = round(2 * config.formant_ceiling_for(sex))
    for_formants_N, for_cepstra_N = brick_wall_resample_to_rates(sound_N, [formant_rate, cepstrum.RATE])
    no_formants_T = without_sound(sound_N, 2 * config.formant_window_seconds)
    no_cepstra_T = without_sound(sound_N, cepstrum.PERIODS_IN_WINDOW / config.cpp_floor_hz)
    return (
        resampled_formants(for_formants_N, formant_rate, no_formants_T, config),
        cepstrum.resampled_peaks(for_cepstra_N, no_cepstra_T, config, speech.first_frame, speech.n_frames),
    )
