"""Recordings heard by a model: features by one process or several, noise and music refused, predictions in batches.

Shapes: T frames, D columns.  Cost: features, some milliseconds a second of sound and core; then forward passes.
"""

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import NamedTuple

import numpy as np

from accent.errors import AccentError
from accent.grid import FRAMES_PER_SECOND
from accent.inference.accent_model import AccentModel
from accent.inference.embedder import Prediction
from accent.inference.speech_check import kind_of_sound
from launch.applications.answers import Answers
from launch.applications.recordings import Recording
from launch.extraction.sound_features import features_of_files
from launch.extraction.terminal import track_on_terminal

RECORDINGS_AT_A_TIME = 32


class Heard(NamedTuple):
    """What a model makes of one speaker's recordings."""

    recordings: list[Recording]
    """Those that could be used."""
    prediction: Prediction
    seconds: float
    """Speech in them."""


def hear_each(
    model: AccentModel,
    recordings: Sequence[Recording],
    answers: Answers,
    workers: int = 1,
    speech_only: bool = True,
) -> Iterator[Heard]:
    """Yield what the model makes of each recording by itself, in order; what cannot be used is refused.

    Args:
        model: the model.
        recordings: sound files.
        answers: told what is refused.
        workers: processes that make features.
        speech_only: refuse noise and music.
    """
    usable = usable_recordings(model, recordings, answers, workers, speech_only)
    while block := list(islice(usable, RECORDINGS_AT_A_TIME)):
        predictions = model.embedder.predict_recordings([frames_TD for _, frames_TD in block])
        for (place, frames_TD), prediction in zip(block, predictions, strict=True):
            yield Heard([recordings[place]], prediction, len(frames_TD) / FRAMES_PER_SECOND)


def hear_speakers(
    model: AccentModel,
    speakers: Sequence[Sequence[Recording]],
    answers: Answers,
    workers: int = 1,
    speech_only: bool = True,
) -> Iterator[Heard | None]:
    """Yield what the model makes of all recordings of each speaker together, in order; None if none can be used.

    Args:
        model: the model.
        speakers: the recordings of each.
        answers: told what is refused.
        workers: processes that make features.
        speech_only: refuse noise and music.
    """
    everything = [recording for recordings in speakers for recording in recordings]
    usable = usable_recordings(model, everything, answers, workers, speech_only)
    following = next(usable, None)
    end = 0
    for recordings in speakers:
        end += len(recordings)
        mine: list[tuple[int, np.ndarray]] = []
        while following is not None and following[0] < end:
            mine.append(following)
            following = next(usable, None)
        if not mine:
            yield None
            continue
        frames = [frames_TD for _, frames_TD in mine]
        seconds = sum(map(len, frames)) / FRAMES_PER_SECOND
        yield Heard([everything[place] for place, _ in mine], model.embedder.predict_speaker(frames), seconds)


def usable_recordings(
    model: AccentModel, recordings: Sequence[Recording], answers: Answers, workers: int, speech_only: bool = True
) -> Iterator[tuple[int, np.ndarray]]:
    """Yield the position of each recording that can be used, and its features; what cannot be used is refused."""
    features = features_of_files([one.path for one in recordings], model.embedder.feature_config, workers)
    heard = zip(range(len(recordings)), recordings, features, strict=True)
    for place, recording, frames_TD in track_on_terminal(heard, "listening", len(recordings)):
        if isinstance(frames_TD, AccentError):
            answers.refuse(recording.name, str(frames_TD).removeprefix(f"{recording.path}: "))
            continue
        reason = kind_of_sound(frames_TD).reason if speech_only else None
        if reason is None:
            yield place, frames_TD
        else:
            answers.refuse(recording.name, reason)
