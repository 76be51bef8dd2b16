"""Scores in the forms that people work with: rows of a table, tiers of a TextGrid.

Cost: that of writing them.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from accent.errors import AccentError
from accent.inference.pronunciation import PhoneScore, Pronunciation, WordScore, phones_within
from shards.corpora.textgrid import Interval, write_textgrid

Per = Literal["phone", "word", "utterance"]
Row = Mapping[str, Any]


def rows_of(per: Per, file: str, basis: str, answer: Pronunciation) -> list[Row]:
    """Return the rows of one recording.

    Args:
        per: what a row is.
        file: how the table calls the recording.
        basis: where the expected phones come from.
        answer: its scores.
    """
    about = {"file": file, "basis": basis}
    if per == "utterance":
        told = sum(one.goodness is not None for one in answer.phones)
        return [{**about, "phones_scored": told, "goodness": answer.goodness, "distance": answer.distance}]
    if per == "word":
        return [
            {
                **about,
                "word": one.word,
                "start_seconds": one.start,
                "end_seconds": one.end,
                "phones_scored": sum(
                    phone.goodness is not None for phone in phones_within(answer.phones, one.start, one.end)
                ),
                "goodness": one.goodness,
                "distance": one.distance,
            }
            for one in answer.words
        ]
    return [
        {
            **about,
            "word": _word_at(answer.words, (one.start + one.end) / 2),
            "phone": one.phone,
            "start_seconds": one.start,
            "end_seconds": one.end,
            "goodness": one.goodness,
            "heard": one.heard,
            "distance": one.distance,
        }
        for one in answer.phones
    ]


def write_tiers(path: Path, seconds: float, answer: Pronunciation) -> None:
    """Write scores as a TextGrid for Praat: words and phones, and under each its goodness, what was heard, distance.

    Args:
        path: the file; its folder is made.
        seconds: length of the sound.
        answer: the scores.

    Raises:
        AccentError: it cannot be written.
    """
    tiers = {
        "words": _tier(answer.words, [one.word for one in answer.words], seconds),
        "word goodness": _tier(answer.words, [_number(one.goodness) for one in answer.words], seconds),
        "phones": _tier(answer.phones, [one.phone for one in answer.phones], seconds),
        "goodness": _tier(answer.phones, [_number(one.goodness) for one in answer.phones], seconds),
        "heard": _tier(answer.phones, [one.heard or "" for one in answer.phones], seconds),
        "distance": _tier(answer.phones, [_number(one.distance) for one in answer.phones], seconds),
    }
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_textgrid(path, seconds, {name: tier for name, tier in tiers.items() if tier})
    except OSError as error:
        raise AccentError(f"{path}: cannot be written ({error.strerror or error}); see to the disk") from error


def _tier(scores: Sequence[PhoneScore | WordScore], labels: Sequence[str], seconds: float) -> list[Interval]:
    """Return the labelled intervals inside the sound; what cannot be told leaves a gap."""
    return [
        (one.start, min(one.end, seconds), label)
        for one, label in zip(scores, labels, strict=True)
        if label and one.start < seconds
    ]


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"


def _word_at(words: Sequence[WordScore], seconds: float) -> str | None:
    return next((one.word for one in words if one.start <= seconds < one.end), None)
