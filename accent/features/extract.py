"""From prepared speech to feature frames: backend, kept region, phones, utterance values.

Cost: the backend's; 120-150 ms a second of sound for `reference` on one core.

Shape legend: T frames of 10 ms, D columns of the schema.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from accent.audio import Speech
from accent.features.config import FeatureConfig
from accent.features.phones import phone_ids_on_grid
from accent.features.reference import backend as reference
from accent.features.reference.pitch import PitchTrack
from accent.features.schema import N_COLUMNS
from accent.features.utterance import utterance_features

Backend = Callable[[Speech, FeatureConfig, str | None], tuple[np.ndarray, PitchTrack]]
"""`(speech, config, sex) -> (frames [T, D] of the whole recording, pitch track)`."""
BACKENDS: Mapping[str, Backend] = {"reference": reference.analyse}
"""Who can compute the columns, by the name in the configuration."""


@dataclass(frozen=True)
class Features:
    """What is known of one utterance after feature extraction."""

    frames_TD: np.ndarray
    """float32, columns in the schema's order, frames of the kept region; NaN where undefined."""
    phones_T: np.ndarray | None
    """int16 phone of each frame (position in `PHONES`, -1 outside the alignment); None without an alignment."""
    utterance: dict[str, float]
    """Values of the utterance as a whole, by name, in the order of `UTTERANCE_COLUMNS`; NaN where undefined."""


def extract(
    speech: Speech,
    config: FeatureConfig,
    intervals: Sequence[tuple[float, float, str]] | None = None,
    sex: str | None = None,
) -> Features:
    """Compute the features of one recording.

    Args:
        speech: the prepared recording.
        config: the backend and its settings.
        intervals: the phones, as (start, end, label) in seconds of the original recording, where there is an alignment.
        sex: "male" or "female" where known.

    Returns:
        Frames of the kept region, the phone of each frame, and the utterance's values.

    >>> from pathlib import Path
    >>> from accent.audio import load_speech
    >>> config = FeatureConfig()
    >>> features = extract(load_speech(Path("speech.wav"), config.audio), config)  # doctest: +SKIP
    >>> features.frames_TD.shape  # doctest: +SKIP
    (431, 143)
    """
    every_frame_TD, pitch = BACKENDS[config.backend](speech, config, sex)
    if every_frame_TD.shape != (speech.total_frames, N_COLUMNS):
        raise RuntimeError(
            f"backend {config.backend} made {every_frame_TD.shape}, not {(speech.total_frames, N_COLUMNS)}"
        )
    frames_TD = np.ascontiguousarray(every_frame_TD[speech.kept], dtype=np.float32)
    phones_T = None if intervals is None else phone_ids_on_grid(intervals, speech.first_frame, speech.n_frames)
    listed = None if intervals is None else list(intervals)
    return Features(frames_TD, phones_T, utterance_features(speech, frames_TD, listed, pitch, config))
