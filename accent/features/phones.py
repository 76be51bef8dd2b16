"""Phones from a TextGrid, and the phone of every frame.

The inventory is ARPAbet as the CMU dictionary and the usual aligners write it, without stress, with one label for
silence and one for speech that is no phone of the inventory.

Cost: about 2 ms a TextGrid.

Shape legend: T frames of 10 ms.
"""

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from praatio import textgrid
from praatio.utilities.errors import PraatioException

from accent.errors import AccentError
from accent.features.schema import FRAMES_PER_SECOND

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
    try:
        grid = textgrid.openTextgrid(str(textgrid_path), includeEmptyIntervals=True, duplicateNamesMode="rename")
    # praatio answers to text that is no TextGrid with whatever its parser runs into.
    except (PraatioException, ValueError, IndexError, KeyError, TypeError, AttributeError) as error:
        raise AccentError(f"{textgrid_path}: not readable as a TextGrid ({type(error).__name__})") from error
    tier = next((tier for tier in grid.tiers if tier.name.strip().lower() == TIER), None)
    if not isinstance(tier, textgrid.IntervalTier):
        raise AccentError(
            f"{textgrid_path}: no interval tier named '{TIER}'; it has {', '.join(grid.tierNames) or 'no tiers'}"
        )
    return [(float(entry.start), float(entry.end), normalise_label(entry.label)) for entry in tier.entries]


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
    # Times are rounded to a microsecond: 0.29 in a file and 29 x 0.01 are the same moment.
    centre_T = np.round((first_frame + np.arange(n_frames)) / FRAMES_PER_SECOND, 6)
    for position, (start, end, label) in enumerate(intervals):
        if position == len(intervals) - 1:
            end += 0.5 / FRAMES_PER_SECOND
        first, last = np.searchsorted(centre_T, [round(start, 6), round(end, 6)])
        phones_T[first:last] = _NUMBERS[normalise_label(label)]
    return phones_T
