"""Which units speech is divided into: phones in the context of the phone before them, and thirds of each.

A vowel after W is another sound than the same vowel after P, and accents differ in such sounds, so statistics are kept
by unit.  Contexts that too few training speakers say share one unit of their phone.  Three states follow one another in
a unit: its first, second and last third.

Cost: one pass over the alignments.

Shapes: U units, S = 3 U states, T frames.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from accent.features.phones import PHONES, UNKNOWN

STATES_PER_UNIT = 3
"""Thirds of a unit."""
ANY = "*"
"""Left context of a unit that stands for all contexts without a unit of their own."""
SILENCE_NUMBER = 0
"""Number of silence among the phones, and of its unit among the units."""
_UNKNOWN_NUMBER = PHONES.index(UNKNOWN)


class Segments(NamedTuple):
    """The phones of an utterance, one after the other."""

    phone_P: np.ndarray
    """int64: number in `PHONES`."""
    start_P: np.ndarray
    """int64: first frame."""
    length_P: np.ndarray
    """int64: frames."""


def segments(phones_T: np.ndarray) -> Segments:
    """Return the runs of equal phones.

    Args:
        phones_T: phone of each frame; frames outside the alignment and speech of no known phone count as silence.

    >>> segments(np.array([0, 0, 3, 3, 3, 7]))
    Segments(phone_P=array([0, 3, 7]), start_P=array([0, 2, 5]), length_P=array([2, 3, 1]))
    """
    phones_T = np.asarray(phones_T, np.int64)
    phones_T = np.where((phones_T < 0) | (phones_T == _UNKNOWN_NUMBER), SILENCE_NUMBER, phones_T)
    start_P = np.flatnonzero(np.diff(phones_T, prepend=-1))
    return Segments(phones_T[start_P], start_P, np.diff(start_P, append=len(phones_T)))


class Inventory:
    """The units, in the order of their numbers: silence, phones in their own left contexts, phones in any context.

    Args:
        names: `LEFT-PHONE`, such as `W-IY` or `*-IY`; silence is `*-sil` and comes first.

    >>> inventory = Inventory(["*-sil", "W-IY", "*-IY", "*-W"])
    >>> inventory.unit_of(PHONES.index("W"), PHONES.index("IY")), inventory.unit_of(0, PHONES.index("IY"))
    (1, 2)
    """

    def __init__(self, names: Sequence[str]) -> None:
        self.names = tuple(names)
        pairs = [name.split("-") for name in names]
        self.left_U = np.array([-1 if left == ANY else PHONES.index(left) for left, _ in pairs])
        self.phone_U = np.array([PHONES.index(phone) for _, phone in pairs])
        phones = len(PHONES)
        table_PP = np.full((phones, phones), -1, np.int64)
        for unit in np.flatnonzero(self.left_U < 0):
            table_PP[:, self.phone_U[unit]] = unit
        for unit in np.flatnonzero(self.left_U >= 0):
            table_PP[self.left_U[unit], self.phone_U[unit]] = unit
        table_PP[:, SILENCE_NUMBER] = 0
        self.unit_PP = table_PP
        """Unit of each (left phone, phone); -1 for a phone that has none."""

    def __len__(self) -> int:
        return len(self.names)

    @property
    def n_states(self) -> int:
        """Number of states."""
        return STATES_PER_UNIT * len(self)

    def unit_of(self, left: int, phone: int) -> int:
        """Return the unit of a phone after another; -1 if the inventory does not have the phone."""
        return int(self.unit_PP[left, phone])

    def units(self, found: Segments) -> np.ndarray:
        """Return the unit of each segment, int64 [P]; the first one follows silence."""
        left_P = np.concatenate([[SILENCE_NUMBER], found.phone_P[:-1]])
        return self.unit_PP[left_P, found.phone_P]

    def states(self, phones_T: np.ndarray) -> np.ndarray:
        """Return the state of each frame of an alignment, int64 [T]; -1 where the inventory lacks the phone."""
        found = segments(phones_T)
        within_T = np.arange(len(phones_T)) - np.repeat(found.start_P, found.length_P)
        third_T = within_T * STATES_PER_UNIT // np.repeat(found.length_P, found.length_P)
        unit_T = np.repeat(self.units(found), found.length_P)
        return np.where(unit_T < 0, -1, unit_T * STATES_PER_UNIT + third_T)


def build_inventory(alignments: Iterable[tuple[int, np.ndarray]], least_share: float = 0.1) -> Inventory:
    """Choose the units that enough speakers say.

    Args:
        alignments: a speaker's number and the phones [T] of an utterance, for all training utterances.
        least_share: share of the speakers who must say a phone in a context for it to become a unit of its own.

    Returns:
        The inventory.
    """
    speakers_of: dict[tuple[int, int], set[int]] = {}
    speakers, phones = set(), set()
    for speaker, phones_T in alignments:
        found = segments(phones_T)
        speakers.add(speaker)
        phones.update(found.phone_P.tolist())
        for pair in zip([SILENCE_NUMBER, *found.phone_P[:-1].tolist()], found.phone_P.tolist(), strict=True):
            speakers_of.setdefault(pair, set()).add(speaker)
    phones.discard(SILENCE_NUMBER)
    own = sorted(
        pair
        for pair, heard in speakers_of.items()
        if pair[1] != SILENCE_NUMBER and len(heard) >= max(2, least_share * len(speakers))
    )
    names = [f"{ANY}-{PHONES[SILENCE_NUMBER]}"]
    names += [f"{PHONES[left]}-{PHONES[phone]}" for left, phone in own]
    names += [f"{ANY}-{PHONES[phone]}" for phone in sorted(phones)]
    return Inventory(names)
