"""`accent score`: how well the phones and words of recordings were pronounced.

What should have been said comes from a TextGrid beside the recording, or in a folder `textgrid` beside the recording's
folder, as L2-ARCTIC has them; or from a folder of TextGrids, as `accent align` makes them from transcripts.  Without
one, decoded phones are scored.

Cost: features, some milliseconds a second of sound; then the phone heads.
"""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from accent.errors import AccentError
from accent.inference.accent_model import load
from accent.inference.pronunciation import PhoneScore, Pronunciation
from launch.applications.answers import Answers
from launch.applications.recordings import STDIN, Recording, collect
from launch.extraction.sound_files import textgrid_beside
from launch.extraction.terminal import track_on_terminal

DECODE = "none"
"""Instead of a folder of TextGrids: use none."""
SHOWN = 3
"""Phones in a line for people."""


def score_inputs(
    run: Path, inputs: Sequence[str], textgrid: str | None = None, as_json: bool = False, device: str = "cpu"
) -> int:
    """Print how well each recording was pronounced.

    Args:
        run: a run folder, a model folder or a weights file, of the branch `phones`.
        inputs: files, folders, `-`.
        textgrid: a folder that has a TextGrid for every recording; `none`: decoded phones are scored.  Without it:
            TextGrids beside the recordings, and decoded phones where there is none.
        as_json: print one JSON object a line, with every phone and word.
        device: where to compute.

    Returns:
        Exit status: 0 if everything was answered, 1 if a part was, 2 if nothing was.

    Raises:
        AccentError: no model, or one without phone heads; no such folder of TextGrids.
    """
    folder = None if textgrid in (None, DECODE) else Path(str(textgrid))
    if folder is not None and not folder.is_dir():
        raise AccentError(f"--textgrid {folder}: no such folder; give a folder of TextGrids, or {DECODE}")
    answers = Answers(as_json)
    model = load(run, device)
    model.embedder.need_phone_heads()
    with collect(inputs, "folder") as found:
        recordings_named = Counter(one.path.stem for one in found.recordings)
        for name, reason in found.refused:
            answers.refuse(name, reason)
        for recording in track_on_terminal(found.recordings, "listening"):
            try:
                if folder is not None:
                    used: Path | None = _textgrid_in(folder, recording, recordings_named[recording.path.stem] == 1)
                else:
                    used = None if textgrid == DECODE or recording.name == STDIN else textgrid_beside(recording.path)
                answer = model.score(recording.path, used)
            except AccentError as error:
                answers.refuse(recording.name, str(error).removeprefix(f"{recording.path}: "))
                continue
            answers.give(f"{recording.name}: {_line(answer)}", _values(recording, used, answer))
    return answers.status


def _textgrid_in(folder: Path, recording: Recording, only_one_of_its_name: bool) -> Path:
    """Return the TextGrid that a folder has for a recording, in its speaker's folder or directly."""
    name = f"{recording.path.stem}.TextGrid"
    places = [folder / recording.speaker / "textgrid" / name, folder / recording.speaker / name]
    # A TextGrid without a speaker could belong to any recording of its name.
    if only_one_of_its_name:
        places.append(folder / name)
    found = next((place for place in places if place.is_file()), None)
    if recording.name == STDIN or found is None:
        raise AccentError(f"no TextGrid for it in {folder}")
    return found


def _line(answer: Pronunciation) -> str:
    told = [(one.goodness, one) for one in answer.phones if one.goodness is not None]
    if answer.goodness is None or not told:
        return "no phone that can be scored"
    basis = "expected" if answer.expected else "decoded"
    worst = sorted((pair for pair in told if pair[0] < 0), key=lambda pair: pair[0])[:SHOWN]
    shown = "; worst: " + ", ".join(_shown(one) for _, one in worst) if worst else ""
    return f"goodness {answer.goodness:.2f} of {len(told)} {basis} phones{shown}"


def _shown(one: PhoneScore) -> str:
    return f"{one.phone} at {one.start:.2f} s ({one.goodness:.2f}, heard {one.heard})"


def _values(recording: Recording, textgrid: Path | None, answer: Pronunciation) -> dict[str, Any]:
    return {
        "input": recording.name,
        "textgrid": None if textgrid is None else str(textgrid),
        "goodness": answer.goodness,
        "words": [vars(one) for one in answer.words],
        "phones": [vars(one) for one in answer.phones],
    }
