"""A finished shard's share of the index and of the statistics, kept aside until all shards are there.

Each shard leaves a record in OUT/.parts/, renamed into place after the shard itself: a shard with a record is finished
and is never made again.  A record has a sha256 of its own, and holds that of its shard: what is damaged is noticed,
and made again.  Cost: less than a kilobyte a sample, and 5 KB for each speaker of each shard.

Shapes: D columns, H bins of the F0 histogram.
"""

import dataclasses
import hashlib
import io
import json
import logging
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accent.errors import AccentError
from accent.files import sha256_of, write_bytes
from accent.strict_json import to_json
from shards.shard_set.manifest import (
    Refused,
    ShardEntry,
)
from shards.shard_set.statistics import Moments, SpeakerStatistics

RECORDS_FOLDER = ".parts"
_DIGEST_BYTES = hashlib.sha256().digest_size

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Labels:
    """Whose a sample is: what the index points to."""

    speaker: str
    accent: str
    prompt: str
    corpus: str
    sex: str | None
    split: str | None


@dataclass(frozen=True, eq=False)
class ShardRecord:
    """What one shard adds to the set."""

    number: int
    """Of the shard, from 0."""
    entry: ShardEntry | None
    """The shard; nothing if all its inputs were refused, then there is no file."""
    rows: NDArray[np.void]
    """Its index rows; shard, speaker, accent and prompt not yet filled in."""
    labels: tuple[Labels, ...]
    """One a row."""
    moments: Mapping[str, Moments]
    """By speaker."""
    refused: tuple[Refused, ...]
    sources: Mapping[str, Mapping[str, int]] = dataclasses.field(default_factory=dict)
    """Accent -> sampling rate and format -> samples."""
    remarks: Mapping[str, int] = dataclasses.field(default_factory=dict)
    """What is unusual about samples -> how many."""

    def to_npz(self) -> bytes:
        """Return the record as a .npz file."""
        plain = {
            "number": self.number,
            "entry": None if self.entry is None else dataclasses.asdict(self.entry),
            "labels": [dataclasses.asdict(one) for one in self.labels],
            "speakers": sorted(self.moments),
            "refused": [dataclasses.asdict(one) for one in self.refused],
            "sources": self.sources,
            "remarks": self.remarks,
        }
        arrays: dict[str, NDArray[Any]] = {
            "record": np.frombuffer(to_json(plain), dtype=np.uint8),
            "rows": self.rows,
        }
        if self.moments:
            table = SpeakerStatistics.stack(self.moments)
            arrays.update(count=table.count_SD, mean=table.mean_SD, m2=table.m2_SD, f0_histogram=table.f0_SH)
        buffer = io.BytesIO()
        np.savez(buffer, **arrays)  # type: ignore[arg-type]
        return buffer.getvalue()

    @classmethod
    def from_npz(cls, data: bytes) -> "ShardRecord":
        """Read what `to_npz` wrote."""
        with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
            plain = json.loads(arrays["record"].tobytes())
            # Read once, because an archive reads a member at every access; copied, because a row keeps its whole table.
            tables = [arrays[name] for name in ("count", "mean", "m2", "f0_histogram")] if plain["speakers"] else []
            moments = {
                name: Moments(*(table[row].copy() for table in tables)) for row, name in enumerate(plain["speakers"])
            }
            return cls(
                plain["number"],
                None if plain["entry"] is None else ShardEntry(**plain["entry"]),
                arrays["rows"],
                tuple(Labels(**one) for one in plain["labels"]),
                moments,
                tuple(Refused(**one) for one in plain["refused"]),
                plain["sources"],
                plain["remarks"],
            )


def shard_name(number: int) -> str:
    """Return the file name of a shard."""
    return f"shard-{number:06d}.tar"


def record_path(root: Path, number: int) -> Path:
    """Return the path of a shard's record."""
    return root / RECORDS_FOLDER / f"shard-{number:06d}.npz"


def save_record(root: Path, record: ShardRecord) -> None:
    """Record a shard as finished; the file ends with the sha256 of what stands before."""
    data = record.to_npz()
    write_bytes(record_path(root, record.number), data + hashlib.sha256(data).digest())


def load_record(root: Path, number: int) -> ShardRecord | None:
    """Return the record of a finished shard; nothing if the shard must still be made."""
    data = _read_record(record_path(root, number))
    if data is None:
        return None
    record = ShardRecord.from_npz(data)
    return record if _is_there(root, record.entry) else None


def is_finished(root: Path, number: int, hashed: bool) -> bool:
    """Whether a shard and its record are there; a fraction of the cost of `load_record`.

    Args:
        root: the folder of the shard set.
        number: of the shard.
        hashed: compare the sha256 of the shard with that of its record, too; this reads the shard.

    A record or a shard that is damaged is told in a warning, and does not count.
    """
    path = record_path(root, number)
    data = _read_record(path)
    if data is None:
        if path.is_file():
            _logger.warning("%s: damaged, or of an earlier version; shard %s counts as missing", path, number)
        return False
    entry = _entry(data)
    if not _is_there(root, entry):
        return False
    if hashed and entry is not None and sha256_of(root / entry.name) != entry.sha256:
        _logger.warning("%s: damaged (another sha256 than was written); it counts as missing", root / entry.name)
        return False
    return True


def _read_record(path: Path) -> bytes | None:
    """Return a record as it was written; nothing if there is none, or another."""
    if not path.is_file():
        return None
    content = path.read_bytes()
    data, digest = content[:-_DIGEST_BYTES], content[-_DIGEST_BYTES:]
    return data if hashlib.sha256(data).digest() == digest else None


def _entry(data: bytes) -> ShardEntry | None:
    with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
        entry = json.loads(arrays["record"].tobytes())["entry"]
    return None if entry is None else ShardEntry(**entry)


def _is_there(root: Path, entry: ShardEntry | None) -> bool:
    if entry is None:
        return True
    shard = root / entry.name
    return shard.is_file() and shard.stat().st_size == entry.bytes


def load_records(root: Path, count: int) -> Iterator[ShardRecord]:
    """Yield the records of all shards in order, one at a time.

    Raises:
        AccentError: a shard or its record has vanished, or is damaged.
    """
    for number in range(count):
        record = load_record(root, number)
        if record is None:
            raise AccentError(
                f"{root / shard_name(number)}: vanished or damaged while the set was made; run again to make it again"
            )
        yield record


def remove_records(root: Path) -> None:
    """Remove the records; a set with a manifest needs them no more."""
    folder = root / RECORDS_FOLDER
    if folder.is_dir():
        shutil.rmtree(folder)
