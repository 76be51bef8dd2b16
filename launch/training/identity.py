"""What makes two trainings the same run: resuming may change how a run is shown and where it lies, not what it learns.

A field marked `resumable` in its dataclass may change, every other value may not; nor may the shard set's content.
Cost: one sha256 of the index.
"""

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_type_hints

import numpy as np

from accent.configuration import flatten
from accent.errors import AccentError
from launch.run_config import RunConfig
from shards.shard_set.manifest import ShardSet


def resumable_keys(kind: type = RunConfig, path: str = "") -> tuple[str, ...]:
    """Return the keys, dots for sections, that a resumed run may change; a section's name ends with a dot.

    Args:
        kind: the configuration's dataclass.
        path: what its keys begin with.
    """
    found: list[str] = []
    hints = get_type_hints(kind)
    for one in dataclasses.fields(kind):
        is_section = dataclasses.is_dataclass(hints[one.name])
        if one.metadata.get("resumable"):
            found.append(f"{path}{one.name}{'.' if is_section else ''}")
        elif is_section:
            found += resumable_keys(hints[one.name], f"{path}{one.name}.")
    return tuple(found)


def is_resumable(key: str) -> bool:
    """Tell whether a resumed run may change a key, dots for sections."""
    return any(key == one or (one.endswith(".") and key.startswith(one)) for one in resumable_keys())


def what_differs(saved: Mapping[str, Any], wanted: Mapping[str, Any]) -> list[str]:
    """Name the values that keep a saved run from being resumed under another configuration.

    Args:
        saved: the run's configuration as a mapping.
        wanted: the configuration it is started with now.

    Returns:
        Lines `key: saved -> wanted`, without the resumable keys; empty if the run can be resumed.
    """
    before, now = flatten(saved), flatten(wanted)
    fixed = [key for key in {**before, **now} if not is_resumable(key)]
    return [f"{key}: {before.get(key)} -> {now.get(key)}" for key in fixed if before.get(key) != now.get(key)]


def refuse_another_run(where: Path, saved: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
    """Raise `AccentError` naming what differs, unless a saved run may be resumed as wanted.

    Args:
        where: the checkpoint, for the message.
        saved: `configuration`, `shards` (fingerprint) and `global_batch` of the run that wrote it.
        wanted: the same of the run that wants to read it.
    """
    differences = what_differs(saved["configuration"], wanted["configuration"])
    if saved["shards"] != wanted["shards"]:
        differences.append(f"shard set: content {saved['shards'][:12]} -> {wanted['shards'][:12]}")
    if saved["global_batch"] != wanted["global_batch"]:
        differences.append(f"global batch: {saved['global_batch']} -> {wanted['global_batch']}")
    if differences:
        raise AccentError(f"{where}: belongs to another run ({'; '.join(differences)}); give a new folder: run=...")


def shard_set_fingerprint(shard_set: ShardSet) -> str:
    """Return the sha256 of what a shard set holds: each sample's place, labels and checksum, and the labels' names."""
    digest = hashlib.sha256(np.ascontiguousarray(shard_set.index).view(np.uint8).data)
    listed = shard_set.manifest.prompts_file
    # A file of prompts has its own sha256; to go through ten million names would take longer than all else.
    prompts = list(shard_set.prompts) if listed is None else listed.sha256
    digest.update(json.dumps([shard_set.accents, shard_set.speakers, prompts]).encode())
    return digest.hexdigest()
