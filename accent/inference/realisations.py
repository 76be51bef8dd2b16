"""How each accent realises each phone, and how far one spoken phone lies from that.

A phone is compared in the context of the phone before it, as the units of a phonetic model are: the mean of each third
of it, over MFCC and F1-F3 relative to the speaker's own voice, beside the mean of the same unit over the speakers of
an accent, in standard deviations of single phones within accents:

    distance = root of the mean over thirds and columns of ((phone - mean of the accent) / deviation)^2

A typical phone of the accent itself lies at about 1.  A single phone says little, because phones of one accent differ
more from each other than two accents do; the mean over a recording or a speaker says more.  Means of an accent that
said a unit rarely are drawn towards those of all accents.

Shapes: T frames, C columns, V = 3 C values of a phone, U units, A accents, N phones.  Cost: microseconds a phone.

Source: Huckvale 2004, "ACCDIST", for phones of a speaker relative to the speaker's own voice; Mahalanobis 1936, with a
diagonal covariance, for the distance.
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from accent.features.phones import PHONES, SILENCE
from accent.features.schema import column_index, family_slices
from accent.grid import FRAMES_PER_SECOND
from accent.inference.pronunciation import Pronunciation, frames_of
from accent.model.phonetic.inventory import Inventory

THIRDS = 3
COLUMNS = (
    *range(family_slices()["mfcc"].start, family_slices()["mfcc"].stop),
    *(column_index(f"f{number}_hz") for number in (1, 2, 3)),
)
"""Columns of the schema that are compared: MFCC and three formants."""
PRIOR_PHONES = 10.0
"""Phones that the mean of all accents weighs in an accent's mean."""
LEAST_PHONES = 20
"""A unit that was heard less often has no distance."""
LEAST_SPREAD = 0.03
"""Smallest deviation, in those of the speaker's voice."""


@dataclass(frozen=True, eq=False)
class PhoneRealisations:
    """What the accents' units look like."""

    mean_AUV: np.ndarray
    """float32; NaN where a unit was not heard often enough."""
    spread_UV: np.ndarray
    """float32: deviation of single phones within accents."""

    def distances(self, accent: int, unit_N: np.ndarray, value_NV: np.ndarray) -> np.ndarray:
        """Return how far phones lie from an accent's realisation.

        Args:
            accent: which of the accents.
            unit_N: unit of each phone; negative: none.
            value_NV: as `values_of_phone` makes them.

        Returns:
            float64 [N]; NaN where it cannot be told.
        """
        standard_NV = (value_NV - self.mean_AUV[accent, unit_N]) / self.spread_UV[unit_N]
        distance_N = np.sqrt((standard_NV.astype(np.float64) ** 2).mean(1))
        return np.where(unit_N < 0, np.nan, distance_N)


def measure_realisations(
    accent_N: np.ndarray, unit_N: np.ndarray, value_NV: np.ndarray, accents: int, units: int
) -> PhoneRealisations:
    """Measure what the accents' units look like.

    Args:
        accent_N: accent of each phone heard, 0 ... A - 1.
        unit_N: its unit, 0 ... U - 1.
        value_NV: as `values_of_phone` makes them.
        accents: A.
        units: U.
    """
    n_values = value_NV.shape[1]
    mean_AUV = np.full((accents, units, n_values), np.nan, np.float32)
    spread_UV = np.full((units, n_values), np.nan, np.float32)
    for unit in np.unique(unit_N):
        value_nV, accent_n = value_NV[unit_N == unit].astype(np.float64), accent_N[unit_N == unit]
        if len(value_nV) < LEAST_PHONES:
            continue
        member_An = accent_n == np.arange(accents)[:, None]
        total_AV = member_An @ value_nV + PRIOR_PHONES * value_nV.mean(0)
        mean_AV = total_AV / (member_An.sum(1, keepdims=True) + PRIOR_PHONES)
        mean_AUV[:, unit] = mean_AV
        spread_UV[unit] = np.maximum((value_nV - mean_AV[accent_n]).std(0), LEAST_SPREAD)
    return PhoneRealisations(mean_AUV, spread_UV)


def values_of_phone(column_TC: np.ndarray, first: int, last: int) -> np.ndarray:
    """Return the means of a phone's thirds, `[V]`; a phone of one or two frames lends a frame to several thirds.

    Args:
        column_TC: `COLUMNS` of the frames, relative to the speaker's voice, 0 where undefined.
        first: first frame of the phone.
        last: the frame after its last one.
    """
    edges = first + (last - first) * np.arange(THIRDS + 1) // THIRDS
    return np.concatenate([column_TC[start : max(end, start + 1)].mean(0) for start, end in pairwise(edges)])


def spoken_phones(
    spoken: Pronunciation, column_TC: np.ndarray, first_frame: int, inventory: Inventory
) -> tuple[np.ndarray, np.ndarray]:
    """Return unit [N] and values [N, V] of each phone of a recording.

    A phone's unit is that of itself after the phone before it, or after silence where there is a gap.

    Args:
        spoken: the recording's phones.
        column_TC: as for `values_of_phone`.
        first_frame: the first of the frames, on the recording's grid.
        inventory: the model's units.

    Returns:
        Units, -1 where the model has none; values, NaN where a phone has no frame.
    """
    unit_N = np.full(len(spoken.phones), -1)
    value_NV = np.full((len(spoken.phones), THIRDS * column_TC.shape[1]), np.nan)
    ended, before = 0.0, SILENCE
    for row, one in enumerate(spoken.phones):
        left = before if one.start - ended < 1 / FRAMES_PER_SECOND else SILENCE
        unit_N[row] = inventory.unit_of(PHONES.index(left), PHONES.index(one.phone))
        first, last = frames_of(one.start, one.end, first_frame, len(column_TC))
        if first < last:
            value_NV[row] = values_of_phone(column_TC, first, last)
        ended, before = one.end, one.phone
    return unit_N, value_NV
