"""Write samples into a tar shard: the same samples give the same bytes, and a shard is whole or is not there.

A sample becomes the members `KEY.frames.npy`, `KEY.phones.npy` (only with alignments) and `KEY.json`, in this order, so
that any webdataset reader groups them.  Time, owner and mode of every member are fixed.  A shard is written to a
temporary name, synced to the disk and then renamed.  Where the data of each member begin is noted while writing, so
that a reader can fetch any range of frames without walking the tar.  Cost: one pass over the bytes, hashed on the way.

Shapes: T frames, D columns.
"""

import hashlib
import io
import json
import math
import os
import secrets
import tarfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accent.dsp.casts import to_half
from accent.features.schema import COLUMNS, N_COLUMNS
from shards.shard_set.manifest import INDEX_DTYPE, ShardEntry

TEMPORARY_SUFFIX = ".tmp"
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


def strict(value: Any) -> Any:
    """Return a copy that strict JSON can hold: NaN and infinities become null, numpy scalars plain numbers."""
    # The usual kinds first: asking for abstract ones takes longer than the rest of the packing.
    kind = type(value)
    if kind is float:
        return value if math.isfinite(value) else None
    if value is None or kind is str or kind is int:
        return value
    if kind is dict or isinstance(value, Mapping):
        return {str(key): strict(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [strict(item) for item in value]
    if isinstance(value, np.generic):
        return strict(value.item())
    return strict(float(value)) if isinstance(value, float) else value


def to_json(value: Any, indent: int | None = None) -> bytes:
    """Return strict JSON in UTF-8, keys in the order given."""
    separators = (",", ":") if indent is None else (",", ": ")
    text = json.dumps(strict(value), ensure_ascii=False, allow_nan=False, indent=indent, separators=separators)
    return text.encode() + b"\n"


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
    frames_npy = _npy(frames_TD)
    phones_npy = None if phones_T is None else _npy(np.ascontiguousarray(phones_T, dtype=np.int16))
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


class ShardWriter:
    """Write one shard; use as a context manager, which removes the temporary file if anything fails.

    Example:
        >>> with ShardWriter(folder / "shard-000000.tar") as writer:  # doctest: +SKIP
        ...     writer.add(pack_sample("ABA-arctic_a0001", frames_TD, {"speaker": "ABA"}))
        ...     entry = writer.finish()
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._temporary = _temporary(path)
        self._file = self._temporary.open("wb")
        self._hash = hashlib.sha256()
        self._offset = 0
        self._rows: list[tuple[int, ...]] = []

    def __enter__(self) -> "ShardWriter":
        return self

    def __exit__(self, *exception: object) -> None:
        if not self._file.closed:
            self._file.close()
            self._temporary.unlink(missing_ok=True)

    @property
    def rows(self) -> NDArray[np.void]:
        """Index rows of the samples added so far; shard, speaker, accent and prompt are left 0 for the caller."""
        return np.array(self._rows, dtype=INDEX_DTYPE)

    def add(self, sample: PackedSample) -> None:
        """Append a sample's members and note where their data begin."""
        frames_offset = self._member(f"{sample.key}.frames.npy", sample.frames_npy) + sample.frames_header_bytes
        phones_offset = -1
        if sample.phones_npy is not None:
            phones_offset = self._member(f"{sample.key}.phones.npy", sample.phones_npy) + sample.phones_header_bytes
        metadata_offset = self._member(f"{sample.key}.json", sample.metadata_json)
        self._rows.append(
            (
                0,
                frames_offset,
                phones_offset,
                metadata_offset,
                len(sample.metadata_json),
                sample.n_frames,
                0,
                0,
                0,
                sample.crc32,
            )
        )

    def finish(self) -> ShardEntry:
        """End the tar, sync it and give it its name; the shard is complete when this returns."""
        self._write(bytes(2 * tarfile.BLOCKSIZE))
        self._write(bytes(-self._offset % tarfile.RECORDSIZE))
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        os.replace(self._temporary, self.path)
        sync_folder(self.path.parent)
        return ShardEntry(self.path.name, self._offset, self._hash.hexdigest(), len(self._rows))

    def _member(self, name: str, data: bytes) -> int:
        member = tarfile.TarInfo(name)
        member.size = len(data)
        member.mode = 0o644
        # Plain ustar; only a name beyond 100 bytes, which ustar cannot hold, gets an extended header.
        self._write(member.tobuf(tarfile.PAX_FORMAT))
        offset = self._offset
        self._write(data)
        self._write(bytes(-len(data) % tarfile.BLOCKSIZE))
        return offset

    def _write(self, data: bytes) -> None:
        self._file.write(data)
        self._hash.update(data)
        self._offset += len(data)


def write_atomically(path: Path, data: bytes) -> None:
    """Write a file under a temporary name, sync it, then rename: readers see the old file or the new one, whole."""
    temporary = _temporary(path)
    with temporary.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)
    sync_folder(path.parent)


def _temporary(path: Path) -> Path:
    # Random, so that two machines on one folder never write into the same file.
    return path.with_name(f"{path.name}.{secrets.token_hex(4)}{TEMPORARY_SUFFIX}")


def sync_folder(folder: Path) -> None:
    """Make a rename in this folder survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _npy(array: NDArray[Any]) -> bytes:
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, array, version=(1, 0), allow_pickle=False)
    return buffer.getvalue()
