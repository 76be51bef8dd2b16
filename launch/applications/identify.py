"""`accent identify` and `accent verify`: answers about sound files.

Cost: features, some milliseconds a second of sound and core; then forward passes.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from accent.errors import AccentError
from accent.inference.accent_model import AccentModel, Identification, load
from launch.applications.answers import Answers
from launch.applications.heard import Heard, hear_each, hear_speakers
from launch.applications.recordings import Recording, collect

SHOWN = 3
"""Accents in a line for people."""


def identify_inputs(
    run: Path,
    inputs: Sequence[str],
    speaker_from: str | None = None,
    as_json: bool = False,
    workers: int = 1,
    device: str = "cpu",
) -> int:
    """Print the accent of each recording, or of each speaker.

    Args:
        run: a run folder, a model folder or a weights file; calibrated.
        inputs: files, folders, `-`.
        speaker_from: `folder`, `name` or a table: one answer a speaker.  None: one a recording.
        as_json: print one JSON object a line.
        workers: processes that make features.
        device: where to compute.

    Returns:
        Exit status: 0 if everything was answered, 1 if a part was, 2 if nothing was.

    Raises:
        AccentError: no model, not calibrated, or a `speaker_from` that cannot be used.
    """
    answers = Answers(as_json)
    with collect(inputs, speaker_from) as found:
        model = load(run, device)
        _ = model.calibration
        for name, reason in found.refused:
            answers.refuse(name, reason)
        if speaker_from is None:
            for heard in hear_each(model, found.recordings, answers, workers):
                _tell(answers, model, heard.recordings[0].name, heard, {"input": heard.recordings[0].name})
            return answers.status
        speakers = found.by_speaker()
        for speaker, everything in zip(
            speakers, hear_speakers(model, list(speakers.values()), answers, workers), strict=True
        ):
            if everything is not None:
                names = [one.name for one in everything.recordings]
                _tell(answers, model, speaker, everything, {"speaker": speaker, "inputs": names})
    return answers.status


def _tell(answers: Answers, model: AccentModel, name: str, heard: Heard, values: dict[str, Any]) -> None:
    answer = model.identification(heard.prediction, heard.seconds)
    answers.give(f"{name}: {identification_line(answer)}", {**values, **identification_values(answer)})


def identification_line(answer: Identification) -> str:
    """Return an answer for people."""
    shares = [f"{accent} {share:.2f}" for accent, share in list(answer.probabilities.items())[:SHOWN]]
    more = ", ..." if len(answer.probabilities) > SHOWN else ""
    ranked = ", ".join(shares) + more
    return ranked if answer.known else f"{answer.accent} (nearest: {ranked})"


def identification_values(answer: Identification) -> dict[str, Any]:
    """Return an answer for programs."""
    return {
        "accent": answer.accent,
        "known": answer.known,
        "probabilities": dict(answer.probabilities),
        "unknownness": answer.unknownness,
        "unknown_above": answer.unknown_above,
        "seconds": answer.seconds,
    }


def verify_inputs(
    run: Path,
    pairs: Sequence[tuple[str, str]],
    as_json: bool = False,
    workers: int = 1,
    device: str = "cpu",
) -> int:
    """Print for each pair of speakers whether they share an accent.

    Args:
        run: a run folder, a model folder or a weights file; calibrated.
        pairs: two inputs each: a file, a folder of one speaker's recordings, or `-`.
        as_json: print one JSON object a line.
        workers: processes that make features.
        device: where to compute.

    Returns:
        Exit status: 0 if everything was answered, 1 if a part was, 2 if nothing was.

    Raises:
        AccentError: no model, or one that is not calibrated.
    """
    answers = Answers(as_json)
    model = load(run, device)
    _ = model.calibration
    sides = list(dict.fromkeys(side for pair in pairs for side in pair))
    heard: dict[str, tuple[np.ndarray, float]] = {}
    with collect(sides) as found:
        for name, reason in found.refused:
            answers.refuse(name, reason)
        groups = {side: group for side in sides if (group := _below(side, found.recordings))}
        for side, one in zip(groups, hear_speakers(model, list(groups.values()), answers, workers), strict=True):
            if one is not None:
                heard[side] = (one.prediction.embedding_E, one.seconds)
    for first, second in pairs:
        if first not in heard or second not in heard:
            missing = [side for side in (first, second) if side not in heard]
            answers.refuse(f"{first} {second}", f"nothing in {' and '.join(missing)} can be used")
            continue
        (first_E, first_seconds), (second_E, second_seconds) = heard[first], heard[second]
        answer = model.verification(first_E, second_E, min(first_seconds, second_seconds))
        word = "same accent" if answer.same_accent else "different accents"
        answers.give(
            f"{first} {second}: {word}, score {answer.score:.3f}, threshold {answer.threshold:.3f} "
            f"(equal error rate {answer.equal_error_rate:.2f})",
            {
                "first": first,
                "second": second,
                "same_accent": answer.same_accent,
                "score": answer.score,
                "threshold": answer.threshold,
                "equal_error_rate": answer.equal_error_rate,
            },
        )
    return answers.status


def _below(side: str, recordings: Sequence[Recording]) -> list[Recording]:
    """Return the recordings that a side of a pair names."""
    if side == "-":
        return [one for one in recordings if one.name == "-"]
    root = Path(side).resolve()
    return [
        one
        for one in recordings
        if one.name != "-" and (one.path.resolve() == root or root in one.path.resolve().parents)
    ]


def read_pairs(lines: Sequence[str], place: str) -> list[tuple[str, str]]:
    """Read trials: two inputs a line, or a label and two inputs, as VoxCeleb's lists have it; the label is not read.

    Args:
        lines: of the list.
        place: its name, for the error.

    Raises:
        AccentError: a line has another number of words, or there is no line.
    """
    pairs = []
    for number, line in enumerate(lines, start=1):
        words = line.split()
        if not words:
            continue
        if len(words) not in (2, 3):
            raise AccentError(f"{place}, line {number}: {len(words)} words; give two inputs, or a label and two inputs")
        pairs.append((words[-2], words[-1]))
    if not pairs:
        raise AccentError(f"{place}: no pair of inputs in it")
    return pairs
