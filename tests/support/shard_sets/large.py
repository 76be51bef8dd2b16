"""A large shard set for the price of a small one: its shards are hard links to a few real ones, its index is long."""

import dataclasses
import hashlib
import io
import json
import os
from pathlib import Path

import numpy as np

from shards.shard_set.files import MANIFEST_NAME, STATISTICS_NAME
from shards.shard_set.index import INDEX_NAME
from shards.shard_set.manifest import FileEntry, ShardEntry, ShardSet
from shards.writing.shard_record import shard_name


def repeat_shard_set(source: ShardSet, folder: Path, times: int) -> ShardSet:
    """Make a shard set that holds another one several times over.

    Every row of the index points at bytes that are there and fit its checksum.  Keys are not unique in it.

    Args:
        source: what is repeated.
        folder: where to; made if need be, on the same file system.
        times: how often.

    Returns:
        The opened shard set.
    """
    folder.mkdir(parents=True, exist_ok=True)
    manifest = source.manifest
    shards: list[ShardEntry] = []
    rows = []
    for repeat in range(times):
        for entry in manifest.shards:
            name = shard_name(len(shards))
            os.link(source.root / entry.name, folder / name)
            shards.append(dataclasses.replace(entry, name=name))
        mine = np.array(source.index)
        mine["shard"] += repeat * len(manifest.shards)
        rows.append(mine)
    buffer = io.BytesIO()
    np.save(buffer, np.concatenate(rows))
    index = buffer.getvalue()
    (folder / INDEX_NAME).write_bytes(index)
    (folder / STATISTICS_NAME).write_bytes((source.root / STATISTICS_NAME).read_bytes())
    changed = dataclasses.replace(
        manifest,
        shards=tuple(shards),
        speakers=tuple(dataclasses.replace(one, count=one.count * times) for one in manifest.speakers),
        count=manifest.count * times,
        hours=manifest.hours * times,
        index=FileEntry(len(index), hashlib.sha256(index).hexdigest()),
    )
    (folder / MANIFEST_NAME).write_text(json.dumps(changed.to_mapping()), encoding="utf-8")
    return ShardSet.open(folder)
