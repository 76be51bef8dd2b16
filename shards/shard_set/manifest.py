"""What a shard set is, and how to open one: manifest, index and statistics beside plain tar files.

    OUT/manifest.json    what is in it: schema, feature configuration, shards with sizes and hashes, speakers, refusals
    OUT/index.npy        one row a sample, memory-mapped: where its bytes are and whose they are
    OUT/statistics.npz   moments of each column for each speaker
    OUT/prompts.jsonl    names of the prompts, where they are too many for the manifest
    OUT/shard-000000.tar ...

The manifest is written last: a folder with a manifest is complete.  Opening reads the manifest, compares index and
statistics with their sha256, maps the index and asks the file system for the size of each shard; no shard is read.

A manifest may come from elsewhere, so nothing in it is taken on trust: each field has its type, and a shard has a plain
name, which cannot leave the folder or mean anything to a shell.

Cost of opening: 50 bytes a sample and 4 KB a speaker are read, hashed and checked: 1.7 s for ten million samples, each
with a prompt of its own.

Shapes: D columns, S speakers.
"""

import dataclasses
import mmap
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, TypedDict

import numpy as np
from msgspec import Meta
from numpy.typing import NDArray

from accent.errors import AccentError
from accent.features.schema import FAMILIES
from accent.grid import FRAMES_PER_SECOND
from accent.typed_json import parse_json
from shards.shard_set.files import (
    COPY_AGAIN,
    MANIFEST_NAME,
    STATISTICS_NAME,
    check_sha256,
    check_size,
    is_plain_name,
    require_shard_set,
)
from shards.shard_set.index import INDEX_NAME, check_index, load_index
from shards.shard_set.prompts import PROMPTS_NAME, PromptFile
from shards.shard_set.statistics import SpeakerStatistics, Statistics

FORMAT_VERSION = 2
"""The newest format that this program reads and writes."""
INLINE_PROMPTS_VERSION = 1
"""Format of a set whose prompts stand in the manifest; it is still written wherever they do."""

_Size = Annotated[int, Meta(ge=0, le=1 << 60)]


@dataclass(frozen=True)
class ShardEntry:
    """One tar file of the set."""

    name: str
    bytes: _Size
    sha256: str
    count: _Size
    """Samples in it."""


@dataclass(frozen=True)
class FileEntry:
    """A file beside the shards."""

    bytes: _Size
    sha256: str


@dataclass(frozen=True)
class PromptsEntry(FileEntry):
    """A file of prompts (`shards.shard_set.prompts`)."""

    count: _Size
    """Names in it."""


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


class FamilyColumns(TypedDict):
    """One family of the schema, as the manifest holds it."""

    name: str
    columns: list[str]
    unit: str


def schema_mapping() -> list[FamilyColumns]:
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
    """Sorted; empty where they have a file."""
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
    schema: list[FamilyColumns] = field(default_factory=schema_mapping)
    frames_per_second: int = FRAMES_PER_SECOND
    format_version: int = INLINE_PROMPTS_VERSION
    prompts_file: PromptsEntry | None = None
    """The file of the prompts; nothing where they stand here."""

    @property
    def n_prompts(self) -> int:
        """How many prompts there are."""
        return len(self.prompts) if self.prompts_file is None else self.prompts_file.count

    def to_mapping(self) -> dict[str, Any]:
        """Return the manifest as plain values, the version first."""
        values = dataclasses.asdict(self)
        if self.prompts_file is None:
            del values["prompts_file"]
        return {"format_version": values.pop("format_version"), **values}

    @classmethod
    def parse(cls, data: bytes, where: Path | str) -> "Manifest":
        """Read a manifest and check all that can be checked without the other files.

        Args:
            data: the content of `manifest.json`.
            where: its path or address, for messages.

        Raises:
            AccentError: it is not a manifest of a shard set, is damaged or incomplete, contradicts itself, names a
                file that is none of this folder, was written by a newer version of this program, or has other columns
                than this program's.
        """
        what_to_do = "this is not the manifest of a shard set, name another folder"
        version = parse_json(data, _Version, where, what_to_do).format_version
        if version is None:
            raise AccentError(f"{where}: not the manifest of a shard set (no format_version); name another folder")
        if version > FORMAT_VERSION:
            raise AccentError(
                f"{where}: written in format {version}, this program reads up to {FORMAT_VERSION}; upgrade the program"
            )
        manifest = parse_json(data, cls, where, COPY_AGAIN)
        manifest._check_schema(where)
        manifest._check_names(where)
        return manifest

    def check_rows(self, index: NDArray[np.void], where: str) -> None:
        """Compare an index with this manifest; errors as for `check_index`."""
        names = {"speaker": len(self.speakers), "accent": len(self.accents), "prompt": self.n_prompts}
        check_index(index, [(one.bytes, one.count) for one in self.shards], names, where)

    def _check_schema(self, where: Path | str) -> None:
        if self.schema == schema_mapping() and self.frames_per_second == FRAMES_PER_SECOND:
            return
        theirs = [column for family in self.schema for column in family["columns"]]
        ours = [column for family in FAMILIES for column in family.columns]
        differing = sorted(set(theirs) ^ set(ours)) or ["their order, families or units"]
        shown = ", ".join(differing[:3]) + (" ..." if len(differing) > 3 else "")
        raise AccentError(f"{where}: other feature columns than this program's ({shown}); featurize the corpus again")

    def _check_names(self, where: Path | str) -> None:
        for shard in self.shards:
            if not is_plain_name(shard.name):
                raise AccentError(
                    f"{where}: {shard.name!a} is not the plain name of a shard (letters, digits, dots, dashes and "
                    "underscores, no dot or dash first); do not use this set, or ask who made it"
                )
        unknown = {one.accent for one in self.speakers} - set(self.accents)
        if unknown:
            raise AccentError(f"{where}: damaged (a speaker's accent {min(unknown)!a} is not listed); {COPY_AGAIN}")
        if self.count != sum(one.count for one in self.shards):
            raise AccentError(f"{where}: damaged (its shards do not have {self.count} samples together); {COPY_AGAIN}")


