"""From prepared speech to feature frames: backend, kept region, phones, utterance values.

Cost: the backend's.  Backends are imported when they are first used, so that the numba one does not wait for Praat.

Shape legend: T frames of 10 ms, D columns of the schema.
"""

import importlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from accent.audio.prepare import AudioConfig, Speech, prepare_speech
from accent.features.backend import Backend
from accent.features.config import FeatureConfig
from accent.features.phones import phone_ids_on_grid
from accent.features.schema import N_COLUMNS
from accent.features.utterance import utterance_features
from accent.grid import SAMPLE_RATE

BACKENDS: Mapping[str, str] = {
    "numba": "accent.features.kernels.backend",
    "reference": "accent.features.reference.backend",
}
"""Who can compute the columns: the name in the configuration, and the module whose `analyse` does it."""


@dataclass(frozen=True)
class Features:
    """What is known of one utterance after feature extraction."""

    frames_TD: np.ndarray
    """float32, columns in the schema's order, frames of the kept region; NaN where undefined."""
    phones_T: np.ndarray | None
    """int16 phone of each frame (position in `PHONES`, -1 outside the alignment); None without an alignment."""
    utterance: dict[str, float]
    """Values of the utterance as a whole, by name, in the order of `UTTERANCE_COLUMNS`; NaN where undefined."""


def find_backend(name: str) -> Backend:
    """Return the backend of this name, one of `BACKENDS`."""
    backend: Backend = importlib.import_module(BACKENDS[name]).analyse
    return backend


def prepare_backend(config: FeatureConfig) -> None:
    """Compile and load every kernel that `extract` needs, by extracting a short synthetic sound.

    Costs half a minute where no compiled kernels are kept on disk, else about a second.  Call it before you
    start several processes, so that they find the kernels on disk.
    """
    clock_N = np.arange(SAMPLE_RATE) / SAMPLE_RATE
    hum_N = np.sum([np.sin(2 * np.pi * 120 * harmonic * clock_N) / harmonic for harmonic in range(1, 30)], axis=0)
    # As a file of 16 bits, what most recordings are.
    speech = prepare_speech((3_000 * hum_N).astype(np.int16), SAMPLE_RATE, AudioConfig())
    extract(speech, config, intervals=[(0.1, 0.4, "AA"), (0.4, 0.7, "S")])


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
    >>> from accent.audio.prepare import load_speech
    >>> config = FeatureConfig()
    >>> features = extract(load_speech(Path("speech.wav"), config.audio), config)  # doctest: +SKIP
    >>> features.frames_TD.shape  # doctest: +SKIP
    (431, 143)
    """
    analysis = find_backend(config.backend)(speech, config, sex)
    every_frame_TD = analysis.frames_TD
    if every_frame_TD.shape != (speech.total_frames, N_COLUMNS):
        raise RuntimeError(
            f"backend {config.backend} made {every_frame_TD.shape}, not {(speech.total_frames, N_COLUMNS)}"
        )
    frames_TD = np.ascontiguousarray(every_frame_TD[speech.kept], dtype=np.float32)
    phones_T = None if intervals is None else phone_ids_on_grid(intervals, speech.first_frame, speech.n_frames)
    listed = None if intervals is None else list(intervals)
    return Features(frames_TD, phones_T, utterance_features(speech, analysis, listed, config))
