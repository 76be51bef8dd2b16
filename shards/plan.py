"""Which utterance goes into which shard, and whether a folder already holds (part of) exactly that.

The utterances are put in the order of a hash of (seed, key) and cut into shards.  The order depends on nothing else, so
every shard is a fair sample of the corpus and a function of corpus, configuration and its number alone.  A refused
input leaves its shard one sample shorter and moves nothing.  The plan's fingerprint covers the configuration and what
is known of every input without opening it (labels, path, size): equal fingerprints, equal bytes.
Cost: one look at the size of every input file.
"""

import fcntl
import hashlib
import itertools
import json
import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import accent.audio
import accent.features
from accent.configuration import to_mapping
from accent.errors import AccentError
from accent.features.config import FeatureConfig
from accent.features.phones import PHONES
from shards.corpora.corpus import Corpus, CorpusConfig, Utterance
from shards.manifest import (
    FORMAT_VERSION,
    INDEX_NAME,
    MANIFEST_NAME,
    STATISTICS_NAME,
    Refused,
    ShardSet,
    schema_mapping,
)
from shards.parts import PARTS_FOLDER, remove_parts
from shards.writer import TEMPORARY_SUFFIX, to_json, write_atomically

_LIBRARIES = ("librosa", "numpy", "praat-parselmouth", "pyloudnorm", "scipy", "soundfile", "soxr")
"""Those whose version may move the features' last digits."""
LOCK_NAME = ".lock"
PLAN_NAME = "plan.json"
_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class FeaturizeConfig:
    """What is read, what is computed, and how it is cut into shards."""

    corpus: CorpusConfig = field(default_factory=CorpusConfig)
    """Which corpus, and which of its speakers."""
    features: FeatureConfig = field(default_factory=FeatureConfig)
    """Preprocessing and features."""
    samples_per_shard: int = 256
    """Inputs for one tar file; at 3.6 s an utterance, 256 make 26 MB."""
    seed: int = 0
    """Of the order in which utterances are spread over the shards."""

    def __post_init__(self) -> None:
        if self.samples_per_shard < 1:
            raise ValueError(f"samples_per_shard: {self.samples_per_shard} is not at least 1")


@dataclass(frozen=True)
class Plan:
    """Every shard's inputs, in order."""

    shards: tuple[tuple[Utterance, ...], ...]
    fingerprint: str
    configuration: Mapping[str, Any]
    """The configuration as plain values, for the manifest and to tell how two plans differ."""

    @property
    def count(self) -> int:
        """Inputs in all shards."""
        return sum(len(shard) for shard in self.shards)


def make_plan(corpus: Corpus, config: FeaturizeConfig) -> Plan:
    """Spread a corpus over shards.

    Args:
        corpus: the utterances.
        config: seed, samples a shard, and what else decides the bytes.

    Returns:
        The plan.
    """
    ordered = sorted(corpus.utterances, key=lambda one: _rank(config.seed, one.key))
    size = config.samples_per_shard
    configuration = to_mapping(config)
    decisive = {name: value for name, value in configuration.items() if name != "corpus"}
    listing = {
        "format": FORMAT_VERSION,
        "schema": schema_mapping(),
        "phones": PHONES,
        "configuration": decisive,
        "corpus": corpus.name,
        "refused": [[one.path, one.reason] for one in refused_inputs(corpus)],
        "utterances": [_known(one, corpus.root) for one in ordered],
    }
    return Plan(
        tuple(tuple(ordered[start : start + size]) for start in range(0, len(ordered), size)),
        hashlib.sha256(to_json(listing)).hexdigest(),
        configuration,
    )


def relative(path: Path, root: Path) -> str:
    """Return a path as it is written into shards: relative to the corpus where it lies inside it."""
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else str(path)


def without_root(reason: str, root: Path) -> str:
    """Return a reason without the corpus's own place, so that a copy elsewhere gives the same manifest."""
    return reason.replace(f"{root}/", "")


def refused_inputs(corpus: Corpus) -> list[Refused]:
    """Return the inputs that were refused while listing the corpus, as the manifest holds them."""
    return [Refused(one.path, without_root(one.reason, corpus.root)) for one in corpus.refused]


