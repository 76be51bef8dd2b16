"""Write samples into a tar shard: the same samples give the same bytes, and a shard is whole or does not exist.

A sample becomes the members `KEY.frames.npy`, `KEY.phones.npy` (only with alignments) and `KEY.json`, in this order, so
that any webdataset reader groups them.  Time, owner and mode of all members are fixed.  The writer notes where the data
of each member begin, so that a reader can fetch any range of frames without a walk through the tar.

Cost: one pass over the bytes, hashed on the way.
"""

import hashlib
import tarfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from accent.files import AtomicFile
from shards.shard_set.index import INDEX_DTYPE
from shards.shard_set.manifest import ShardEntry
from shards.writing.sample import PackedSample


class ShardWriter:
    """Write one shard; use as a context manager, which removes the temporary file if anything fails.

    Example:
        >>> with ShardWriter(folder / "shard-000000.tar") as writer:  # doctest: +SKIP
        ...     writer.add(pack_sample("ABA-arctic_a0001", frames_TD, {"speaker": "ABA"}))
        ...     entry = writer.finish()
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = AtomicFile(path)
        self._hash = hashlib.sha256()
        self._offset = 0
        self._rows: list[tuple[int, ...]] = []

    def __enter__(self) -> "ShardWriter":
        return self

    def __exit__(self, *exception: object) -> None:
        self._file.discard()

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
        self._file.commit()
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
        self._file.file.write(data)
        self._hash.update(data)
        self._offset += len(data)
