"""Put finished shards together into a shard set: the same bytes, whether one machine made them or several.

All that is needed is in the folder: the records of the shards and the plan.  The corpus is not opened.  Cost: merging
reads all shards once, for their sha256; in memory it holds one record at a time, and labels and index rows of all of
them, less than a kilobyte a sample.
"""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accent.errors import AccentError
from accent.features.phones import PHONES
from accent.files import write_bytes
from accent.grid import FRAMES_PER_SECOND
from accent.strict_json import to_json
from shards.shard_set.files import MANIFEST_NAME, STATISTICS_NAME
from shards.shard_set.index import INDEX_DTYPE, INDEX_NAME
from shards.shard_set.manifest import (
    FORMAT_VERSION,
    FileEntry,
    Manifest,
    PromptsEntry,
    Refused,
    ShardEntry,
    ShardSet,
    SpeakerEntry,
)
from shards.shard_set.prompts import MOST_IN_MANIFEST, PROMPTS_NAME, prompt_lines
from shards.shard_set.statistics import Moments, SpeakerStatistics
from shards.writing.lock import locked
from shards.writing.partition import Partition
from shards.writing.resume import Intent, remove_temporaries, same_program
from shards.writing.sample import npy_bytes
from shards.writing.shard_record import Labels, ShardRecord, is_finished, load_records, remove_records, shard_name

_MOST_NAMED = 5


def merge(root: Path | str) -> ShardSet:
    """Make the manifest of a set whose shards are all there; a complete set is opened at once.

    Args:
        root: the folder of the shard set.

    Returns:
        The opened shard set.

    Raises:
        AccentError: shards are missing, damaged, or being made at this moment; the line names them and their parts.
    """
    root = Path(root)
    if not root.is_dir():
        raise AccentError(f"{root}: no such folder; featurize the parts of a corpus into it first")
    with locked(root):
        if (root / MANIFEST_NAME).exists():
            shard_set = ShardSet.open(root)
            remove_records(root)
            return shard_set
        intent = Intent.read(root)
        if intent is None:
            raise AccentError(f"{root}: no shards were begun there; featurize a corpus into it first")
        same_program(root, intent)
        missing = missing_shards(root, range(intent.shards), hashed=True)
        if missing:
            raise AccentError(
                f"{root}: {len(missing)} of {intent.shards} shards are missing or damaged: "
                f"{_named(missing, intent.parts)}; run their parts again, then merge again"
            )
        remove_temporaries(root, (), everything=True)
        return assemble_shards(root, intent)


def missing_shards(root: Path, numbers: Iterable[int], hashed: bool) -> list[int]:
    """Return those of some shards that are not finished, or damaged; arguments as for `is_finished`."""
    return [number for number in numbers if not is_finished(root, number, hashed)]


def assemble_shards(root: Path, intent: Intent) -> ShardSet:
    """Make the manifest, index and statistics from the records of all shards; the folder is locked."""
    return assemble(
        root,
        load_records(root, intent.shards),
        corpus=intent.corpus,
        configuration=intent.configuration,
        features_fingerprint=intent.features_fingerprint,
        plan_fingerprint=intent.plan_fingerprint,
        phones=PHONES,
        refused=intent.refused,
    )


def assemble(
    root: Path,
    records: Iterable[ShardRecord],
    *,
    corpus: str,
    configuration: Mapping[str, Any],
    features_fingerprint: str,
    plan_fingerprint: str,
    phones: Sequence[str],
    refused: Sequence[Refused] = (),
) -> ShardSet:
    """Put a set together: statistics, index, and last the manifest; then open the set.

    Args:
        root: the folder with the shards.
        records: those of all shards, in order; each is dropped before the next is taken.
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
    sources: dict[str, Counter[str]] = defaultdict(Counter)
    remarks: Counter[str] = Counter()
    for record in records:
        all_refused += record.refused
        if record.entry is None:
            continue
        shards.append(record.entry)
        labels += record.labels
        rows.append(record.rows)
        remarks.update(record.remarks)
        for accent, counts in record.sources.items():
            sources[accent].update(counts)
        for name, moments in record.moments.items():
            by_speaker[name] = by_speaker[name].merged(moments) if name in by_speaker else moments
    all_refused.sort(key=lambda one: one.path)
    if not shards:
        first = f": {all_refused[0].path}: {all_refused[0].reason}" if all_refused else ""
        raise AccentError(f"{corpus}: none of {len(all_refused)} inputs could be used{first}; correct the corpus")
    speakers = _speaker_entries(labels)
    accents = tuple(sorted({one.accent for one in speakers}))
    prompts = tuple(sorted({one.prompt for one in labels}))

    index = np.concatenate(rows).astype(INDEX_DTYPE)
    index["shard"] = np.repeat(np.arange(len(shards)), [one.count for one in shards])
    index["speaker"] = _positions([one.speaker for one in labels], [one.name for one in speakers])
    index["accent"] = _positions([one.accent for one in labels], accents)
    index["prompt"] = _positions([one.prompt for one in labels], prompts)

    statistics_file = _write(root / STATISTICS_NAME, SpeakerStatistics.stack(by_speaker).to_npz())
    index_file = _write(root / INDEX_NAME, npy_bytes(index))
    manifest = Manifest(
        corpus=corpus,
        configuration=dict(configuration),
        features_fingerprint=features_fingerprint,
        plan_fingerprint=plan_fingerprint,
        phones=tuple(phones),
        shards=tuple(shards),
        speakers=speakers,
        accents=accents,
        prompts=(),
        refused=tuple(all_refused),
        sources={accent: dict(sorted(counts.items())) for accent, counts in sorted(sources.items())},
        remarks=dict(sorted(remarks.items())),
        count=len(index),
        hours=round(float(index["frames"].sum()) / FRAMES_PER_SECOND / 3600, 6),
        index=index_file,
        statistics=statistics_file,
    )
    write_manifest(root, manifest, prompts)
    remove_records(root)
    return ShardSet.open(root)


def write_manifest(root: Path, manifest: Manifest, prompts: Sequence[str]) -> None:
    """Write the manifest, whole or not at all, after the other files; with it the prompts, if need be in their file.

    Args:
        root: the folder with the shards, the index and the statistics.
        manifest: without its prompts.
        prompts: their names, sorted.
    """
    if len(prompts) <= MOST_IN_MANIFEST:
        manifest = replace(manifest, prompts=tuple(prompts))
    else:
        file = _write(root / PROMPTS_NAME, prompt_lines(prompts))
        entry = PromptsEntry(file.bytes, file.sha256, len(prompts))
        manifest = replace(manifest, prompts_file=entry, format_version=FORMAT_VERSION)
    write_bytes(root / MANIFEST_NAME, to_json(manifest.to_mapping(), indent=1))


def _named(missing: Sequence[int], parts: int) -> str:
    names = [shard_name(number) for number in missing]
    if parts > 1:
        lost = Counter(number % parts for number in missing)
        names = [f"{count} of part {Partition(rest + 1, parts)}" for rest, count in sorted(lost.items())]
    more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
    return ", ".join(names[:_MOST_NAMED]) + more


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
    write_bytes(path, data)
    return FileEntry(len(data), hashlib.sha256(data).hexdigest())
