"""A finished shard's share of the index and statistics, kept aside until all shards are there, then put together.

Each shard leaves a record in OUT/.parts/, renamed into place after the shard itself: a shard with a record is finished
and is never made again.  `assemble` merges the records in the order of the shards and writes statistics, index and,
last, the manifest.  Memory: one record at a time, and of all of them the labels and index rows, less than a kilobyte a
sample; the moments, 5 KB for each speaker of each shard, are merged as they come.

Shapes: D columns, H bins of the F0 histogram.
"""

import dataclasses
import hashlib
import io
import json
import shutil
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accent.errors import AccentError
from accent.grid import FRAMES_PER_SECOND
from shards.shard_set.manifest import (
    INDEX_DTYPE,
    INDEX_NAME,
    MANIFEST_NAME,
    STATISTICS_NAME,
    FileEntry,
    Manifest,
    Refused,
    ShardEntry,
    ShardSet,
    SpeakerEntry,
)
from shards.shard_set.statistics import Moments, SpeakerStatistics
from shards.writing.tar_writer import to_json, write_atomically

PARTS_FOLDER = ".parts"


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

    def to_npz(self) -> bytes:
        """Return the record as a .npz file."""
        plain = {
            "number": self.number,
            "entry": None if self.entry is None else dataclasses.asdict(self.entry),
            "labels": [dataclasses.asdict(one) for one in self.labels],
            "speakers": sorted(self.moments),
            "refused": [dataclasses.asdict(one) for one in self.refused],
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
            )


def shard_name(number: int) -> str:
    """Return the file name of a shard."""
    return f"shard-{number:06d}.tar"


def part_path(root: Path, number: int) -> Path:
    """Return where the record of a shard lies."""
    return root / PARTS_FOLDER / f"shard-{number:06d}.npz"


def save_part(root: Path, part: ShardRecord) -> None:
    """Record a shard as finished."""
    write_atomically(part_path(root, part.number), part.to_npz())


def load_part(root: Path, number: int) -> ShardRecord | None:
    """Return the record of a finished shard; nothing if the shard must still be made."""
    path = part_path(root, number)
    if not path.is_file():
        return None
    part = ShardRecord.from_npz(path.read_bytes())
    return part if _is_there(root, part.entry) else None


def is_finished(root: Path, number: int) -> bool:
    """Whether a shard and its record are there; a fraction of the cost of `load_part`."""
    path = part_path(root, number)
    if not path.is_file():
        return False
    with np.load(path, allow_pickle=False) as arrays:
        entry = json.loads(arrays["record"].tobytes())["entry"]
    return _is_there(root, None if entry is None else ShardEntry(**entry))


def _is_there(root: Path, entry: ShardEntry | None) -> bool:
    if entry is None:
        return True
    shard = root / entry.name
    return shard.is_file() and shard.stat().st_size == entry.bytes


def load_parts(root: Path, count: int) -> Iterator[ShardRecord]:
    """Yield the records of all shards in order, one at a time.

    Raises:
        AccentError: a shard or its record has vanished.
    """
    for number in range(count):
        part = load_part(root, number)
        if part is None:
            raise AccentError(
                f"{root / shard_name(number)}: vanished while the set was made; run again to make it again"
            )
        yield part


def assemble(
    root: Path,
    parts: Iterable[ShardRecord],
    *,
    corpus: str,
    configuration: Mapping[str, Any],
    features_fingerprint: str,
    plan_fingerprint: str,
    phones: Sequence[str],
    refused: Sequence[Refused] = (),
) -> ShardSet:
    """Put the parts of a set together: statistics, index, and last the manifest; then open the set.

    Args:
        root: the folder with the shards.
        parts: the records of all shards, in order; each is dropped before the next is taken.
        corpus: name of the corpus.
        configuration: the configuration as plain values.
        features_fingerprint: hash of the feature configuration.
        plan_fingerprint: hash of configuration and inputs.
        phones: names of the phone ids.
        refused: inputs that were refused before any shard was begun.

    Returns:
        The opened shard set.

    Raises:
        AccentError: there is not a single sample.
    """
    all_refused = list(refused)
    shards: list[ShardEntry] = []
    labels: list[Labels] = []
    rows: list[NDArray[np.void]] = []
    by_speaker: dict[str, Moments] = {}
    for part in parts:
        all_refused += part.refused
        if part.entry is None:
            continue
        shards.append(part.entry)
        labels += part.labels
        rows.append(part.rows)
        for name, moments in part.moments.items():
            by_speaker[name] = by_speaker[name].merged(moments) if name in by_speaker else moments
    all_refused.sort(key=lambda one: one.path)
    if not shards:
        first = f": {all_refused[0].path}: {all_refused[0].reason}" if all_refused else ""
        raise AccentError(f"{corpus}: none of {len(all_refused)} inputs could be used{first}; mend the corpus")
    speakers = _speaker_entries(labels)
    accents = tuple(sorted({one.accent for one in speakers}))
    prompts = tuple(sorted({one.prompt for one in labels}))

    index = np.concatenate(rows).astype(INDEX_DTYPE)
    index["shard"] = np.repeat(np.arange(len(shards)), [one.count for one in shards])
    index["speaker"] = _positions([one.speaker for one in labels], [one.name for one in speakers])
    index["accent"] = _positions([one.accent for one in labels], accents)
    index["prompt"] = _positions([one.prompt for one in labels], prompts)

    statistics_file = _write(root / STATISTICS_NAME, SpeakerStatistics.stack(by_speaker).to_npz())
    index_file = _write(root / INDEX_NAME, _npy(index))
    manifest = Manifest(
        corpus=corpus,
        configuration=dict(configuration),
        features_fingerprint=features_fingerprint,
        plan_fingerprint=plan_fingerprint,
        phones=tuple(phones),
        shards=tuple(shards),
        speakers=speakers,
        accents=accents,
        prompts=prompts,
        refused=tuple(all_refused),
        count=len(index),
        hours=round(float(index["frames"].sum()) / FRAMES_PER_SECOND / 3600, 6),
        index=index_file,
        statistics=statistics_file,
    )
    write_atomically(root / MANIFEST_NAME, to_json(manifest.to_mapping(), indent=1))
    remove_parts(root)
    return ShardSet.open(root)


def remove_parts(root: Path) -> None:
    """Remove the records; a set with a manifest needs them no more."""
    folder = root / PARTS_FOLDER
    if folder.is_dir():
        shutil.rmtree(folder)


def _speaker_entries(labels: Sequence[Labels]) -> tuple[SpeakerEntry, ...]:
    first = {one.speaker: one for one in reversed(labels)}
    count = Counter(one.speaker for one in labels)
    return tuple(
        SpeakerEntry(name, one.accent, one.sex, one.split, one.corpus, count[name])
        for name, one in sorted(first.items())
    )


def _positions(values: Sequence[str], names: Sequence[str]) -> NDArray[np.int64]:
    position = {name: number for number, name in enumerate(names)}
    return np.array([position[value] for value in values], dtype=np.int64)


def _write(path: Path, data: bytes) -> FileEntry:
    write_atomically(path, data)
    return FileEntry(len(data), hashlib.sha256(data).hexdigest())


def _npy(array: NDArray[Any]) -> bytes:
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, array, version=(1, 0), allow_pickle=False)
    return buffer.getvalue()
