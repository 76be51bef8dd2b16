"""Puts the families of the reference backend side by side.

Cost: 120-150 ms a second of sound on one core, most of it voice quality.

Shape legend: T frames of 10 ms, D columns of the schema, 8 formant columns.
"""

import numpy as np

from accent.audio import Speech
from accent.features.config import FeatureConfig
from accent.features.reference.formants import formant_frames
from accent.features.reference.pitch import PitchTrack, intensity, track_pitch
from accent.features.reference.spectrum import spectral_frames
from accent.features.reference.voice import voice_frames
from accent.features.schema import FAMILY_NAMES


def analyse(speech: Speech, config: FeatureConfig, sex: str | None = None) -> tuple[np.ndarray, PitchTrack]:
    """Compute every column of every frame of a recording.

    Args:
        speech: the prepared recording.
        config: the settings of the analyses.
        sex: "male" or "female" where known; decides the formant ceiling if the configuration has one for men.

    Returns:
        `[T, D]` float64 over the whole recording, columns in the schema's order, and the pitch track.
    """
    pitch = track_pitch(speech.unfiltered_N, config)
    formants_T8 = formant_frames(speech.unfiltered_N, config, sex)
    families = {
        **spectral_frames(speech.normalised_N),
        "prosody": np.column_stack([pitch.f0_T, pitch.strength_T, intensity(speech.unfiltered_N, config)]),
        "formants": formants_T8,
        "voice": voice_frames(speech.unfiltered_N, pitch, formants_T8, config),
    }
    return np.hstack([families[name] for name in FAMILY_NAMES]), pitch
