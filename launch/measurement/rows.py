"""From the frames of one recording to the rows of a table: by frame, by phone, by word.

An interval (a phone or a word) has each column four times: `mid_`, the frame nearest its middle (the later of two as
near), and `third1_` to `third3_`, the mean of the defined frames whose centres lie in that third.  What is undefined
stays NaN, and a third that is too short to hold a frame is undefined.

Cost: 0.1 ms an interval with all columns.

Shape legend: T frames of 10 ms of the kept region, D columns, I intervals.
"""

import math
from collections.abc import Mapping, Sequence

import numpy as np

from accent.features.phones import OUTSIDE, PHONES, SILENCE
from accent.grid import FRAMES_PER_SECOND

Interval = tuple[float, float, str]
POSITIONS = ("mid", "third1", "third2", "third3")
PLACING_NUMBERS = ("utterances", "time_seconds", "start_seconds")
"""Columns of numbers that place a row and measure nothing."""
N_THIRDS = 3
Rows = dict[str, np.ndarray]
"""Columns of a table, by name, all of one length."""


def frame_rows(frames_TD: np.ndarray, names: Sequence[str], first_frame: int, phones_T: np.ndarray | None) -> Rows:
    """Return one row a frame: its time in seconds of the recording, its phone, and the columns.

    Args:
        frames_TD: NaN where undefined.
        names: header of each column.
        first_frame: where frame 0 lies on the recording's grid.
        phones_T: position in `PHONES` of each frame, as `Features.phones_T`; None without an alignment.
    """
    numbers = np.full(len(frames_TD), OUTSIDE) if phones_T is None else phones_T
    labels = np.array([*PHONES, None], dtype=object)
    return {
        "time_seconds": (first_frame + np.arange(len(frames_TD))) / FRAMES_PER_SECOND,
        "phone": labels[numbers],
        **{name: frames_TD[:, at] for at, name in enumerate(names)},
    }


def interval_rows(
    frames_TD: np.ndarray,
    names: Sequence[str],
    first_frame: int,
    intervals: Sequence[Interval],
    what: str,
    once: Mapping[str, np.ndarray] | None = None,
) -> Rows:
    """Return one row an interval that is no silence: label, start, duration, and the columns at four places.

    Args:
        frames_TD: NaN where undefined.
        names: header of each column.
        first_frame: where frame 0 lies on the recording's grid.
        intervals: in seconds of the recording, in order of time.
        what: name of the label's column: `phone` or `word`.
        once: further columns, a value for each of the intervals.
    """
    kept = [place for place, one in enumerate(intervals) if one[2] not in ("", SILENCE)]
    said = [intervals[place] for place in kept]
    places_4ID = np.full((len(POSITIONS), len(said), len(names)), np.nan)
    for at, (start, end, _) in enumerate(said):
        places_4ID[:, at] = _places(frames_TD, first_frame, start, end)
    return {
        what: np.array([label for _, _, label in said], dtype=object),
        "start_seconds": np.array([start for start, _, _ in said], dtype=float),
        "duration_seconds": np.array([end - start for start, end, _ in said], dtype=float),
        **{name: values_I[kept] for name, values_I in (once or {}).items()},
        **{
            f"{position}_{name}": places_4ID[place, :, at]
            for at, name in enumerate(names)
            for place, position in enumerate(POSITIONS)
        },
    }


def _places(frames_TD: np.ndarray, first_frame: int, start: float, end: float) -> np.ndarray:
    """Return the columns at the middle and over the thirds of an interval, `[4, D]`."""
    n_frames, n_columns = frames_TD.shape
    found_4D = np.full((len(POSITIONS), n_columns), np.nan)
    # Rounded to a thousandth of a frame: 0.29 in a file and 29 x 0.01 are the same moment.
    centre = round((start + end) / 2 * FRAMES_PER_SECOND, 3) - first_frame
    middle = math.floor(centre + 0.5)
    if 0 <= middle < n_frames:
        found_4D[0] = frames_TD[middle]
    edges = np.round(np.linspace(start, end, N_THIRDS + 1) * FRAMES_PER_SECOND - first_frame, 3)
    frames = np.clip(np.ceil(edges).astype(int), 0, n_frames)
    for third in range(N_THIRDS):
        part_TD = frames_TD[frames[third] : frames[third + 1]]
        defined_TD = np.isfinite(part_TD)
        count_D = defined_TD.sum(axis=0)
        total_D = np.where(defined_TD, part_TD, 0).sum(axis=0, dtype=float)
        np.divide(total_D, count_D, out=found_4D[1 + third], where=count_D > 0)
    return found_4D
