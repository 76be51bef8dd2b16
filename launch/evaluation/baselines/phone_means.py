"""Phone means + SVM: how a speaker says each phone in its context, relative to the speaker's own voice.

An utterance is cut into phones, by alignments or by a recogniser.  A unit is a phone after a given left neighbour.  For
a group of utterances of one speaker, and for each third of each unit: the mean of MFCC, slopes and formants, the
group's own mean and deviation removed, minus the training speakers' mean of that unit, shrunk towards nothing where
the unit is rare: (sum - n m) / (n + n0).  Beside it, likewise, the log duration of each unit.  The sums of utterances
add up, so a group is treated as one recording.

Shapes: N utterances, P phone segments, T frames, D columns (20 MFCC, 20 slopes, 3 log formants), U units, G groups.
Cost: a pass over the frames, about 10 s for 1,500 utterances; then a Gram matrix of a few thousand rows a fold.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import sparse

from accent.features.schema import N_MFCC
from launch.evaluation.utterances import Utterances

SLOPE_FRAMES = 3
"""Frames on each side over which a slope is fitted."""
TUBE_HZ = np.array([500.0, 1500.0, 2500.0])
"""Formants of a uniform tube: what stands for an utterance in which no formant is defined."""
THIRDS = 3
SMALLEST_DEVIATION = 0.01
"""A column that varies less in a group is not blown up."""
FRAMES_PRIOR = 1.0
"""Frames that pull the mean of a unit's third towards the training speakers' mean."""
SEGMENTS_PRIOR = 1.0
"""Segments that pull a unit's log duration likewise."""
LEAST_COVERAGE = 0.05
"""Share of the training speakers that must say a unit, and at least two of them."""
_CODE = 1 << 10
"""A unit's number is left phone * _CODE + phone."""

FramePhones = Callable[[int], np.ndarray]
"""Utterance number -> phone numbers int [T]; 0 is silence, below 0 no phone."""


@dataclass(frozen=True, eq=False)
class PhoneSegments:
    """Every phone of every utterance."""

    utterance_P: np.ndarray
    unit_P: np.ndarray
    """left phone * _CODE + phone."""
    frames_P: np.ndarray
    """Length."""
    mean_P3D: np.ndarray
    """float32: means over the thirds of the segment."""
    count_N: np.ndarray
    """Speech frames of each utterance."""
    sum_ND: np.ndarray
    """Their sum."""
    square_ND: np.ndarray
    """The sum of their squares."""


def frame_columns(utterances: Utterances, number: int) -> np.ndarray:
    """Return the columns of an utterance: 20 MFCC, their slopes, the logarithms of F1 to F3, float64 [T, D]."""
    mfcc_TD = utterances.family(number, "mfcc")
    offsets = np.arange(-SLOPE_FRAMES, SLOPE_FRAMES + 1)
    padded = np.pad(mfcc_TD, ((SLOPE_FRAMES, SLOPE_FRAMES), (0, 0)), mode="edge")
    windows = np.lib.stride_tricks.sliding_window_view(padded, len(offsets), axis=0)
    slope_TD = windows @ offsets / (offsets @ offsets)
    formants = utterances.family(number, "formants")[:, : len(TUBE_HZ)]
    log_formants = np.column_stack([_filled(column, tube) for column, tube in zip(formants.T, TUBE_HZ, strict=True)])
    return np.concatenate([mfcc_TD[:, :N_MFCC], slope_TD[:, :N_MFCC], np.log(log_formants)], axis=1)


