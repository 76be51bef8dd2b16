"""Read samples by number: one `pread` at the index's offset, only the bytes that are asked for.

No walk through the tar and no memory map: a mapped file that is cut short kills the process with SIGBUS, while `pread`
comes back short and becomes an error that names the sample.  Descriptors stay open; the least recently used are closed.
Reading by position shares no state, so a forked process may use them too; a pickled reader opens its own.

Cost: 9 us for 100 KB in the page cache, 30 us more where the crc32 is checked: always where a sample is read whole by
number, in batches as the loader's settings say.

Shape legend: T frames, D feature columns.
"""

import json
import os
import weakref
import zlib
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from accent.errors import AccentError
from accent.features.schema import N_COLUMNS
from shards.shard_set.index import FRAME_BYTES, FRAME_DTYPE, PHONE_BYTES, PHONE_DTYPE
from shards.shard_set.manifest import ShardSet

_MOST_OPEN_SHARDS = 128
"""Descriptors kept; a process may usually open 1,024 files."""
_KEYS_AT_A_TIME = 4_096


class _Key(msgspec.Struct):
    """The only part of a sample's JSON that is made into an object."""

    key: str


_KEY = msgspec.json.Decoder(_Key)


class DamagedSampleError(AccentError):
    """The bytes of one sample are not those that were written, or cannot be read; others of its shard may be good."""


