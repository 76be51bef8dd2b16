"""Pronunciation errors that listeners marked, as L2-ARCTIC's folders `annotation` have them.

The tier of phones holds, beside plain labels of phones said as they should be, labels of three parts:

    Z,S,s      Z should have been said, S was heard: a substitution
    T,sil,d    T should have been said, nothing was heard: a deletion
    sil,AH,a   AH was heard where nothing should have been said: an addition

`*` after the second part means that the phone was heard with an accent, `err` that nobody could tell which it was.

Source: documentation of L2-ARCTIC v5.0.
Cost: that of reading a TextGrid.
"""

from pathlib import Path
from typing import Literal, NamedTuple

from accent.errors import AccentError
from accent.features.phones import normalise_label
from accent.features.textgrid import TIERS, read_labels

Error = Literal["s", "d", "a"]
"""Substitution, deletion, addition."""
_ERRORS: dict[str, Error] = {"s": "s", "d": "d", "a": "a"}


class AnnotatedPhone(NamedTuple):
    """One interval of an annotation."""

    start: float
    """Seconds."""
    end: float
    """Seconds."""
    canonical: str
    """One of `PHONES`: what should have been said; silence in an addition."""
    perceived: str
    """What was heard, as it is written."""
    error: Error | None
    """None: said as it should be."""


def read_annotation(path: Path) -> list[AnnotatedPhone]:
    """Read the annotated phones of a recording.

    Args:
        path: a TextGrid with a tier of phones.

    Returns:
        Every interval, in order of time.

    Raises:
        AccentError: no such file, no tier of phones, or a label that is none of the four kinds.
    """
    labelled = read_labels(path, TIERS)
    if not labelled:
        raise AccentError(f"{path}: no tier of phones ({', '.join(TIERS)}); this is no annotation")
    return [_phone(path, *interval) for interval in labelled]


def _phone(path: Path, start: float, end: float, label: str) -> AnnotatedPhone:
    parts = [part.strip() for part in label.split(",")]
    if len(parts) == 1:
        return AnnotatedPhone(start, end, normalise_label(parts[0]), parts[0], None)
    error = _ERRORS.get(parts[-1].lower())
    if len(parts) != 3 or error is None:
        raise AccentError(
            f"{path}: the label '{label}' at {start:.2f} s is neither a phone nor CANONICAL,PERCEIVED,ERROR with an "
            "error s, d or a"
        )
    return AnnotatedPhone(start, end, normalise_label(parts[0]), parts[1], error)
