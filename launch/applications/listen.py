"""`accent stream`: the accent while somebody speaks.

Cost: `accent.inference.stream`; a file is read as fast as that allows.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from accent.errors import AccentError
from accent.inference.accent_model import load
from accent.inference.stream import StreamAnswer
from launch.applications.answers import Answers
from launch.applications.identify import identification_line, identification_values
from launch.applications.recordings import STDIN
from launch.applications.sound_sources import Pieces, from_file, from_microphone, from_stdin


def listen(
    run: Path,
    source: str | None,
    rate: int = 16_000,
    channels: int = 1,
    hop_seconds: float = 0.5,
    last_seconds: float | None = None,
    as_json: bool = False,
    device: str = "cpu",
) -> int:
    """Print the accent of one speaker at every hop, and once more at the end.

    Args:
        run: a run folder, a model folder or a weights file; calibrated.
        source: a sound file; `-` for raw PCM on stdin; None: the microphone.
        rate: of raw PCM.
        channels: of raw PCM.
        hop_seconds: as for `AccentStream`.
        last_seconds: as for `AccentStream`.
        as_json: print one JSON object a line.
        device: where to compute.

    Returns:
        Exit status: 0 if an accent was told, 2 if there was nothing to tell one from.

    Raises:
        AccentError: no model, not calibrated, or a source that cannot be used.
    """
    model = load(run, device)
    _ = model.calibration
    answers = Answers(as_json)
    stream = None
    for samples, its_rate in _pieces(source, rate, channels):
        if stream is None:
            stream = model.stream(its_rate, hop_seconds, last_seconds)
        for answer in stream.feed(samples):
            answers.give(_line(answer), stream_values(answer))
    if stream is None:
        raise AccentError(f"{source or 'microphone'}: no sound came from it")
    last = stream.finish()
    answers.give(f"{_line(last)}  (end)", {**stream_values(last), "end": True})
    if last.identification is None:
        answers.refuse(source or "microphone", str(last.reason))
        return 2
    return 0


def _pieces(source: str | None, rate: int, channels: int) -> Pieces:
    if source is None:
        return from_microphone()
    return from_stdin(rate, channels) if source == STDIN else from_file(Path(source))


def _line(answer: StreamAnswer) -> str:
    if answer.identification is None:
        return f"{answer.at_seconds:7.1f} s  no speech: {answer.reason}"
    return f"{answer.at_seconds:7.1f} s  {identification_line(answer.identification)}"


def stream_values(answer: StreamAnswer) -> Mapping[str, Any]:
    """Return an answer for programs: JSON's types only."""
    at = {"at_seconds": answer.at_seconds}
    if answer.identification is None or answer.embedding_E is None:
        return {**at, "accent": None, "reason": answer.reason}
    values = identification_values(answer.identification)
    probability = max(answer.identification.probabilities.values())
    return {**at, **values, "probability": probability, "embedding": answer.embedding_E.tolist()}
