"""Phones from a TextGrid.

A TextGrid in the plain form that Praat and the usual aligners write is read here; anything else is given to Praat
itself (parselmouth), so that what Praat opens, we open: comments, other orders of lines, binary files.  Intervals of no
length are left out.

Cost: 0.07 ms a TextGrid of four seconds in the plain form; 1 ms through Praat.
"""

import codecs
import re
import warnings
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from accent.errors import AccentError
from accent.features.alphabets import are_sampa
from accent.features.phones import UNKNOWN, known_phone

TIERS = ("phones", "phone", "phonemes", "phoneme", "mau")
"""Names of the tier of phones, in any case; a speaker's name may stand before them: `Ann - phones`."""
WORD_TIERS = ("words", "word", "ort", "ort-mau")
"""Names of the tier of words, in any case."""
ROUNDING_SECONDS = 0.001
"""Intervals may overlap by this much: programs round times in their own ways."""
_Intervals = list[tuple[float, float, str]]
_Tiers = list[tuple[str, _Intervals | None]]
"""Name and intervals of each tier; None for tiers of points."""


class Alignment(NamedTuple):
    """The phones of a recording."""

    intervals: list[tuple[float, float, str]]
    """(start, end, phone) in seconds, in order of time; every phone is one of `PHONES`."""
    unknown: dict[str, int]
    """Labels that stand for no phone we know, and how often each comes; their intervals are `spn`."""


class _Layout(NamedTuple):
    """One of Praat's two text formats, as the patterns of its parts; each part begins where the last one ended."""

    header: re.Pattern[str]
    tier: re.Pattern[str]
    interval: re.Pattern[str]


# A number, a text without quotes or brackets (which could be mistaken for structure), the end of a line, and the end of
# a line with the indentation of the next.
_PIECES = {
    "number": r"(-?[0-9]+(?:\.[0-9]+)?)",
    "count": r"([0-9]{1,9})",
    "text": r'"([^"\[\n]*)"',
    "end": r"[ \t]*\n",
    "next": r"[ \t]*\n[ \t]*",
}
_BEGINNING = r'File type = "ooTextFile"{end}Object class = "TextGrid"{end}{end}'


def _layout(header: str, tier: str, interval: str) -> _Layout:
    return _Layout(*(re.compile(part.format_map(_PIECES)) for part in (header, tier, interval)))


_LAYOUTS = (
    _layout(
        _BEGINNING + r"xmin = {number}{next}xmax = {number}{next}tiers\? <exists>{next}size = {count}{next}"
        r"item \[\]:{next}",
        r'item \[{count}\]:{next}class = "IntervalTier"{next}name = {text}{next}'
        r"xmin = {number}{next}xmax = {number}{next}intervals: size = {count}{next}",
        r"intervals \[{count}\]:{next}xmin = {number}{next}xmax = {number}{next}text = {text}{next}",
    ),
    _layout(
        _BEGINNING + r"{number}{end}{number}{end}<exists>{end}{count}{end}",
        r'("IntervalTier"){end}{text}{end}{number}{end}{number}{end}{count}{end}',
        r"(){number}{end}{number}{end}{text}{end}",
    ),
)
"""The long and the short one."""


def read_alignment(textgrid_path: Path) -> Alignment:
    """Read the phones of a TextGrid.

    Args:
        textgrid_path: a TextGrid with an interval tier of phones, as `TIERS` names it; ARPAbet, IPA or SAMPA.

    Returns:
        The phones, and the labels that are none.

    Raises:
        AccentError: the file is missing, is no TextGrid, or has no such tier or several; the line names the file.
    """
    path = Path(textgrid_path)
    labelled = _phone_tier(_tiers(path), path)
    sampa = are_sampa(label for _, _, label in labelled)
    phones = [(start, end, known_phone(label, sampa)) for start, end, label in labelled]
    unknown = Counter(label for (_, _, label), (_, _, phone) in zip(labelled, phones, strict=True) if phone is None)
    return Alignment([(start, end, phone or UNKNOWN) for start, end, phone in phones], dict(sorted(unknown.items())))


def read_labels(textgrid_path: Path, names: Sequence[str]) -> list[tuple[float, float, str]]:
    """Read the labels of a tier as they are written.

    Args:
        textgrid_path: a TextGrid.
        names: names that the tier may have, in lower case.

    Returns:
        (start, end, label) in seconds, in order of time; nothing if no tier has such a name.

    Raises:
        AccentError: the file is missing or is no TextGrid, or there are several such tiers.
    """
    path = Path(textgrid_path)
    found = _named(_tiers(path), names)
    if len(found) > 1 and any(one != found[0] for one in found):
        raise AccentError(f"{path}: {len(found)} tiers named {' or '.join(names)}; keep one")
    return found[0] if found else []