@dataclass(frozen=True)
class _Version:
    format_version: int | None = None


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

        A set that travels to another process is opened there without comparing sha256 again.

        Args:
            root: the folder that holds `manifest.json`.

        Returns:
            The shard set.

        Raises:
            AccentError: no such folder, not a (complete) shard set, a newer format, other columns than this program's,
                or a file that is missing or not what the manifest says; the line names it.
        """
        root = Path(root)
        require_shard_set(root)
        return cls._open(root, hashed=True)

    @classmethod
    def _open(cls, root: Path, hashed: bool) -> "ShardSet":
        path = root / MANIFEST_NAME
        manifest = Manifest.parse(path.read_bytes(), path)
        check_size(root / INDEX_NAME, manifest.index.bytes)
        check_size(root / STATISTICS_NAME, manifest.statistics.bytes)
        if manifest.prompts_file is not None:
            check_size(root / PROMPTS_NAME, manifest.prompts_file.bytes)
        for shard in manifest.shards:
            check_size(root / shard.name, shard.bytes)
        index_path = str(root / INDEX_NAME)
        if hashed:
            check_sha256(root / INDEX_NAME, manifest.index.sha256)
            check_sha256(root / STATISTICS_NAME, manifest.statistics.sha256)
            if manifest.prompts_file is not None:
                check_sha256(root / PROMPTS_NAME, manifest.prompts_file.sha256)
        index = load_index(index_path, index_path)
        if hashed:
            manifest.check_rows(index, index_path)
        return cls(root, manifest, index)

    @property
    def place(self) -> str:
        """Where it is, for messages."""
        return str(self.root)

    def __reduce__(self) -> tuple[Any, ...]:
        # A pickled memory map would carry the whole index into every process.
        return ShardSet._open, (self.root, False)

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
    def prompts(self) -> Sequence[str]:
        """Names of the prompts, sorted; the index holds positions in this list."""
        if self.manifest.prompts_file is None:
            return list(self.manifest.prompts)
        path = self.root / PROMPTS_NAME
        with path.open("rb") as file:
            data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        return PromptFile(data, self.manifest.n_prompts, str(path))

    def prompt_positions(self, names: Iterable[str]) -> NDArray[np.int64]:
        """Return the positions of prompts, ascending.

        Raises:
            AccentError: a name that is not in this set.
        """
        prompts, found, unknown = self.prompts, [], []
        for name in sorted(set(names)):
            at = bisect_left(prompts, name)
            if at < len(prompts) and prompts[at] == name:
                found.append(at)
            else:
                unknown.append(name)
        if unknown:
            raise AccentError(f"{self.place}: no prompt {', '.join(unknown[:5])} here; check the split")
        return np.array(found, dtype=np.int64)

    @cached_property
    def speakers_by_accent(self) -> dict[str, list[SpeakerEntry]]:
        """The speakers of each accent, in the order of `accents` and of `speakers`."""
        found: dict[str, list[SpeakerEntry]] = {accent: [] for accent in self.accents}
        for speaker in self.manifest.speakers:
            found[speaker.accent].append(speaker)
        return found

    @cached_property
    def speaker_accent_S(self) -> NDArray[np.int64]:  # noqa: N802 - S is the shape
        """The accent of each speaker, as a position in `accents`."""
        position = {name: number for number, name in enumerate(self.accents)}
        return np.array([position[speaker.accent] for speaker in self.manifest.speakers], dtype=np.int64)

    @cached_property
    def speaker_statistics(self) -> SpeakerStatistics:
        """The moments of each speaker, rows in the order of `speakers`; errors as for `SpeakerStatistics.from_npz`."""
        path = self.root / STATISTICS_NAME
        with path.open("rb") as file:
            return SpeakerStatistics.from_npz(file, len(self.speakers), str(path))

    @cached_property
    def _position_of_speaker(self) -> dict[str, int]:
        return {name: number for number, name in enumerate(self.speakers)}

    def speaker_positions(self, names: Iterable[str]) -> list[int]:
        """Return the positions of speakers, sorted.

        Raises:
            AccentError: a name that is not in this set.
        """
        position = self._position_of_speaker
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
