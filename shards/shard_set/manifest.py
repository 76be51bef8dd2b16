"""What a shard set is, and how to open one: manifest, index and statistics beside plain tar files.

    OUT/manifest.json    what is in it: schema, feature configuration, shards with sizes and hashes, speakers, refusals
    OUT/index.npy        one row a sample, memory-mapped: where its bytes are and whose they are
    OUT/statistics.npz   moments of each column for each speaker
    OUT/shard-000000.tar ...

The manifest is written last: a folder with a manifest is complete.  Opening reads the manifest, maps the index and asks
the file system for the size of each shard; no shard is read.

Shapes: D columns, S speakers.
"""

import dataclasses
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accent.errors import AccentError
from accent.features.schema import FAMILIES
from accent.grid import FRAMES_PER_SECOND
from shards.shard_set.statistics import SpeakerStatistics, Statistics

FORMAT_VERSION = 1
MANIFEST_NAME = "manifest.json"
_TABLES = (".tsv", ".csv", ".jsonl")
INDEX_NAME = "index.npy"
STATISTICS_NAME = "statistics.npz"

INDEX_DTYPE = np.dtype(
    [
        ("shard", "<u4"),
        ("frames_offset", "<u8"),
        ("phones_offset", "<i8"),
        ("metadata_offset", "<u8"),
        ("metadata_bytes", "<u4"),
        ("frames", "<u4"),
        ("speaker", "<u4"),
        ("accent", "<u2"),
        ("prompt", "<u4"),
        ("crc32", "<u4"),
    ]
)
"""A row of the index.  Offsets are bytes from the start of the shard to the first datum, past the .npy header; -1 where
there are no phones.  Speaker, accent and prompt are positions in the manifest's sorted lists."""


@dataclass(frozen=True)
class ShardEntry:
    """One tar file of the set."""

    name: str
    bytes: int
    sha256: str
    count: int
    """Samples in it."""


@dataclass(frozen=True)
class FileEntry:
    """A file beside the shards."""

    bytes: int
    sha256: str


@dataclass(frozen=True)
class SpeakerEntry:
    """One speaker and how many samples there are of them."""

    name: str
    accent: str
    sex: str | None
    split: str | None
    corpus: str
    count: int


@dataclass(frozen=True)
class Refused:
    """An input that could not be used."""

    path: str
    """Relative to the corpus."""
    reason: str


def schema_mapping() -> list[dict[str, Any]]:
    """Return the schema as the manifest holds it: name, columns and unit of each family, in storage order."""
    return [{"name": one.name, "columns": list(one.columns), "unit": one.unit} for one in FAMILIES]


@dataclass(frozen=True)
class Manifest:
    """The content of `manifest.json`, field by field."""

    corpus: str
    """Name of the corpus."""
    configuration: dict[str, Any]
    """The configuration the set was made with: corpus, features, samples per shard, seed."""
    features_fingerprint: str
    """Hash of the feature configuration: two sets with equal fingerprints hold comparable features."""
    plan_fingerprint: str
    """Hash of the configuration and the list of inputs: tells whether the set is the one that was asked for."""
    phones: tuple[str, ...]
    """Names of the phone ids, id 0 first."""
    shards: tuple[ShardEntry, ...]
    speakers: tuple[SpeakerEntry, ...]
    """Sorted by name."""
    accents: tuple[str, ...]
    """Sorted."""
    prompts: tuple[str, ...]
    """Sorted."""
    refused: tuple[Refused, ...]
    count: int
    """Samples in the set."""
    hours: float
    """Of speech, after trimming."""
    index: FileEntry
    statistics: FileEntry
    sources: dict[str, dict[str, int]] = field(default_factory=dict)
    """Accent -> sampling rate and format of its files -> samples."""
    remarks: dict[str, int] = field(default_factory=dict)
    """What is unusual about samples that are used -> how many."""
    schema: list[dict[str, Any]] = field(default_factory=schema_mapping)
    frames_per_second: int = FRAMES_PER_SECOND
    format_version: int = FORMAT_VERSION

    def to_mapping(self) -> dict[str, Any]:
        """Return the manifest as plain values, the version first."""
        values = dataclasses.asdict(self)
        return {"format_version": values.pop("format_version"), **values}

    @classmethod
    def from_mapping(cls, values: dict[str, Any], where: Path) -> "Manifest":
        """Build a manifest from parsed JSON.

        Raises:
            AccentError: it is not a manifest of a shard set, or was written by a newer version of this program.
        """
        version = values.get("format_version")
        if not isinstance(version, int):
            raise AccentError(f"{where}: not the manifest of a shard set (no format_version); name another folder")
        if version > FORMAT_VERSION:
            raise AccentError(
                f"{where}: written in format {version}, this program reads up to {FORMAT_VERSION}; upgrade the program"
            )
        try:
            return cls(
                **{
                    **values,
                    "phones": tuple(values["phones"]),
                    "shards": tuple(ShardEntry(**one) for one in values["shards"]),
                    "speakers": tuple(SpeakerEntry(**one) for one in values["speakers"]),
                    "accents": tuple(values["accents"]),
                    "prompts": tuple(values["prompts"]),
                    "refused": tuple(Refused(**one) for one in values["refused"]),
                    "index": FileEntry(**values["index"]),
                    "statistics": FileEntry(**values["statistics"]),
                }
            )
        except (KeyError, TypeError) as error:
            raise AccentError(f"{where}: damaged manifest ({error}); featurize the corpus again") from error


