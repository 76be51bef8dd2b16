"""The phones: their inventory, the labels that stand for them, and the phone of every frame.

The inventory is ARPAbet as the CMU dictionary and the usual aligners write it, without stress, with one label for
silence and one for speech that is no phone of the inventory.

Cost: a few microseconds a label.

Shape legend: T frames of 10 ms.
"""

import functools
import re
from collections.abc import Sequence

import numpy as np

from accent.features.alphabets import from_ipa, from_sampa
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

_ENGLISH = frozenset({"en", "eng", "english"})
_SILENT_LABELS = frozenset({"", "SIL", "SP", "SILENCE", "PAU", "<EPS>", "<SIL>", "<P:>", "<P>"})
_NOISE_LABELS = frozenset({"SPN", "NSN", "LAU", "<UNK>", "UNK", "NOISE", "<NIB>", "<USB>", "SPOKEN_NOISE"})
"""What aligners write for sound that is no phone."""
_NUMBERS = {phone: number for number, phone in enumerate(PHONES)}


@functools.lru_cache(maxsize=4096)
def known_phone(label: str, sampa: bool = False) -> str | None:
    """Return the entry of `PHONES` that a label of an aligner or annotator stands for; None if nobody knows.

    Args:
        label: ARPAbet with or without stress, or IPA; an annotated label `CPL,PPL,e` (canonical phone, perceived
            phone, error) counts as its canonical phone.
        sampa: the label is SAMPA.

    >>> known_phone("AH0"), known_phone("sp"), known_phone("Z,S,s"), known_phone("spn"), known_phone("əw")
    ('AH', 'sil', 'Z', 'spn', 'OW')
    >>> known_phone("S"), known_phone("S", sampa=True), known_phone("X9")
    ('S', 'SH', None)
    """
    canonical = label.split(",")[0].strip()
    upper = canonical.upper()
    if upper in _SILENT_LABELS:
        return SILENCE
    if upper in _NOISE_LABELS:
        return UNKNOWN
    if sampa:
        return from_sampa(canonical)
    without_stress = re.sub(r"[0-2]$", "", upper)
    return without_stress if without_stress in _NUMBERS else from_ipa(canonical)


def has_phones(language: str | None) -> bool:
    """Tell whether the phones of this inventory are those of a language: of English, and where nobody says which.

    Args:
        language: a BCP 47 tag such as `en-US`, an ISO 639 code or the name; None if it is not known.

    >>> has_phones("en_GB"), has_phones("English"), has_phones(None), has_phones("de"), has_phones("enm")
    (True, True, True, False, False)
    """
    return language is None or re.split(r"[-_]", language.strip().lower())[0] in _ENGLISH


def normalise_label(label: str) -> str:
    """Return the entry of `PHONES` that a label stands for; `spn` where nobody knows."""
    return known_phone(label) or UNKNOWN


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
