"""`accent embed --json`: embeddings of sound files or speakers, one line each.

Cost: features, some milliseconds a second of sound and core; then forward passes.
"""

from collections.abc import Sequence
from pathlib import Path

from accent.inference.accent_model import load
from launch.applications.answers import Answers
from launch.applications.heard import Heard, hear_each, hear_speakers
from launch.applications.recordings import collect


def embed_inputs(
    run: Path,
    inputs: Sequence[str],
    speaker_from: str | None = None,
    workers: int = 1,
    device: str = "cpu",
) -> int:
    """Print the embedding of each recording, or of each speaker, as a JSON object a line.

    Args:
        run: a run folder, a model folder or a weights file.
        inputs: files, folders, `-`.
        speaker_from: `folder`, `name` or a table: one line a speaker.  None: one a recording.
        workers: processes that make features.
        device: where to compute.

    Returns:
        Exit status: 0 if everything was embedded, 1 if a part was, 2 if nothing was.

    Raises:
        AccentError: no model, or a `speaker_from` that cannot be used.
    """
    answers = Answers(as_json=True)
    with collect(inputs, speaker_from) as found:
        model = load(run, device)
        for name, reason in found.refused:
            answers.refuse(name, reason)
        if speaker_from is None:
            for heard in hear_each(model, found.recordings, answers, workers, speech_only=False):
                _tell(answers, heard, {"input": heard.recordings[0].name})
            return answers.status
        speakers = found.by_speaker()
        everyone = hear_speakers(model, list(speakers.values()), answers, workers, speech_only=False)
        for speaker, everything in zip(speakers, everyone, strict=True):
            if everything is not None:
                names = [one.name for one in everything.recordings]
                _tell(answers, everything, {"speaker": speaker, "inputs": names})
    return answers.status


def _tell(answers: Answers, heard: Heard, whose: dict[str, object]) -> None:
    answers.give("", {**whose, "seconds": heard.seconds, "embedding": heard.prediction.embedding_E.tolist()})
