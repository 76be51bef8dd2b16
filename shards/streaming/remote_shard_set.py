"""A shard set that lies elsewhere: its tables are fetched when it is opened, its shards are streamed from start to end.

Manifest, index and statistics are small (50 bytes a sample and 4 KB a speaker): they are fetched once, compared with
their checksums and kept in memory.  So labels, splits and statistics are the same as those of a local set.

A shard is read through webdataset's tar reader.  The index says how many samples it holds and, in order, which; each is
compared with its checksum.  A broken connection is opened again and the samples already read are skipped; a shard that
ends too early, or is no tar file, is damaged.  tarfile takes a broken header for the end of the archive and says
nothing, so the samples are counted.

Cost: 0.2 to 0.3 ms a sample of 100 KB, without the network.

Shape legend: T frames, D feature columns.
"""

import hashlib
import io
import logging
import tarfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from webdataset.tariterators import group_by_keys, tar_file_expander

from accent.errors import AccentError
from accent.features.schema import N_COLUMNS
from shards.shard_set.files import MANIFEST_NAME, STATISTICS_NAME
from shards.shard_set.index import FRAME_BYTES, FRAME_DTYPE, INDEX_NAME, PHONE_BYTES, PHONE_DTYPE, load_index
from shards.shard_set.manifest import FileEntry, Manifest, ShardSet
from shards.shard_set.prompts import PROMPTS_NAME, PromptFile
from shards.shard_set.reader import DamagedSampleError
from shards.shard_set.statistics import SpeakerStatistics
from shards.streaming.transport import Attempts, RemoteFile, RemoteFolder, TransferError

_CHUNK_BYTES = 1 << 20

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class RemoteShardSet(ShardSet):
    """An opened shard set whose shards lie elsewhere.

    Example:
        >>> shard_set = RemoteShardSet.open("http://host/shards")  # doctest: +SKIP
        >>> for sample in stream_shard(shard_set, 0): ...  # doctest: +SKIP
    """

    folder: RemoteFolder
    statistics_file: bytes
    """Content of `statistics.npz`."""

    @classmethod
    def open(cls, root: Path | str) -> "RemoteShardSet":
        """Fetch what describes a shard set and check it; no shard is read or looked at.

        Args:
            root: address of the folder that holds `manifest.json` (see `shards.streaming.transport`).

        Returns:
            The shard set.

        Raises:
            AccentError: not an address, a file that cannot be fetched or is not what the manifest says, a newer format
                or other columns than this program's.
        """
        folder = RemoteFolder(str(root))
        manifest = Manifest.parse(folder.fetch(MANIFEST_NAME), folder.address_of(MANIFEST_NAME))
        index_file = _fetch_checked(folder, INDEX_NAME, manifest.index)
        statistics_file = _fetch_checked(folder, STATISTICS_NAME, manifest.statistics)
        index = load_index(io.BytesIO(index_file), folder.address_of(INDEX_NAME))
        manifest.check_rows(index, folder.address_of(INDEX_NAME))
        return cls(Path(folder.address), manifest, index, folder, statistics_file)

    @property
    def place(self) -> str:
        """Its address, for messages."""
        return self.folder.address

    def __reduce__(self) -> tuple[Any, ...]:
        return RemoteShardSet.open, (self.folder.address,)

    @cached_property
    def speaker_statistics(self) -> SpeakerStatistics:
        """The moments of each speaker, rows in the order of `speakers`; errors as for `SpeakerStatistics.from_npz`."""
        where = self.folder.address_of(STATISTICS_NAME)
        return SpeakerStatistics.from_npz(io.BytesIO(self.statistics_file), len(self.speakers), where)

    @cached_property
    def prompts(self) -> Sequence[str]:
        """Names of the prompts, sorted; fetched when they are asked for where they have a file of their own."""
        entry = self.manifest.prompts_file
        if entry is None:
            return list(self.manifest.prompts)
        content = _fetch_checked(self.folder, PROMPTS_NAME, entry)
        return PromptFile(content, entry.count, self.folder.address_of(PROMPTS_NAME))

    def shard_address(self, shard: int) -> str:
        """Return the address of a shard by its number."""
        return self.folder.address_of(self.manifest.shards[shard].name)


@dataclass(frozen=True, eq=False)
class StreamedSample:
    """A sample as it came by, or why it is of no use."""

    number: int
    """Sample number in the shard set."""
    frames_TD: np.ndarray
    """float16, raw units, NaN where undefined; read-only; empty where damaged."""
    phones_T: np.ndarray | None
    """int16 phone numbers; None where the sample has no alignment."""
    damage: DamagedSampleError | None = None
    """What is wrong with it."""


