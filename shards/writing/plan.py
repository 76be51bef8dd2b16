"""Which utterance goes into which shard: a pure function of corpus and configuration.

The utterances are sorted by a hash of (seed, key) and cut into shards, so each shard is a fair sample of the corpus.  A
refused input leaves its shard one sample shorter and moves nothing.  The plan's fingerprint covers the configuration
and what is known of each input without opening it (labels, path, size): equal fingerprints, equal bytes.

Cost: one look at the size of each input file.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from accent.configuration import fingerprint, to_mapping
from accent.features.config import FeatureConfig
from accent.features.phones import PHONES
from accent.strict_json import to_json
from shards.corpora.corpus import Corpus, CorpusConfig, Utterance
from shards.shard_set.manifest import Refused, schema_mapping

SAMPLE_FORMAT = 1
"""Of a sample in its shard: part of a plan's fingerprint."""


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
    """The inputs of each shard, in order."""

    shards: tuple[tuple[Utterance, ...], ...]
    fingerprint: str
    configuration: Mapping[str, Any]
    """The configuration as plain values, for the manifest and to tell how two plans differ."""
    features_fingerprint: str
    """Hash of the feature configuration only."""
    corpus: str
    """Name of the corpus."""
    refused: tuple[Refused, ...]
    """Inputs that were refused while listing the corpus, as the manifest holds them."""
    sizes: Mapping[str, int]
    """Bytes of each sound file, by key; 0 where it could not be looked at."""

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
    refused = tuple(Refused(one.path, without_root(one.reason, corpus.root)) for one in corpus.refused)
    sizes = {one.key: _size(one.path) for one in ordered}
    decisive = {name: value for name, value in configuration.items() if name != "corpus"}
    listing = {
        "format": SAMPLE_FORMAT,
        "schema": schema_mapping(),
        "phones": PHONES,
        "configuration": decisive,
        "corpus": corpus.name,
        "refused": [[one.path, one.reason] for one in refused],
        "utterances": [_known(one, corpus.root, sizes[one.key]) for one in ordered],
    }
    return Plan(
        shards=tuple(tuple(ordered[start : start + size]) for start in range(0, len(ordered), size)),
        fingerprint=hashlib.sha256(to_json(listing)).hexdigest(),
        configuration=configuration,
        features_fingerprint=fingerprint(config.features),
        corpus=corpus.name,
        refused=refused,
        sizes={key: known or 0 for key, known in sizes.items()},
    )


def relative(path: Path, root: Path) -> str:
    """Return a path as it is written into shards: relative to the corpus where it lies inside it."""
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else str(path)


def without_root(reason: str, root: Path) -> str:
    """Return a reason without the corpus's own place, so that a copy elsewhere gives the same manifest."""
    return reason.replace(f"{root}/", "")


def _rank(seed: int, key: str) -> tuple[bytes, str]:
    return hashlib.sha256(f"{seed} {key}".encode()).digest(), key


def _known(utterance: Utterance, root: Path, size: int | None) -> list[Any]:
    textgrid = utterance.textgrid
    return [
        utterance.key,
        relative(utterance.path, root),
        size,
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
