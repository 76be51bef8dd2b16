"""`accent score`: how well the phones and words of recordings were pronounced.

Each recording is answered as a line; on request its phones, words or itself become rows of a table, and a TextGrid is
written that Praat shows beside the sound.

Cost: features, some milliseconds a second of sound; then the phone heads; an alignment where a text is given.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import soundfile

from accent.errors import AccentError
from accent.files import writable_folder
from accent.inference.accent_model import load
from accent.inference.pronunciation import PhoneScore, Pronunciation
from launch.applications.answers import Answers
from launch.applications.pronunciation.expected import Expectations, Found
from launch.applications.pronunciation.forms import Per, Row, rows_of, write_tiers
from launch.applications.recordings import STDIN, Recording, collect
from launch.extraction.terminal import track_on_terminal
from launch.measurement.table_file import check_table_path, write_table

SHOWN = 3
"""Phones in a line for people."""


@dataclass(frozen=True)
class ScoreOptions:
    """What is compared, and in which forms it is told."""

    textgrid: str | None = None
    """As for `Expectations`."""
    text: str | None = None
    """As for `Expectations`."""
    target: str | None = None
    """An accent that the model knows: distances from its realisation of each phone."""
    table: Path | None = None
    """A .csv, .parquet or .xlsx file to write."""
    per: Per = "phone"
    """What a row of the table is."""
    tiers: Path | None = None
    """A folder for a TextGrid of each recording."""
    as_json: bool = False
    """Print one JSON object a line, with every phone and word."""


def score_inputs(run: Path, inputs: Sequence[str], options: ScoreOptions = ScoreOptions(), device: str = "cpu") -> int:
    """Print how well each recording was pronounced.

    Args:
        run: a run folder, a model folder or a weights file, of the branch `phones`.
        inputs: files, folders, `-`.
        options: what is compared and told.
        device: where to compute.

    Returns:
        Exit status: 0 if everything was answered, 1 if a part was, 2 if nothing was.

    Raises:
        AccentError: no model, or one without phone heads; no such folder of TextGrids; an unknown target; an output
            that cannot be written.
    """
    if options.table is not None:
        check_table_path(options.table)
        writable_folder(options.table.parent)
    if options.tiers is not None:
        writable_folder(options.tiers)
    answers = Answers(options.as_json)
    model = load(run, device)
    model.embedder.need_phone_heads()
    if options.target is not None:
        model.profiles.position(options.target)
    rows: list[Row] = []
    with collect(inputs, "folder") as found:
        expectations = Expectations(found.recordings, options.textgrid, options.text)
        places = _places(found.recordings)
        for name, reason in found.refused:
            answers.refuse(name, reason)
        for recording in track_on_terminal(found.recordings, "listening"):
            try:
                known = expectations.of(recording)
                answer = model.score(recording.path, known.expected, target=options.target)
            except AccentError as error:
                answers.refuse(recording.name, str(error).removeprefix(f"{recording.path}: "))
                continue
            rows += rows_of(options.per, recording.name, known.basis, answer)
            if options.tiers is not None:
                write_tiers(options.tiers / places[recording.name], _seconds(recording.path), answer)
            answers.give(f"{recording.name}: {_line(answer, known)}", _values(recording, known, answer))
    if options.table is not None and rows:
        import pandas as pd

        write_table(options.table, pd.DataFrame(rows))
    return answers.status


def _places(recordings: Sequence[Recording]) -> dict[str, Path]:
    """Return where each recording's TextGrid goes: under the folder of its speaker if names come twice."""
    stems = [one.path.stem for one in recordings]
    return {
        one.name: Path("stdin.TextGrid")
        if one.name == STDIN
        else Path(one.speaker if stems.count(one.path.stem) > 1 else "", f"{one.path.stem}.TextGrid")
        for one in recordings
    }


def _seconds(path: Path) -> float:
    return float(soundfile.info(path).duration)


def _line(answer: Pronunciation, known: Found) -> str:
    told = [(one.goodness, one) for one in answer.phones if one.goodness is not None]
    if answer.goodness is None or not told:
        return "no phone that can be scored"
    kind = "decoded" if known.basis == "decoded" else "expected"
    worst = sorted((pair for pair in told if pair[0] < 0), key=lambda pair: pair[0])[:SHOWN]
    shown = "; worst: " + ", ".join(_shown(one) for _, one in worst) if worst else ""
    distance = "" if answer.distance is None else f", distance {answer.distance:.2f}"
    aligned = ", aligned by PocketSphinx" if known.basis == "text" else ""
    return f"goodness {answer.goodness:.2f} of {len(told)} {kind} phones{aligned}{distance}{shown}"


def _shown(one: PhoneScore) -> str:
    return f"{one.phone} at {one.start:.2f} s ({one.goodness:.2f}, heard {one.heard})"


def _values(recording: Recording, known: Found, answer: Pronunciation) -> dict[str, Any]:
    return {
        "input": recording.name,
        "basis": known.basis,
        "textgrid": known.source if known.basis == "TextGrid" else None,
        "text": known.source if known.basis == "text" else None,
        "goodness": answer.goodness,
        "distance": answer.distance,
        "words": [vars(one) for one in answer.words],
        "phones": [vars(one) for one in answer.phones],
    }