@dataclass(frozen=True, eq=False)
class ShardSet:
    """An opened shard set; sample `n` is row `n` of the index.

    Example:
        >>> shard_set = ShardSet.open(Path("work/shards"))  # doctest: +SKIP
        >>> shard_set.statistics(["ABA", "SKA"]).mean_D  # doctest: +SKIP
    """

    root: Path
    manifest: Manifest
    index: NDArray[np.void]
    """`INDEX_DTYPE`, read-only, memory-mapped."""

    @classmethod
    def open(cls, root: Path | str) -> "ShardSet":
        """Open a shard set and check that it is whole, without reading the shards.

        Args:
            root: the folder that holds `manifest.json`.

        Returns:
            The shard set.

        Raises:
            AccentError: no such folder, not a (complete) shard set, a newer format, other columns than this program's,
                or a file that is missing or has another size than the manifest says; the line names it.
        """
        root = Path(root)
        if root.is_file():
            what = (
                f"a table; make a shard set of it: accent featurize {root} SHARDS"
                if root.suffix in _TABLES
                else "a file"
            )
            raise AccentError(f"{root}: {what}; a shard set is a folder with a {MANIFEST_NAME}")
        if not root.is_dir():
            raise AccentError(f"{root}: no such folder; featurize a corpus into it first")
        path = root / MANIFEST_NAME
        if not path.is_file() and _looks_like_a_corpus(root):
            raise AccentError(f"{root}: a corpus, not a shard set; make one of it: accent featurize {root} SHARDS")
        if not path.is_file():
            raise AccentError(f"{root}: not a complete shard set (no {MANIFEST_NAME}); let featurizing end")
        manifest = Manifest.from_mapping(_read_mapping(path), path)
        check_schema(manifest, path)
        _check_size(root / INDEX_NAME, manifest.index.bytes)
        _check_size(root / STATISTICS_NAME, manifest.statistics.bytes)
        for shard in manifest.shards:
            _check_size(root / shard.name, shard.bytes)
        return cls(root, manifest, _map_index(root / INDEX_NAME, manifest.count))

    @property
    def place(self) -> str:
        """Where it is, for messages."""
        return str(self.root)

    def __reduce__(self) -> tuple[Any, ...]:
        # A pickled memory map would carry the whole index into every process.
        return ShardSet.open, (self.root,)

    def __len__(self) -> int:
        return self.manifest.count

    @cached_property
    def accents(self) -> list[str]:
        """Names of the accents; the index holds positions in this list."""
        return list(self.manifest.accents)

    @cached_property
    def speakers(self) -> list[str]:
        """Names of the speakers; the index holds positions in this list."""
        return [speaker.name for speaker in self.manifest.speakers]

    @cached_property
    def prompts(self) -> list[str]:
        """Names of the prompts; the index holds positions in this list."""
        return list(self.manifest.prompts)

    @cached_property
    def speaker_accent_S(self) -> NDArray[np.int64]:  # noqa: N802 - S is the shape
        """The accent of each speaker, as a position in `accents`."""
        position = {name: number for number, name in enumerate(self.accents)}
        return np.array([position[speaker.accent] for speaker in self.manifest.speakers], dtype=np.int64)

    @cached_property
    def speaker_statistics(self) -> SpeakerStatistics:
        """The moments of each speaker, rows in the order of `speakers`."""
        return SpeakerStatistics.from_npz((self.root / STATISTICS_NAME).read_bytes())

    def speaker_positions(self, names: Iterable[str]) -> list[int]:
        """Return the positions of speakers, sorted.

        Raises:
            AccentError: a name that is not in this set.
        """
        position = {name: number for number, name in enumerate(self.speakers)}
        wanted = sorted(set(names))
        unknown = [name for name in wanted if name not in position]
        if unknown:
            known = ", ".join(self.speakers[:10]) + (
                f" and {len(self.speakers) - 10} more" if len(self.speakers) > 10 else ""
            )
            raise AccentError(f"{self.place}: no speaker {', '.join(unknown)}; the set has {known}")
        return [position[name] for name in wanted]

    def statistics(self, speakers: Iterable[str]) -> Statistics:
        """Merge the statistics of some speakers, in sorted order.

        Args:
            speakers: names; to normalise for training, the training speakers only.

        Returns:
            Mean, standard deviation and count of each column over all frames of these speakers.

        Raises:
            AccentError: a name that is not in this set.
        """
        return self.speaker_statistics.merged(self.speaker_positions(speakers))