def cut_into_segments(utterances: Utterances, numbers: Sequence[int], frame_phones: FramePhones) -> PhoneSegments:
    """Cut utterances at their phones.

    Args:
        utterances: where the frames are.
        numbers: the utterances to cut.
        frame_phones: tells the phone of every frame.

    Returns:
        The segments, without those of silence.  Utterances that are not cut have none.
    """
    owner, unit, length, means = [], [], [], []
    n_columns = 2 * N_MFCC + len(TUBE_HZ)
    count_N = np.zeros(len(utterances))
    sum_ND, square_ND = np.zeros((2, len(utterances), n_columns))
    for number in numbers:
        columns_TD = frame_columns(utterances, int(number))
        phone_T = np.maximum(np.asarray(frame_phones(int(number)), dtype=np.int64), 0)
        speech_TD = columns_TD[phone_T > 0]
        count_N[number], sum_ND[number], square_ND[number] = len(speech_TD), speech_TD.sum(0), (speech_TD**2).sum(0)
        start_P = np.flatnonzero(np.append(True, phone_T[1:] != phone_T[:-1]))
        end_P = np.append(start_P[1:], len(phone_T))
        phone_P = phone_T[start_P]
        left_P = np.append(0, phone_P[:-1])
        spoken = phone_P > 0
        owner.append(np.full(spoken.sum(), number))
        unit.append((left_P * _CODE + phone_P)[spoken])
        length.append((end_P - start_P)[spoken])
        means.append(_means_of_thirds(columns_TD, start_P[spoken], end_P[spoken]))
    return PhoneSegments(
        np.concatenate(owner),
        np.concatenate(unit),
        np.concatenate(length),
        np.concatenate(means).astype(np.float32),
        count_N,
        sum_ND,
        square_ND,
    )


