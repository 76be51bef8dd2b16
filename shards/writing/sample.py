"""A sample as the bytes that are stored: frames and phones as .npy files, metadata as JSON.

The same sample gives the same bytes.  Cost: one copy of the frames, cast to float16, and their CRC-32.

Shapes: T frames, D columns.
"""

import io
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accent.dsp.casts import to_half
from accent.features.schema import COLUMNS, N_COLUMNS
from accent.strict_json import to_json

ROUNDED_TO_INFINITY = 65_520
"""From here on float16 rounds to infinity: half a step above its largest value, 65,504."""


@dataclass(frozen=True)
class PackedSample:
    """A sample as the bytes that go into the tar; small enough to travel between processes."""

    key: str
    """Name of the sample, unique in the shard set, without dots or slashes."""
    frames_npy: bytes
    """The frames as a .npy file."""
    phones_npy: bytes | None
    """The phone ids as a .npy file, where the corpus has alignments."""
    metadata_json: bytes
    """The metadata as strict JSON."""
    n_frames: int
    """Number of frames (T)."""
    frames_header_bytes: int
    """Length of the header of the frames' .npy file; the data follow."""
    phones_header_bytes: int
    """The same for the phones; 0 where there are none."""
    crc32: int
    """CRC-32 of the frames' data, without the header."""


def store_frames(frames_TD: NDArray[np.floating]) -> NDArray[np.float16]:
    """Cast features to the stored type.

    Args:
        frames_TD: features in schema order; NaN where undefined.

    Returns:
        The same values as float16 `[T, D]`, in C order.

    Raises:
        ValueError: the shape is not `[T, D]` with at least one frame, or a value is infinite or beyond float16's
            range (65504); the message names the column.
    """
    if frames_TD.ndim != 2 or frames_TD.shape[0] < 1 or frames_TD.shape[1] != N_COLUMNS:
        raise ValueError(f"frames of shape {frames_TD.shape} are not [T >= 1, {N_COLUMNS}]")
    single_TD = np.ascontiguousarray(frames_TD, dtype=np.float32)
    overflowing_TD = np.abs(single_TD) >= ROUNDED_TO_INFINITY
    if overflowing_TD.any():
        names = ", ".join(COLUMNS[column] for column in np.flatnonzero(overflowing_TD.any(axis=0)))
        raise ValueError(f"infinite, or too large for float16: {names}")
    half_TD: NDArray[np.float16] = to_half(single_TD).view(np.float16)
    return half_TD


def pack_sample(
    key: str,
    frames_TD: NDArray[np.float16],
    metadata: Mapping[str, Any],
    phones_T: NDArray[np.int16] | None = None,
) -> PackedSample:
    """Turn a sample into the bytes that are stored.

    Args:
        key: unique name without dots or slashes (webdataset cuts a member's name at its first dot).
        frames_TD: stored features, float16 (`store_frames`).
        metadata: what goes into the JSON; NaN becomes null.
        phones_T: one phone id a frame, or nothing.

    Returns:
        The packed sample.

    Raises:
        ValueError: a key that would not survive, a wrong type, or phones that do not fit the frames.
    """
    if not key or "." in key or "/" in key:
        raise ValueError(f"'{key}' cannot be the key of a sample: it must have no dots or slashes")
    if frames_TD.dtype != np.float16 or not frames_TD.flags.c_contiguous:
        raise ValueError(f"{key}: frames are stored as float16 in C order, not {frames_TD.dtype}")
    if phones_T is not None and phones_T.shape != frames_TD.shape[:1]:
        raise ValueError(f"{key}: {phones_T.shape[0]} phones for {frames_TD.shape[0]} frames")
    frames_npy = npy_bytes(frames_TD)
    phones_npy = None if phones_T is None else npy_bytes(np.ascontiguousarray(phones_T, dtype=np.int16))
    frames_header = len(frames_npy) - frames_TD.nbytes
    return PackedSample(
        key=key,
        frames_npy=frames_npy,
        phones_npy=phones_npy,
        metadata_json=to_json(metadata),
        n_frames=frames_TD.shape[0],
        frames_header_bytes=frames_header,
        phones_header_bytes=0 if phones_npy is None else len(phones_npy) - 2 * frames_TD.shape[0],
        crc32=zlib.crc32(memoryview(frames_npy)[frames_header:]),
    )


def npy_bytes(array: NDArray[Any]) -> bytes:
    """Return an array as a .npy file of format 1.0."""
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, array, version=(1, 0), allow_pickle=False)
    return buffer.getvalue()