def begin(root: Path, plan: Plan) -> ShardSet | None:
    """Find out what is already there, and prepare the folder for the rest.

    Args:
        root: the output folder, locked.
        plan: what is wanted.

    Returns:
        The shard set if it is complete and made by this plan; nothing if there is work to do.

    Raises:
        AccentError: the folder holds the set of another plan, shards of unknown origin, or half a set that other
            code or libraries made.
    """
    record = root / PARTS_FOLDER / PLAN_NAME
    if (root / MANIFEST_NAME).exists():
        shard_set = ShardSet.open(root)
        _same_plan(root, plan, shard_set.manifest.plan_fingerprint, shard_set.manifest.configuration)
        remove_parts(root)
        return shard_set
    if record.exists():
        known = json.loads(record.read_text(encoding="utf-8"))
        _same_plan(root, plan, known["fingerprint"], known["configuration"])
        _same_program(root, known["made_with"])
    else:
        alien = sorted(root.glob("shard-*.tar"))
        if alien:
            raise AccentError(
                f"{alien[0]}: a shard without a manifest lies in the output folder; delete it or choose another folder"
            )
        record.parent.mkdir(exist_ok=True)
        wanted = {"fingerprint": plan.fingerprint, "configuration": plan.configuration, "made_with": made_with()}
        write_atomically(record, to_json(wanted))
    remove_temporaries(root)
    return None


def made_with() -> dict[str, str]:
    """Return what decides the values beside the configuration: versions of libraries, a hash of the feature code."""
    files = [Path(accent.audio.__file__), *Path(accent.features.__file__).parent.rglob("*.py")]
    code = hashlib.sha256(b"".join(hashlib.sha256(path.read_bytes()).digest() for path in sorted(files)))
    return {**{library: version(library) for library in _LIBRARIES}, "feature code": code.hexdigest()[:12]}


def remove_temporaries(root: Path) -> None:
    """Remove the half-written files of a run that was stopped; finished ones have other names."""
    names = ["shard-*.tar", MANIFEST_NAME, INDEX_NAME, STATISTICS_NAME, f"{PARTS_FOLDER}/*"]
    for left in itertools.chain.from_iterable(root.glob(f"{name}{TEMPORARY_SUFFIX}") for name in names):
        left.unlink()


@contextmanager
def locked(root: Path) -> Iterator[None]:
    """Keep other processes from writing into this folder at the same time.

    Raises:
        AccentError: another process is writing there.
    """
    path = root / LOCK_NAME
    descriptor = _lock(path)
    try:
        yield
    finally:
        # Removed while still held, and whoever locks checks that the file is still there: no stale lock, no race.
        path.unlink(missing_ok=True)
        os.close(descriptor)


def _lock(path: Path) -> int:
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(descriptor)
            raise AccentError(f"{path.parent}: another process is writing there; wait for it or stop it") from error
        except OSError as error:
            _logger.warning("%s: cannot be locked (%s); make sure that no other process writes there", path, error)
            return descriptor
        if path.exists() and os.path.samestat(os.fstat(descriptor), path.stat()):
            return descriptor
        os.close(descriptor)


def _rank(seed: int, key: str) -> tuple[bytes, str]:
    return hashlib.sha256(f"{seed} {key}".encode()).digest(), key


def _known(utterance: Utterance, root: Path) -> list[Any]:
    textgrid = utterance.textgrid
    return [
        utterance.key,
        relative(utterance.path, root),
        _size(utterance.path),
        utterance.speaker,
        utterance.accent,
        utterance.corpus,
        utterance.prompt,
        utterance.text,
        utterance.sex,
        utterance.split,
        None if textgrid is None else [relative(textgrid, root), _size(textgrid)],
        dict(sorted(utterance.extra.items())),
    ]


def _size(path: Path) -> int | None:
    """Bytes of a file; nothing if it cannot be looked at (reading it will tell why)."""
    try:
        return path.stat().st_size
    except OSError:
        return None


def _same_plan(root: Path, plan: Plan, fingerprint: str, configuration: Mapping[str, Any]) -> None:
    if fingerprint == plan.fingerprint:
        return
    differing = [
        f"{key} is {old.get(key)!r} there and {new.get(key)!r} here"
        for old, new in [(_flat(configuration), _flat(plan.configuration))]
        for key in sorted(old.keys() | new.keys())
        if old.get(key) != new.get(key)
    ]
    why = "; ".join(differing[:3]) if differing else "the list of inputs differs, or their sizes or labels"
    raise AccentError(
        f"{root}: holds shards of another corpus or configuration ({why}); choose another folder or delete this one"
    )


def _same_program(root: Path, theirs: Mapping[str, str]) -> None:
    ours = made_with()
    differing = [name for name in sorted(ours.keys() | theirs.keys()) if ours.get(name) != theirs.get(name)]
    if differing:
        why = ", ".join(f"{name} {theirs.get(name)} then and {ours.get(name)} now" for name in differing)
        raise AccentError(
            f"{root}: half a shard set, begun with other software ({why}); delete the folder and featurize again"
        )


def _flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, Mapping):
            flat.update(_flat(value, f"{prefix}{key}."))
        else:
            flat[prefix + key] = value
    return flat
