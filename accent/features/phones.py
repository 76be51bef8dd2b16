"""Phones from a TextGrid, and the phone of every frame.

The inventory is ARPAbet as the CMU dictionary and the usual aligners write it, without stress, with one label for
silence and one for speech that is no phone of the inventory.

Cost: 0.07 ms a TextGrid of four seconds in the plain form that Praat and the usual aligners write; 0.3 ms in others.

Shape legend: T frames of 10 ms.
"""

import codecs
import functools
import re
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np

from accent.errors import AccentError
from accent.grid import FRAMES_PER_SECOND

# fmt: off
VOWELS: tuple[str, ...] = (
    "AA", "AE", "AH", "AO", "AW", "AY", "EH", "ER", "EY", "IH", "IY", "OW", "OY", "UH", "UW",
)
CONSONANTS: tuple[str, ...] = (
    "B", "CH", "D", "DH", "F", "G", "HH", "JH", "K", "L", "M", "N", "NG", "P", "R", "S", "SH", "T", "TH", "V", "W",
    "Y", "Z", "ZH",
)
# fmt: on
SILENCE = "sil"
UNKNOWN = "spn"
PHONES: tuple[str, ...] = (SILENCE, *VOWELS, *CONSONANTS, UNKNOWN)
"""Every label, at the position that is its number in stored phones: silence first, unknown speech last."""
OUTSIDE = -1
"""Number of a frame that no interval covers."""

TIER = "phones"
_SILENT_LABELS = frozenset({"", "SIL", "SP", "SILENCE", "PAU", "<EPS>", "<SIL>", "<P:>"})
_NUMBERS = {phone: number for number, phone in enumerate(PHONES)}
_Intervals = list[tuple[float, float, str]]


class _Layout(NamedTuple):
    """One of Praat's two text formats, as the patterns of its parts; each part begins where the last one ended."""

    header: re.Pattern[str]
    tier: re.Pattern[str]
    interval: re.Pattern[str]


# A number, a text without quotes or brackets (which could be mistaken for structure), the end of a line, and the end of
# a line with the indentation of the next.
_PIECES = {
    "number": r"([0-9]+(?:\.[0-9]+)?)",
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


def read_phone_intervals(textgrid_path: Path) -> list[tuple[float, float, str]]:
    """Read the phones of a TextGrid.

    Long and short text formats are read, in UTF-8 or UTF-16.  An annotated label `CPL,PPL,e` (canonical phone,
    perceived phone, error) counts as its canonical phone.  A short text that ends too early is read as far as it goes.

    Args:
        textgrid_path: a TextGrid with an interval tier named "phones".

    Returns:
        (start, end, label) in seconds, in order of time; every label is one of `PHONES`.

    Raises:
        AccentError: the file is missing, is no TextGrid, or has no interval tier "phones"; the line names the file.
    """
    if not Path(textgrid_path).is_file():
        raise AccentError(f"{textgrid_path}: no such TextGrid")
    found = _read_plainly(Path(textgrid_path))
    if found is None:
        found = _read_with_praatio(Path(textgrid_path))
    return [(start, end, normalise_label(label)) for start, end, label in found]


def _read_plainly(path: Path) -> _Intervals | None:
    """Read a TextGrid that is written as Praat and the usual aligners write it; None for anything else."""
    content = path.read_bytes()
    encoding = "utf-16" if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else "utf-8-sig"
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError:
        return None
    text = text.replace("\r\n", "\n")
    tiers = [tier for layout in _LAYOUTS for tier in _plain_tiers(text, layout)]
    return next((intervals for name, intervals in tiers if name.strip().lower() == TIER), None)


def _plain_tiers(text: str, layout: _Layout) -> list[tuple[str, _Intervals]]:
    """Return name and intervals of every tier; none unless all of the text is as the layout and the counts say."""
    header = layout.header.match(text)
    if header is None:
        return []
    tiers, at = [], header.end()
    for _ in range(int(header[3])):
        opening = layout.tier.match(text, at)
        if opening is None:
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
        tiers.append((opening[2], intervals))
    return tiers if at == len(text) else []


def _in_order(intervals: _Intervals) -> bool:
    """Tell whether every interval ends after its start and before the next one begins."""
    lasting = all(start < end for start, end, _ in intervals)
    return lasting and all(end <= start for (_, end, _), (start, _, _) in pairwise(intervals))


def _read_with_praatio(path: Path) -> _Intervals:
    """Read a TextGrid in any form that praatio knows, or refuse it."""
    # Imported here, because most processes never need it.
    from praatio import textgrid
    from praatio.utilities.errors import PraatioException

    try:
        grid = textgrid.openTextgrid(str(path), includeEmptyIntervals=True, duplicateNamesMode="rename")
    # praatio answers to text that is no TextGrid with whatever its parser runs into.
    except (PraatioException, ValueError, IndexError, KeyError, TypeError, AttributeError) as error:
        raise AccentError(f"{path}: not readable as a TextGrid ({type(error).__name__})") from error
    tier = next((tier for tier in grid.tiers if tier.name.strip().lower() == TIER), None)
    if not isinstance(tier, textgrid.IntervalTier):
        raise AccentError(f"{path}: no interval tier named '{TIER}'; it has {', '.join(grid.tierNames) or 'no tiers'}")
    return [(float(entry.start), float(entry.end), entry.label) for entry in tier.entries]


@functools.lru_cache(maxsize=4096)
def normalise_label(label: str) -> str:
    """Return the entry of `PHONES` that a label of an aligner or annotator stands for.

    >>> normalise_label("AH0"), normalise_label("sp"), normalise_label("Z,S,s"), normalise_label("spn")
    ('AH', 'sil', 'Z', 'spn')
    """
    canonical = label.split(",")[0].strip().upper()
    if canonical in _SILENT_LABELS:
        return SILENCE
    without_stress = re.sub(r"[0-2]$", "", canonical)
    return without_stress if without_stress in _NUMBERS else UNKNOWN


def phone_ids_on_grid(intervals: Sequence[tuple[float, float, str]], first_frame: int, n_frames: int) -> np.ndarray:
    """Return the phone of every frame: the interval that holds the frame's centre decides.

    Args:
        intervals: (start, end, label) in seconds of the recording, in order of time; labels of `PHONES`.
        first_frame: first frame wanted, on the recording's grid.
        n_frames: number of frames wanted.

    Returns:
        `[T]` int16, positions in `PHONES`; `OUTSIDE` where no interval covers the centre.  An interval holds its start
        and not its end; the last one holds half a frame more, for recordings that end just after their alignment.
    """
    phones_T = np.full(n_frames, OUTSIDE, dtype=np.int16)
    if not intervals:
        return phones_T
    # Times are rounded to a microsecond: 0.29 in a file and 29 x 0.01 are the same moment.
    centre_T = np.round((first_frame + np.arange(n_frames)) / FRAMES_PER_SECOND, 6)
    edges = [round(edge, 6) for start, end, _ in intervals for edge in (start, end)]
    edges[-1] = round(intervals[-1][1] + 0.5 / FRAMES_PER_SECOND, 6)
    frames = np.searchsorted(centre_T, edges).tolist()
    for first, last, (_, _, label) in zip(frames[::2], frames[1::2], intervals, strict=True):
        phones_T[first:last] = _NUMBERS[normalise_label(label)]
    return phones_T