@dataclass(frozen=True, eq=False)
class PhoneVectors:
    """What was learnt from training speakers: which units there are, and how they are said on average."""

    segments: PhoneSegments
    unit_U: np.ndarray
    """The units, sorted."""
    mean_U3D: np.ndarray
    """The training speakers' mean of each unit."""
    duration_U: np.ndarray
    """The training speakers' mean log duration of each unit."""

    @classmethod
    def learn(cls, segments: PhoneSegments, wholes: Sequence[np.ndarray]) -> "PhoneVectors":
        """Choose units and average them.

        Args:
            segments: of all utterances.
            wholes: the utterances of each training speaker.

        Returns:
            The units that enough of these speakers say, with the mean over speakers, a speaker weighing n / (n + n0).
        """
        unit_U = np.unique(segments.unit_P[np.isin(segments.utterance_P, np.concatenate(wholes))])
        sums = _Sums.of(segments, unit_U, wholes)
        covered = (sums.segments_GU > 0).sum(0) >= max(2, LEAST_COVERAGE * len(wholes))
        unit_U = unit_U[covered]
        sums = _Sums.of(segments, unit_U, wholes)
        weight_GU = sums.frames_GU / (sums.frames_GU + FRAMES_PRIOR)
        mean_GU3D = sums.normal_GU3D / np.maximum(sums.frames_GU, 1e-9)[:, :, None, None]
        mean_U3D = np.einsum("gu,gutd->utd", weight_GU, mean_GU3D) / weight_GU.sum(0)[:, None, None]
        weight_GU = sums.segments_GU / (sums.segments_GU + SEGMENTS_PRIOR)
        mean_GU = sums.duration_GU / np.maximum(sums.segments_GU, 1)
        return cls(segments, unit_U, mean_U3D, (weight_GU * mean_GU).sum(0) / weight_GU.sum(0))

    def of(self, groups: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        """Return the vectors of groups of utterances.

        Args:
            groups: utterance numbers, each group of one speaker.

        Returns:
            Realisations float32 [G, U * 3 * D], and log durations float32 [G, U]; zeros for units not said.
        """
        sums = _Sums.of(self.segments, self.unit_U, groups)
        deviation = sums.normal_GU3D - sums.frames_GU[:, :, None, None] * self.mean_U3D.astype(np.float32)
        deviation /= (sums.frames_GU + FRAMES_PRIOR)[:, :, None, None]
        duration_GU = sums.duration_GU - sums.segments_GU * self.duration_U
        duration_GU /= sums.segments_GU + SEGMENTS_PRIOR
        return deviation.reshape(len(groups), -1), duration_GU.astype(np.float32)


@dataclass(frozen=True, eq=False)
class _Sums:
    """Sums over groups of utterances, normalised by the group's own mean and deviation."""

    frames_GU: np.ndarray
    """Frames of each unit's third: a third of the unit's frames."""
    normal_GU3D: np.ndarray
    """Sum of the normalised means of thirds, weighted by frames."""
    segments_GU: np.ndarray
    duration_GU: np.ndarray
    """Sum of log durations relative to the group's mean."""

    @classmethod
    def of(cls, segments: PhoneSegments, unit_U: np.ndarray, groups: Sequence[np.ndarray]) -> "_Sums":
        n_groups, n_units = len(groups), len(unit_U)
        sizes = [len(rows) for rows in groups]
        member_GN = sparse.csr_matrix(
            (np.ones(sum(sizes), np.float32), (np.repeat(np.arange(n_groups), sizes), np.concatenate(groups))),
            shape=(n_groups, len(segments.count_N)),
        )
        place_P = np.searchsorted(unit_U, segments.unit_P)
        known_P = unit_U[np.minimum(place_P, n_units - 1)] == segments.unit_P
        rows = np.flatnonzero(known_P)
        # First sums by utterance and unit that occur, then by group: sparse all along.
        cell = segments.utterance_P[rows].astype(np.int64) * n_units + place_P[rows]
        cells, cell_of_row = np.unique(cell, return_inverse=True)
        weight = segments.frames_P[rows].astype(np.float32) / THIRDS
        shape = (len(cells), len(rows))
        gather = sparse.csr_matrix((weight, (cell_of_row, np.arange(len(rows)))), shape=shape)
        values = gather @ segments.mean_P3D[rows].reshape(len(rows), -1)
        log_duration = np.log(segments.frames_P).astype(np.float32)
        in_cell = np.column_stack(
            [
                np.bincount(cell_of_row, weight, len(cells)),
                np.bincount(cell_of_row, minlength=len(cells)),
                np.bincount(cell_of_row, log_duration[rows], len(cells)),
            ]
        ).astype(np.float32)
        owner, place = np.divmod(cells, n_units)
        spread = member_GN[:, owner].tocoo()
        group_of, cell_at = spread.row, spread.col
        route = sparse.csr_matrix(
            (np.ones(len(group_of), np.float32), (group_of.astype(np.int64) * n_units + place[cell_at], cell_at)),
            shape=(n_groups * n_units, len(cells)),
        )
        counts = (route @ in_cell).reshape(n_groups, n_units, 3)
        total = (route @ values).reshape(n_groups, n_units, THIRDS, -1)

        frames_G1 = (member_GN @ segments.count_N)[:, None]
        mean_GD = (member_GN @ segments.sum_ND) / np.maximum(frames_G1, 1)
        variance_GD = (member_GN @ segments.square_ND) / np.maximum(frames_G1, 1) - mean_GD**2
        deviation_GD = np.sqrt(np.maximum(variance_GD, SMALLEST_DEVIATION**2))
        total -= counts[:, :, 0, None, None] * mean_GD[:, None, None].astype(np.float32)
        total /= deviation_GD[:, None, None].astype(np.float32)

        per_utterance = np.bincount(segments.utterance_P, minlength=len(segments.count_N))
        seconds = np.bincount(segments.utterance_P, log_duration, len(segments.count_N))
        pace_G = (member_GN @ seconds) / np.maximum(member_GN @ per_utterance, 1)
        return cls(counts[:, :, 0], total, counts[:, :, 1], counts[:, :, 2] - counts[:, :, 1] * pace_G[:, None])


def _means_of_thirds(columns_TD: np.ndarray, start_P: np.ndarray, end_P: np.ndarray) -> np.ndarray:
    """Average each third of each segment, float64 [P, 3, D]; a third of a very short segment is its nearest frame."""
    running = np.concatenate([np.zeros((1, columns_TD.shape[1])), np.cumsum(columns_TD, axis=0)])
    length_P = end_P - start_P
    parts = []
    for third in range(THIRDS):
        low, high = start_P + length_P * third // THIRDS, start_P + length_P * (third + 1) // THIRDS
        middle = np.minimum(start_P + length_P * (2 * third + 1) // (2 * THIRDS), end_P - 1)
        low, high = np.where(high > low, low, middle), np.where(high > low, high, middle + 1)
        parts.append((running[high] - running[low]) / (high - low)[:, None])
    return np.stack(parts, axis=1)


def _filled(column_T: np.ndarray, otherwise: float) -> np.ndarray:
    """Interpolate undefined values between defined ones."""
    defined = np.flatnonzero(np.isfinite(column_T) & (column_T > 0))
    if not len(defined):
        return np.full(len(column_T), otherwise)
    return np.interp(np.arange(len(column_T)), defined, column_T[defined])
