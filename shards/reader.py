"""Samples by number: one `pread` at the index's offset, only the bytes that are asked for.

No walk through the tar, no memory map (a mapped file that is cut short kills the process with SIGBUS; `pread` comes
back short and becomes an error that names the sample).  Descriptors stay open, the least recently used are closed.
Reading by position shares no state, so a forked process may go on using them; a pickled reader opens its own.

Cost: a crop of 300 frames is one system call for 86 KB; a sample that is read whole is checked against its crc32 too.

Shape legend: T frames, D feature columns.
"""

import json
import os
import weakref
import zlib
from collections import OrderedDict
from typing import Any

import numpy as np

from accent.errors import AccentError
from accent.features.schema import N_COLUMNS
from shards.manifest import ShardSet

_FRAME_TYPE = np.dtype("<f2")
_PHONE_TYPE = np.dtype("<i2")
_MOST_OPEN_SHARDS = 128
"""Descriptors kept; a process may usually open 1,024 files."""


class ShardReader:
    """Reads frames, phones and metadata of a shard set's samples.

    Example:
        >>> reader = ShardReader(ShardSet.open("work/shards"))  # doctest: +SKIP
        >>> reader.frames(0, start=100, count=300).shape  # doctest: +SKIP
        (300, 143)
    """

    def __init__(self, shard_set: ShardSet) -> None:
        self.shard_set = shard_set
        self._open_descriptors()

    def __getstate__(self) -> dict[str, Any]:
        return {"shard_set": self.shard_set}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.shard_set = state["shard_set"]
        self._open_descriptors()

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
        width = N_COLUMNS * _FRAME_TYPE.itemsize
        data = self._bytes(number, int(row["frames_offset"]) + start * width, count * width)
        if count == row["frames"] and zlib.crc32(data) != row["crc32"]:
            raise AccentError(
                f"{self._where(number)}: damaged (crc32 differs); copy the shard again, or featurize the corpus again"
            )
        return np.frombuffer(data, _FRAME_TYPE).reshape(count, N_COLUMNS)

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
        data = self._bytes(number, offset + start * _PHONE_TYPE.itemsize, count * _PHONE_TYPE.itemsize)
        return np.frombuffer(data, _PHONE_TYPE)

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
        row = self._row(number)
        data = self._bytes(number, int(row["metadata_offset"]), int(row["metadata_bytes"]))
        try:
            return json.loads(data)
        except ValueError as error:
            raise AccentError(
                f"{self._where(number)}: damaged metadata; copy the shard again, or featurize the corpus again"
            ) from error

    def close(self) -> None:
        """Close the shards; the next read opens what it needs."""
        _close_all(self._descriptors)

    def _open_descriptors(self) -> None:
        self._descriptors: OrderedDict[int, int] = OrderedDict()
        weakref.finalize(self, _close_all, self._descriptors)

    def _row(self, number: int) -> np.void:
        # A negative number would silently count from the end, and -1 stands for "no sample".
        if not 0 <= number < len(self.shard_set.index):
            raise IndexError(f"sample {number} of {len(self.shard_set.index)}")
        return self.shard_set.index[number]

    def _span(self, number: int, start: int, count: int | None) -> tuple[int, int]:
        frames = int(self._row(number)["frames"])
        length = frames - start if count is None else count
        if start < 0 or length < 0 or start + length > frames:
            raise IndexError(f"sample {number}: frames {start} to {start + length} of {frames}")
        return start, length

    def _bytes(self, number: int, offset: int, length: int) -> bytes:
        descriptor = self._descriptor(number)
        try:
            data = os.pread(descriptor, length, offset)
        except OSError as error:
            raise AccentError(f"{self._where(number)}: cannot be read ({error.strerror}); check the disk") from error
        if len(data) != length:
            raise AccentError(
                f"{self._where(number)}: the shard ends {length - len(data)} bytes too early; "
                "copy it again, or featurize the corpus again"
            )
        return data

    def _descriptor(self, number: int) -> int:
        shard = int(self._row(number)["shard"])
        if shard in self._descriptors:
            self._descriptors.move_to_end(shard)
            return self._descriptors[shard]
        path = self.shard_set.root / self.shard_set.manifest.shards[shard].name
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            raise AccentError(
                f"{self._where(number)}: the shard cannot be opened ({error.strerror}); copy it again"
            ) from error
        self._descriptors[shard] = descriptor
        if len(self._descriptors) > _MOST_OPEN_SHARDS:
            os.close(self._descriptors.popitem(last=False)[1])
        return descriptor

    def _where(self, number: int) -> str:
        shard = self.shard_set.manifest.shards[int(self._row(number)["shard"])]
        return f"{self.shard_set.root / shard.name}: sample {number}"


def _close_all(descriptors: "OrderedDict[int, int]") -> None:
    while descriptors:
        os.close(descriptors.popitem()[1])