def stream_shard(shard_set: RemoteShardSet, shard: int, wanted_N: np.ndarray | None = None) -> Iterator[StreamedSample]:
    """Read a shard from start to end.

    Args:
        shard_set: which set.
        shard: number of the shard.
        wanted_N: bool, by sample number: which samples to yield; None yields all.

    Returns:
        An iterator over the wanted samples of this shard, each exactly once and in the order of the index, the damaged
        ones among them.

    Raises:
        AccentError: the shard cannot be opened, or its transfer breaks, after `transport.ATTEMPTS` attempts.
    """
    index, entry = shard_set.index, shard_set.manifest.shards[shard]
    numbers_N = np.flatnonzero(index["shard"] == shard)
    numbers = numbers_N[np.argsort(index["frames_offset"][numbers_N], kind="stable")].tolist()
    address = shard_set.shard_address(shard)
    attempts, done, done_before = Attempts(address), 0, 0
    while True:
        try:
            with shard_set.folder.open(entry.name) as stream:
                try:
                    for position, files in enumerate(_samples_of_tar(stream, address)):
                        if position >= len(numbers):
                            break
                        if position == done:
                            done += 1
                            if wanted_N is None or wanted_N[numbers[position]]:
                                yield _checked(shard_set, numbers[position], files)
                except (tarfile.TarError, ValueError):
                    # What is missing is counted below.  A transfer that broke is none of these.
                    pass
                received = _read_to_end(stream, entry.bytes)
        except TransferError as error:
            if done > done_before:
                attempts, done_before = Attempts(address), done
            attempts.failed(error)
        else:
            break
    if done == len(numbers) and received != entry.bytes:
        _logger.warning(
            "%s: not the %d bytes that the manifest says, but all its %d samples are whole; copy it there again",
            address,
            entry.bytes,
            len(numbers),
        )
    what = f"the shard ends too early ({received} of {entry.bytes} bytes)"
    if received >= entry.bytes:
        what = "no sample is found there in the shard"
    for number in numbers[done:]:
        if wanted_N is None or wanted_N[number]:
            yield _damaged(shard_set, number, what)


def _samples_of_tar(stream: RemoteFile, address: str) -> Iterator[dict[str, Any]]:
    return group_by_keys(tar_file_expander([{"url": address, "stream": stream}]))


def _read_to_end(stream: RemoteFile, expected: int) -> int:
    """Read on, and return how many bytes the file has; or something above `expected` if it is longer than that."""
    while stream.received <= expected and stream.read(_CHUNK_BYTES):
        pass
    return stream.received


def _checked(shard_set: RemoteShardSet, number: int, files: dict[str, Any]) -> StreamedSample:
    """Take a sample's arrays out of its files: the index knows how long they are, whatever their headers say."""
    row = shard_set.index[number]
    count = int(row["frames"])
    frames, phones = files.get("frames.npy", b""), files.get("phones.npy", b"")
    if len(frames) < count * FRAME_BYTES:
        return _damaged(shard_set, number, "its frames are missing")
    frames_TD = np.frombuffer(frames, FRAME_DTYPE, offset=len(frames) - count * FRAME_BYTES).reshape(count, N_COLUMNS)
    if zlib.crc32(frames_TD.data) != row["crc32"]:
        return _damaged(shard_set, number, "damaged (crc32 differs)")
    if row["phones_offset"] < 0:
        return StreamedSample(number, frames_TD, None)
    if len(phones) < count * PHONE_BYTES:
        return _damaged(shard_set, number, "its phones are missing")
    return StreamedSample(
        number, frames_TD, np.frombuffer(phones, PHONE_DTYPE, offset=len(phones) - count * PHONE_BYTES)
    )


def _damaged(shard_set: RemoteShardSet, number: int, what: str) -> StreamedSample:
    address = shard_set.shard_address(int(shard_set.index["shard"][number]))
    error = DamagedSampleError(
        f"{address}: sample {number}: {what}; copy the shard there again, or featurize the corpus again"
    )
    return StreamedSample(number, np.zeros((0, N_COLUMNS), FRAME_DTYPE), None, error)


def _fetch_checked(folder: RemoteFolder, name: str, entry: FileEntry) -> bytes:
    content = folder.fetch(name)
    if len(content) != entry.bytes or hashlib.sha256(content).hexdigest() != entry.sha256:
        raise AccentError(
            f"{folder.address_of(name)}: not the file that the manifest describes ({len(content)} bytes of "
            f"{entry.bytes}, or another sha256); copy the shard set there again"
        )
    return content
