"""Puts the families of the reference backend side by side.

Cost: 60 to 80 ms a second of sound on a fast core, most of it voice quality.

Shape legend: T frames of 10 ms, D columns of the schema, 8 formant columns.
"""

import numpy as np

from accent.audio.prepare import Speech
from accent.features.backend import Analysis
from accent.features.config import FeatureConfig
from accent.features.reference.cepstrum import cepstral_peak_prominence
from accent.features.reference.formants import formant_frames
from accent.features.reference.harmonicity import harmonicity
from accent.features.reference.pitch import intensity, smooth_intensity, track_pitch
from accent.features.reference.pulses import jitter_and_shimmer
from accent.features.reference.source import first_harmonics, pitch_frames, spectral_tilt
from accent.features.reference.spectrum import spectral_frames
from accent.features.reference.voice_report import voice_report
from accent.features.schema import FAMILY_NAMES


def analyse(speech: Speech, config: FeatureConfig, sex: str | None = None) -> Analysis:
    """Compute all columns of all frames of a recording; the contract is `accent.features.backend.Backend`."""
    pitch = track_pitch(speech.unfiltered_N, config)
    jitter_T, shimmer_T = jitter_and_shimmer(pitch, config)
    formants_T8 = formant_frames(speech.unfiltered_N, config, sex)
    pitch_frames_TW = pitch_frames(speech.unfiltered_N, config.pitch_floor_hz)
    families = {
        **spectral_frames(speech.normalised_N),
        "prosody": np.column_stack([pitch.f0_T, pitch.strength_T, intensity(speech.unfiltered_N, config)]),
        "formants": formants_T8,
        "voice": np.column_stack(
            [
                harmonicity(speech.unfiltered_N, config),
                jitter_T,
                shimmer_T,
                cepstral_peak_prominence(speech.unfiltered_N, config),
                *first_harmonics(pitch_frames_TW, pitch.f0_T, formants_T8),
                spectral_tilt(pitch_frames_TW, pitch.f0_T, config),
            ]
        ),
    }
    return Analysis(
        np.hstack([families[name] for name in FAMILY_NAMES]),
        smooth_intensity(speech.unfiltered_N),
        voice_report(speech, pitch, config),
    )