class ShardReader:
    """Reads frames, phones and metadata of a shard set's samples.

    Example:
        >>> reader = ShardReader(ShardSet.open("work/shards"))  # doctest: +SKIP
        >>> reader.frames(0, start=100, count=300).shape  # doctest: +SKIP
        (300, 143)
    """

    def __init__(self, shard_set: ShardSet) -> None:
        self._start(shard_set)

    def __getstate__(self) -> dict[str, Any]:
        return {"shard_set": self.shard_set}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self._start(state["shard_set"])

    def frames(self, number: int, start: int = 0, count: int | None = None) -> np.ndarray:
        """Read frames of a sample.

        Args:
            number: sample number, a row of the index.
            start: first frame.
            count: how many frames; None reads to the end.

        Returns:
            float16 [T, D], raw units, NaN where undefined; read-only.

        Raises:
            AccentError: the shard is missing, ends too early, or (on a whole read) fails its checksum.
            IndexError: no such sample, or frames outside it.
        """
        row = self._row(number)
        start, count = self._span(number, start, count)
        data = self._bytes(number, int(row["frames_offset"]) + start * FRAME_BYTES, count * FRAME_BYTES)
        if count == row["frames"]:
            self.check(number, data)
        return np.frombuffer(data, FRAME_DTYPE).reshape(count, N_COLUMNS)

    def phones(self, number: int, start: int = 0, count: int | None = None) -> np.ndarray | None:
        """Read the phone numbers of a sample, frame by frame.

        Args:
            number: sample number, a row of the index.
            start: first frame.
            count: how many frames; None reads to the end.

        Returns:
            int16 [T], read-only, or None where the sample has no alignment.

        Raises:
            AccentError: the shard is missing or ends too early.
            IndexError: no such sample, or frames outside it.
        """
        offset = int(self._row(number)["phones_offset"])
        start, count = self._span(number, start, count)
        if offset < 0:
            return None
        data = self._bytes(number, offset + start * PHONE_BYTES, count * PHONE_BYTES)
        return np.frombuffer(data, PHONE_DTYPE)

    def metadata(self, number: int) -> dict[str, Any]:
        """Read the JSON of a sample: key, speaker, accent, sex, text, duration, utterance-level features and more.

        Args:
            number: sample number, a row of the index.

        Returns:
            The parsed JSON.

        Raises:
            AccentError: the shard is missing, ends too early, or holds something else there.
            IndexError: no such sample.
        """
        data = self._metadata_bytes(number)
        try:
            return json.loads(data)
        except ValueError as error:
            raise self._damaged_metadata(number) from error

    def keys(self, numbers_N: np.ndarray) -> np.ndarray:
        """Read the keys of samples: an array, for the JSON of a sample takes 18 KB as Python objects.

        Args:
            numbers_N: sample numbers; those of one shard best stand together.

        Returns:
            str [N].

        Raises:
            AccentError: as for `metadata`.
            IndexError: no such sample.
        """
        blocks = [np.empty(0, "U1")]
        for first in range(0, len(numbers_N), _KEYS_AT_A_TIME):
            numbers = np.asarray(numbers_N[first : first + _KEYS_AT_A_TIME]).tolist()
            blocks.append(np.array([self._key(number) for number in numbers]))
        return np.concatenate(blocks)

    def read_into(self, number: int, shard: int, offset: int, length: int, buffers: Sequence[memoryview]) -> None:
        """Read bytes of a sample's shard into memory of the caller, one stretch over one or several buffers.

        Args:
            number: sample number, for the error's message.
            shard: number of the shard, as in the index.
            offset: where the stretch begins in the shard.
            length: bytes of all buffers together.
            buffers: where the bytes go.

        Raises:
            DamagedSampleError: the shard ends too early, or the disk refuses.
            AccentError: the shard cannot be opened.
        """
        descriptor = self._descriptor(shard)
        try:
            got = os.preadv(descriptor, buffers, offset)
            if got == length:
                return
            # Network file systems may give less than was asked for; only nothing at all is the end.
            for buffer in buffers:
                while len(buffer) > 0:
                    step = os.preadv(descriptor, (buffer,), offset)
                    if step == 0:
                        raise self._too_short(number, offset)
                    buffer, offset = buffer[step:], offset + step
        except OSError as error:
            raise self._unreadable(number, error) from error

    def check(self, number: int, data: bytes | memoryview) -> None:
        """Compare the frames of a whole sample with its checksum.

        Raises:
            DamagedSampleError: they differ.
        """
        if zlib.crc32(data) != self.rows["crc32"][number]:
            raise DamagedSampleError(
                f"{self._where(number)}: damaged (crc32 differs); copy the shard again, or featurize the corpus again"
            )

    def close(self) -> None:
        """Close the shards; the next read opens what it needs."""
        _close_all(self._descriptors)

    def _start(self, shard_set: ShardSet) -> None:
        self.shard_set = shard_set
        # The same memory without numpy's memory-map class, whose every slice costs microseconds.
        self.rows: np.ndarray = np.asarray(shard_set.index)
        """The index: `INDEX_DTYPE`, one row a sample."""
        self._descriptors: OrderedDict[int, int] = OrderedDict()
        weakref.finalize(self, _close_all, self._descriptors)

    def _row(self, number: int) -> np.void:
        # A negative number would silently count from the end, and -1 stands for "no sample".
        if not 0 <= number < len(self.rows):
            raise IndexError(f"sample {number} of {len(self.rows)}")
        return self.rows[number]

    def _key(self, number: int) -> str:
        try:
            return _KEY.decode(self._metadata_bytes(number)).key
        except ValueError as error:
            raise self._damaged_metadata(number) from error

    def _metadata_bytes(self, number: int) -> bytes:
        row = self._row(number)
        return self._bytes(number, int(row["metadata_offset"]), int(row["metadata_bytes"]))

    def _damaged_metadata(self, number: int) -> AccentError:
        return AccentError(
            f"{self._where(number)}: damaged metadata; copy the shard again, or featurize the corpus again"
        )

    def _span(self, number: int, start: int, count: int | None) -> tuple[int, int]:
        frames = int(self._row(number)["frames"])
        length = frames - start if count is None else count
        if start < 0 or length < 0 or start + length > frames:
            raise IndexError(f"sample {number}: frames {start} to {start + length} of {frames}")
        return start, length

    def _bytes(self, number: int, offset: int, length: int) -> bytes:
        data = bytearray(length)
        self.read_into(number, int(self.rows["shard"][number]), offset, length, (memoryview(data),))
        return bytes(data)

    def _descriptor(self, shard: int) -> int:
        descriptor = self._descriptors.get(shard)
        if descriptor is not None:
            self._descriptors.move_to_end(shard)
            return descriptor
        path = self._path(shard)
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            raise AccentError(f"{path}: the shard cannot be opened ({error.strerror}); copy it again") from error
        self._descriptors[shard] = descriptor
        if len(self._descriptors) > _MOST_OPEN_SHARDS:
            os.close(self._descriptors.popitem(last=False)[1])
        return descriptor

    def _too_short(self, number: int, end: int) -> DamagedSampleError:
        return DamagedSampleError(
            f"{self._where(number)}: the shard ends too early, at byte {end}; "
            "copy it again, or featurize the corpus again"
        )

    def _unreadable(self, number: int, error: OSError) -> DamagedSampleError:
        return DamagedSampleError(f"{self._where(number)}: cannot be read ({error.strerror}); check the disk")

    def _path(self, shard: int) -> Path:
        return self.shard_set.root / self.shard_set.manifest.shards[shard].name

    def _where(self, number: int) -> str:
        return f"{self._path(int(self.rows['shard'][number]))}: sample {number}"


def _close_all(descriptors: "OrderedDict[int, int]") -> None:
    while descriptors:
        os.close(descriptors.popitem()[1])
