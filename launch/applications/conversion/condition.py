"""`accent condition`: the vectors that a conversion or synthesis system is conditioned on, as .npz or .safetensors.

Of every recording, every speaker and every accent; on request, of what lies between two accents, and of recordings and
speakers moved from one accent towards another.  The README of this room has the schema.

Shapes: N recordings, S speakers, A accents, E embedding, W weights.  Cost: features, some milliseconds a second of
sound and core; two forward passes a recording.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from safetensors.numpy import save

from accent.errors import AccentError
from accent.files import writable_folder, write_archive, write_bytes
from accent.inference.accent_model import AccentModel, load
from accent.inference.conditioning import between, directions, moved
from accent.inference.profiles import AccentProfiles
from launch.applications.answers import Answers
from launch.applications.heard import usable_recordings
from launch.applications.recordings import Recording, collect

SCHEMA = "accent-conditioning-1"
SUFFIXES = (".npz", ".safetensors")


class Interpolation(NamedTuple):
    """From which accent to which, and how far."""

    first: str
    second: str
    weights: tuple[float, ...]

    @classmethod
    def parse(cls, first: str, second: str, weights: str) -> "Interpolation":
        """Read what a user wrote: two accents, and numbers with commas.

        Raises:
            AccentError: no such numbers.
        """
        try:
            return cls(first, second, tuple(float(one) for one in weights.split(",")))
        except ValueError:
            raise AccentError(f"--interpolate: '{weights}' is no list of numbers with commas, as 0.25,0.5") from None


def condition(
    run: Path,
    inputs: Sequence[str],
    output: Path,
    speaker_from: str | None = None,
    interpolation: Interpolation | None = None,
    workers: int = 1,
    device: str = "cpu",
) -> int:
    """Write the vectors of recordings.

    Args:
        run: a calibrated run folder or exported model.
        inputs: sound files, folders, `-`.
        output: the .npz or .safetensors file.
        speaker_from: who speaks, as for `launch.applications.recordings.collect`; without it, each recording is a
            speaker of its own.
        interpolation: between two accents.
        workers: processes that make features.
        device: where to compute.

    Returns:
        Exit status: 0 if every recording was used, 1 if a part was.

    Raises:
        AccentError: no model, accents that were never measured or that it does not know, no recording that can be used,
            or an output that cannot be written.
    """
    if output.suffix not in SUFFIXES:
        raise AccentError(f"{output}: the output ends in {' or '.join(SUFFIXES)}")
    writable_folder(output.parent)
    model = load(run, device)
    arrays = _of_accents(model, interpolation)
    answers = Answers()
    with collect(inputs, speaker_from) as found:
        for name, reason in found.refused:
            answers.refuse(name, reason)
        arrays |= _of_recordings(model, found.by_speaker(), answers, workers, interpolation)
    _write(output, arrays)
    print(f"{output}: {len(arrays['utterance_vectors'])} recordings of {len(arrays['speaker_vectors'])} speakers")
    return answers.status


def _of_accents(model: AccentModel, interpolation: Interpolation | None) -> dict[str, np.ndarray]:
    profiles = model.profiles
    arrays = {
        "schema": np.array(SCHEMA),
        "weights_sha256": np.array(profiles.weights_sha256),
        "accent_names": np.array(profiles.accents),
        "accent_vectors": profiles.embedding_AE,
        "accent_directions": directions(profiles.embedding_AE).astype(np.float32),
    }
    if interpolation is not None:
        first_E, second_E = _ends(profiles, interpolation)
        arrays["interpolation_accents"] = np.array([interpolation.first, interpolation.second])
        arrays["interpolation_weights"] = np.array(interpolation.weights, np.float32)
        arrays["interpolated_accent_vectors"] = between(first_E, second_E, interpolation.weights).astype(np.float32)
    return arrays


def _of_recordings(
    model: AccentModel,
    speakers: dict[str, list[Recording]],
    answers: Answers,
    workers: int,
    interpolation: Interpolation | None,
) -> dict[str, np.ndarray]:
    everything = [(name, one) for name, recordings in speakers.items() for one in recordings]
    usable = list(usable_recordings(model, [one for _, one in everything], answers, workers))
    heard: dict[str, list[tuple[str, np.ndarray]]] = {}
    for place, frames_TD in usable:
        name, one = everything[place]
        heard.setdefault(name, []).append((one.name, frames_TD))
    if not heard:
        raise AccentError(f"none of {len(everything)} recordings can be used; the lines above say why")
    keys, owners, utterances, together = [], [], [], []
    for name, mine in heard.items():
        frames = [frames_TD for _, frames_TD in mine]
        keys += [key for key, _ in mine]
        owners += [name] * len(mine)
        utterances += [one.embedding_E for one in model.embedder.predict_voice(frames)]
        together.append(model.embedder.predict_speaker(frames).embedding_E)
    arrays = {
        "utterance_keys": np.array(keys),
        "utterance_speakers": np.array(owners),
        "utterance_vectors": np.stack(utterances),
        "speaker_names": np.array(list(heard)),
        "speaker_vectors": np.stack(together),
    }
    if interpolation is not None:
        first_E, second_E = _ends(model.profiles, interpolation)
        for level in ("utterance", "speaker"):
            vectors = moved(arrays[f"{level}_vectors"], first_E, second_E, interpolation.weights)
            arrays[f"interpolated_{level}_vectors"] = vectors.astype(np.float32)
    return arrays


def _ends(profiles: AccentProfiles, interpolation: Interpolation) -> tuple[np.ndarray, np.ndarray]:
    """Return the vectors of the two accents."""
    first, second = (profiles.position(name) for name in (interpolation.first, interpolation.second))
    return profiles.embedding_AE[first], profiles.embedding_AE[second]


def _write(output: Path, arrays: dict[str, np.ndarray]) -> None:
    if output.suffix == ".npz":
        write_archive(output, arrays)
        return
    # safetensors hold numbers; what is text stands in the header, as JSON.
    text = {name: json.dumps(one.tolist(), ensure_ascii=False) for name, one in arrays.items() if one.dtype.kind == "U"}
    numbers = {name: np.ascontiguousarray(one) for name, one in arrays.items() if name not in text}
    write_bytes(output, save(numbers, text))
