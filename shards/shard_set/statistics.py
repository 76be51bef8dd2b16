"""Count, mean and variance of each column for each speaker, and a histogram of F0, all of the stored values.

Statistics are kept by speaker because normalisation may only look at training speakers: merge the ones you train on.
They are merged with the pairwise update of Chan, Golub and LeVeque ("Updating formulae and a pairwise algorithm for
computing sample variances", 1979) in float64, always in the same order, so the same corpus gives the same bytes.
Undefined values (NaN) are left out, column by column.  Cost: one pass over the frames.

Shapes: T frames, D columns, S speakers, H bins of the histogram.
"""

import io
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import IO

import numpy as np
from numpy.typing import NDArray

from accent.dsp.moments import column_moments
from accent.errors import AccentError
from accent.features.schema import N_COLUMNS, column_index

F0_LOWEST_HZ = 50.0
"""Lower edge of the first bin of the F0 histogram."""
F0_BINS_PER_SEMITONE = 4
F0_BINS = 48 * F0_BINS_PER_SEMITONE
"""Four octaves, 50 to 800 Hz; F0 outside is counted in the first or last bin."""
_F0_COLUMN = column_index("f0_hz")
_ROUNDING = 1e-12
"""A standard deviation below this share of the mean is rounding: the column is constant."""


@dataclass(frozen=True)
class Moments:
    """What some frames say about each column; parts can be merged."""

    count_D: NDArray[np.float64]
    """Defined values."""
    mean_D: NDArray[np.float64]
    """Their mean; 0 where there are none."""
    m2_D: NDArray[np.float64]
    """The sum of their squared distances from the mean."""
    f0_H: NDArray[np.int64]
    """Voiced frames by F0: bins of a quarter of a semitone from 50 to 800 Hz."""

    @classmethod
    def of(cls, frames_TD: NDArray[np.floating]) -> "Moments":
        """Measure frames `[T, D]` in schema order, NaN where undefined; T may be 0."""
        values_TD = frames_TD.astype(np.float64, order="C")
        count_D, mean_D, m2_D = column_moments(values_TD)
        return cls(count_D, mean_D, m2_D, f0_histogram(values_TD[:, _F0_COLUMN]))

    def merged(self, other: "Moments") -> "Moments":
        """Return the moments of both sets of frames together."""
        count_D = self.count_D + other.count_D
        share_D = other.count_D / np.maximum(count_D, 1.0)
        apart_D = other.mean_D - self.mean_D
        return Moments(
            count_D,
            self.mean_D + apart_D * share_D,
            self.m2_D + other.m2_D + np.square(apart_D) * self.count_D * share_D,
            self.f0_H + other.f0_H,
        )


def f0_histogram(f0_hz_T: NDArray[np.floating]) -> NDArray[np.int64]:
    """Count F0 values (Hz, NaN where unvoiced) in bins of a quarter of a semitone from 50 to 800 Hz."""
    voiced = f0_hz_T[f0_hz_T > 0].astype(np.float64)
    bins = np.floor(12 * F0_BINS_PER_SEMITONE * np.log2(voiced / F0_LOWEST_HZ)).astype(np.int64)
    return np.bincount(np.clip(bins, 0, F0_BINS - 1), minlength=F0_BINS).astype(np.int64)


def histogram_median_hz(f0_H: NDArray[np.int64]) -> float:
    """Return the median F0 in Hz from a histogram, placed within its bin; NaN where nothing is voiced."""
    total = int(f0_H.sum())
    if total == 0:
        return float("nan")
    running_H = np.cumsum(f0_H)
    at = int(np.searchsorted(running_H, total / 2))
    before = running_H[at] - f0_H[at]
    position = at + (total / 2 - before) / f0_H[at]
    return float(F0_LOWEST_HZ * 2 ** (position / (12 * F0_BINS_PER_SEMITONE)))