def _looks_like_a_corpus(root: Path) -> bool:
    """Tell a folder of sound or of a corpus's tables from one in which a shard set was begun."""
    if (root / ".parts").exists():
        return False
    tables = ("speakers.tsv", "validated.tsv")
    return any((root / name).is_file() for name in tables) or next(root.glob("*/wav"), None) is not None


def _read_mapping(path: Path) -> dict[str, Any]:
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise AccentError(f"{path}: not valid JSON ({error}); featurize the corpus again") from error
    if not isinstance(values, dict):
        raise AccentError(f"{path}: not the manifest of a shard set; name another folder")
    return values


def check_schema(manifest: Manifest, path: Path) -> None:
    """Refuse a set whose columns are not this program's.

    Args:
        manifest: what to check.
        path: what the line names.

    Raises:
        AccentError: other columns, or another order of them.
    """
    if manifest.schema == schema_mapping() and manifest.frames_per_second == FRAMES_PER_SECOND:
        return
    theirs = [column for family in manifest.schema for column in family["columns"]]
    ours = [column for family in FAMILIES for column in family.columns]
    differing = sorted(set(theirs) ^ set(ours)) or ["their order, families or units"]
    shown = ", ".join(differing[:3]) + (" ..." if len(differing) > 3 else "")
    raise AccentError(f"{path}: other feature columns than this program's ({shown}); featurize the corpus again")


def _check_size(path: Path, expected: int) -> None:
    if not path.is_file():
        raise AccentError(
            f"{path}: missing from the shard set; copy it again, or delete the folder and featurize again"
        )
    size = path.stat().st_size
    if size != expected:
        raise AccentError(
            f"{path}: {size} bytes where the manifest says {expected}; "
            "copy it again, or delete the folder and featurize again"
        )


def _map_index(path: Path, count: int) -> NDArray[np.void]:
    try:
        index = np.load(path, mmap_mode="r", allow_pickle=False)
    except ValueError as error:
        raise AccentError(f"{path}: not an index ({error}); featurize the corpus again") from error
    if index.dtype != INDEX_DTYPE or index.shape != (count,):
        raise AccentError(f"{path}: {index.shape} rows do not fit {count} samples; featurize the corpus again")
    return index