def read_words(textgrid_path: Path) -> list[tuple[float, float, str]]:
    """Read the words of a TextGrid: (start, end, word) in seconds, in order of time; a pause has the label "".

    Raises:
        AccentError: the file is missing, is no TextGrid, or has no interval tier named as `WORD_TIERS` says.
    """
    words = read_labels(textgrid_path, WORD_TIERS)
    if not words:
        names = ", ".join(name for name, _ in _tiers(Path(textgrid_path))) or "no tiers"
        raise AccentError(f"{textgrid_path}: no interval tier named '{WORD_TIERS[0]}'; it has {names}")
    return words


def _tiers(path: Path) -> _Tiers:
    try:
        if not path.is_file():
            raise AccentError(f"{path}: no such TextGrid")
        tiers = _read_plainly(path)
        return _read_with_praat(path) if tiers is None else tiers
    except OSError as error:
        raise AccentError(f"{path}: cannot be read ({error.strerror or error})") from error


def _phone_tier(tiers: _Tiers, path: Path) -> _Intervals:
    """Return the tier of phones, among tiers of intervals and (None) of points."""
    found = _named(tiers, TIERS)
    names = ", ".join(name for name, _ in tiers) or "no tiers"
    if not found:
        raise AccentError(f"{path}: no interval tier named '{TIERS[0]}'; it has {names}")
    if len(found) > 1 and any(one != found[0] for one in found):
        raise AccentError(f"{path}: {len(found)} tiers of phones among {names}; keep one")
    return found[0]


def _named(tiers: _Tiers, names: Sequence[str]) -> list[_Intervals]:
    """Return the interval tiers of these names; only if there are none, those with a speaker's name before it."""
    exactly, at_the_end = [], []
    for name, intervals in tiers:
        words = name.strip().lower()
        if intervals is not None and words in names:
            exactly.append(intervals)
        elif intervals is not None and re.split(r"\s+-\s+|[/:]", words)[-1].strip() in names:
            at_the_end.append(intervals)
    return exactly or at_the_end


def _read_plainly(path: Path) -> _Tiers | None:
    """Return the tiers of a TextGrid that is written as Praat and the usual aligners write it; None for others."""
    content = path.read_bytes()
    encoding = "utf-16" if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else "utf-8-sig"
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError:
        # As Praat does: what is not UTF-8 is Latin-1.
        text = content.decode("latin-1")
    text = text.replace("\r\n", "\n")
    return next((tiers for layout in _LAYOUTS if (tiers := _plain_tiers(text, layout))), None)


def _plain_tiers(text: str, layout: _Layout) -> _Tiers:
    """Return name and intervals of every tier; none unless all of the text is as the layout and the counts say."""
    header = layout.header.match(text)
    if header is None or float(header[1]) >= float(header[2]):
        return []
    tiers: _Tiers = []
    at = header.end()
    for _ in range(int(header[3])):
        opening = layout.tier.match(text, at)
        if opening is None or float(opening[3]) >= float(opening[4]):
            return []
        at = opening.end()
        intervals: _Intervals = []
        for _ in range(int(opening[5])):
            found = layout.interval.match(text, at)
            if found is None:
                return []
            _, start, end, label = found.groups()
            intervals.append((float(start), float(end), label.strip()))
            at = found.end()
        if not _in_order(intervals):
            return []
        tiers.append((opening[2], _lasting(intervals)))
    return tiers if at == len(text) else []


def _in_order(intervals: _Intervals) -> bool:
    """Tell whether no interval ends before its start, or more than a rounding error after the next one begins."""
    lasting = all(start <= end for start, end, _ in intervals)
    return lasting and all(end <= start + ROUNDING_SECONDS for (_, end, _), (start, _, _) in pairwise(intervals))


def _lasting(intervals: _Intervals) -> _Intervals:
    return [one for one in intervals if one[0] < one[1]]


def _read_with_praat(path: Path) -> _Tiers:
    """Let Praat read a TextGrid, in any form that it knows."""
    # Imported here, because most processes never need it.
    import parselmouth
    from parselmouth.praat import call

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", parselmouth.PraatWarning)
            grid = parselmouth.read(str(path))
    except (parselmouth.PraatError, parselmouth.PraatFatal, UnicodeError) as error:
        reason = str(error).strip().splitlines()[0].rstrip(".") if str(error).strip() else type(error).__name__
        raise AccentError(f"{path}: not readable as a TextGrid (Praat: {reason})") from error
    if not isinstance(grid, parselmouth.TextGrid):
        raise AccentError(f"{path}: not readable as a TextGrid (Praat: it is a {type(grid).__name__})")
    tiers: _Tiers = []
    for tier in range(1, call(grid, "Get number of tiers") + 1):
        name = call(grid, "Get tier name", tier)
        if not call(grid, "Is interval tier", tier):
            tiers.append((name, None))
            continue
        intervals = [
            (
                call(grid, "Get start time of interval", tier, number),
                call(grid, "Get end time of interval", tier, number),
                call(grid, "Get label of interval", tier, number).strip(),
            )
            for number in range(1, call(grid, "Get number of intervals", tier) + 1)
        ]
        if not _in_order(intervals):
            raise AccentError(f"{path}: the intervals of its tier '{name}' overlap or run backwards")
        tiers.append((name, _lasting(intervals)))
    return tiers