@dataclass(frozen=True)
class Statistics:
    """What normalisation needs: one mean and one spread a column, over the speakers that were merged."""

    mean_D: NDArray[np.float64]
    """Mean of the defined values; 0 for a column that has none."""
    std_D: NDArray[np.float64]
    """Their (population) standard deviation; 1 for a column without values or without variance, so that dividing
    by it changes nothing."""
    count_D: NDArray[np.float64]
    """Defined values."""
    f0_median_hz: float
    """Median F0 over all voiced frames; NaN where none is voiced."""


@dataclass(frozen=True, eq=False)
class SpeakerStatistics:
    """The moments of all speakers of a shard set, as `statistics.npz` holds them; rows in the manifest's order."""

    count_SD: NDArray[np.float64]
    mean_SD: NDArray[np.float64]
    m2_SD: NDArray[np.float64]
    f0_SH: NDArray[np.int64]

    @classmethod
    def stack(cls, by_speaker: Mapping[str, Moments]) -> "SpeakerStatistics":
        """Put the speakers' moments into one table, sorted by name."""
        moments = [by_speaker[name] for name in sorted(by_speaker)]
        return cls(
            np.stack([one.count_D for one in moments]),
            np.stack([one.mean_D for one in moments]),
            np.stack([one.m2_D for one in moments]),
            np.stack([one.f0_H for one in moments]),
        )

    def of_speaker(self, row: int) -> Moments:
        """Return the moments of one speaker."""
        return Moments(self.count_SD[row], self.mean_SD[row], self.m2_SD[row], self.f0_SH[row])

    def merged(self, rows: Iterable[int]) -> Statistics:
        """Merge some speakers, in the order of the table whatever the order given.

        Args:
            rows: positions of speakers; each counts once.

        Returns:
            Mean, standard deviation and count of each column over their frames.
        """
        total = merge_in_order(self.of_speaker(row) for row in sorted(set(rows)))
        std_D = np.sqrt(total.m2_D / np.maximum(total.count_D, 1.0))
        std_D[std_D <= _ROUNDING * np.abs(total.mean_D)] = 1.0
        return Statistics(total.mean_D, std_D, total.count_D, histogram_median_hz(total.f0_H))

    def median_f0_hz(self) -> NDArray[np.float64]:
        """Return each speaker's median F0 in Hz `[S]`; NaN for a speaker without a voiced frame."""
        return np.array([histogram_median_hz(f0_H) for f0_H in self.f0_SH])

    def to_npz(self) -> bytes:
        """Return the table as a .npz file; equal tables give equal bytes."""
        buffer = io.BytesIO()
        np.savez(buffer, count=self.count_SD, mean=self.mean_SD, m2=self.m2_SD, f0_histogram=self.f0_SH)
        return buffer.getvalue()

    @classmethod
    def from_npz(cls, file: IO[bytes], n_speakers: int, where: str) -> "SpeakerStatistics":
        """Read what `to_npz` wrote.

        Args:
            file: open at its beginning.
            n_speakers: S, speakers that the table must have.
            where: name of the file, for the message.

        Raises:
            AccentError: it is no such table, or one of other speakers or columns.
        """
        try:
            arrays = np.load(file, allow_pickle=False)
            if not isinstance(arrays, np.lib.npyio.NpzFile):
                raise ValueError("one array, no archive")
            with arrays:
                table = cls(arrays["count"], arrays["mean"], arrays["m2"], arrays["f0_histogram"])
        except (ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
            raise AccentError(f"{where}: not a table of statistics ({error}); featurize the corpus again") from error
        of_columns = (np.dtype(np.float64), (n_speakers, N_COLUMNS))
        wanted = [of_columns, of_columns, of_columns, (np.dtype(np.int64), (n_speakers, F0_BINS))]
        arrays = (table.count_SD, table.mean_SD, table.m2_SD, table.f0_SH)
        if [(one.dtype, one.shape) for one in arrays] != wanted:
            raise AccentError(f"{where}: not the statistics of {n_speakers} speakers; featurize the corpus again")
        return table


def merge_in_order(parts: Iterable[Moments]) -> Moments:
    """Merge moments from first to last; no parts give the moments of no frames."""
    total = Moments.of(np.empty((0, N_COLUMNS)))
    for part in parts:
        total = total.merged(part)
    return total
