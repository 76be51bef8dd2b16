"""A voice's statistics that add up: for speech that comes bit by bit, what `measure_voices` measures of a whole.

F0 is stored as float16, so counting its values keeps the median exact: 30,000 counts, however long somebody speaks.

Cost: a pass over the frames; to add two, some microseconds.

Shapes: T frames, D columns, H values that a float16 above 0 can have.
"""

from typing import NamedTuple

import numpy as np
import torch

from accent.features.schema import N_COLUMNS, column_index
from accent.model.normalisation import VoiceStatistics

_F0 = column_index("f0_hz")
_INFINITY = int(np.float16(np.inf).view(np.uint16))
"""As a whole number, the bits of a positive float16 rise with its value; up to here they are finite."""


def _semitones(hz: np.ndarray) -> np.ndarray:
    return 12 * np.log2(hz.astype(np.float64))


class VoiceSums(NamedTuple):
    """What was heard of one voice; F0 in semitones above 1 Hz."""

    count_D: np.ndarray
    """float64: defined frames."""
    mean_D: np.ndarray
    """float64: their mean, 0 where there are none."""
    squares_D: np.ndarray
    """float64: summed squares of the distances from the mean."""
    f0_H: np.ndarray
    """int64: how often F0 had each value."""

    @classmethod
    def nothing(cls) -> "VoiceSums":
        """Return the sums of no speech."""
        nothing_D = np.zeros(N_COLUMNS)
        return cls(nothing_D, nothing_D, nothing_D, np.zeros(_INFINITY, np.int64))

    @classmethod
    def of(cls, frames_TD: np.ndarray) -> "VoiceSums":
        """Measure frames.

        Args:
            frames_TD: schema columns in raw units, rounded to float16 as in shards; NaN where undefined.
        """
        values_TD = frames_TD.astype(np.float64)
        f0_T = frames_TD[:, _F0].astype(np.float16)
        voiced_T = np.isfinite(f0_T) & (f0_T > 0)
        values_TD[:, _F0] = np.where(voiced_T, _semitones(np.where(voiced_T, f0_T, 1)), np.nan)
        defined_TD = np.isfinite(values_TD)
        values_TD[~defined_TD] = 0
        count_D = defined_TD.sum(0).astype(np.float64)
        mean_D = values_TD.sum(0) / np.maximum(count_D, 1)
        squares_D = (np.where(defined_TD, values_TD - mean_D, 0) ** 2).sum(0)
        return cls(count_D, mean_D, squares_D, np.bincount(f0_T[voiced_T].view(np.uint16), minlength=_INFINITY))

    def joined(self, other: "VoiceSums") -> "VoiceSums":
        """Return the sums of both together.

        Source: Chan, Golub & LeVeque 1983, "Algorithms for computing the sample variance".
        """
        count_D = self.count_D + other.count_D
        share_D = other.count_D / np.maximum(count_D, 1)
        apart_D = other.mean_D - self.mean_D
        return VoiceSums(
            count_D,
            self.mean_D + share_D * apart_D,
            self.squares_D + other.squares_D + self.count_D * share_D * apart_D**2,
            self.f0_H + other.f0_H,
        )

    def statistics(self) -> VoiceStatistics:
        """Return what normalisation by speaker needs, as one voice."""
        centre_D = self.mean_D.copy()
        upto_H = self.f0_H.cumsum()
        if upto_H[-1]:
            middle_2 = np.searchsorted(upto_H, [(upto_H[-1] - 1) // 2, upto_H[-1] // 2], side="right")
            centre_D[_F0] = _semitones(middle_2.astype(np.uint16).view(np.float16)).mean()
        spread_D = np.sqrt(self.squares_D / np.maximum(self.count_D, 1) + (self.mean_D - centre_D) ** 2)
        return VoiceStatistics(
            *(torch.from_numpy(part.astype(np.float32))[None] for part in (self.count_D, centre_D, spread_D))
        )
