"""Checkpoints: folders `step_00001234` that are complete or do not exist.

    step_00001234/  module.safetensors   encoder and objective, buffers too
                    optimizer.pt         AdamW's moments, and the scaler of fp16
                    state.json           step, best validation, configuration, shard set, processes

All processes write what is theirs under a temporary name and fsync it; they meet; the first renames the folder and
fsyncs its parent.  With a whole copy of the model in each process the first has everything to write, because random
numbers are keyed by step and process and need no saving.  Cost: three copies of the parameters on disk, and the time to
write them.
"""

import dataclasses
import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.utils import broadcast_object_list
from safetensors import SafetensorError
from safetensors.torch import load_model, save_model
from torch import nn

from accent.errors import AccentError
from launch.configuration import what_differs
from launch.runtime import together
from shards.manifest import ShardSet

FORMAT = 1
REPLACED = ".replaced"
PARTIAL = ".partial"


@dataclass
class Progress:
    """How far a run is; everything besides tensors that it needs to go on."""

    step: int = 0
    """Optimizer steps done."""
    validated_step: int = 0
    """The step of the newest validation, 0 before the first."""
    best: float | None = None
    """The best validation so far, by the selection metric."""
    best_step: int = 0
    """The step it was measured at."""
    history: list[dict[str, float]] = field(default_factory=list)
    """Every validation: its step and its metrics."""


class Checkpoints:
    """The checkpoints of one run.

    Args:
        folder: where they lie; made when the first is saved.
        keep_last: how many of the newest stay; the one of the best validation stays as well.
        identity: what the run is: `configuration`, `shards` (fingerprint), `global_batch`.
        accelerator: the processes that save and load together.
    """

    def __init__(self, folder: Path, keep_last: int, identity: Mapping[str, Any], accelerator: Accelerator) -> None:
        self.folder = folder
        self.keep_last = keep_last
        self.identity = dict(identity)
        self.accelerator = accelerator

    def newest(self) -> Path | None:
        """Return the newest complete checkpoint; the first process looks, all get the same answer."""
        if self.accelerator.is_main_process and self.folder.is_dir():
            for leftover in self.folder.glob(f".step_*{REPLACED}"):
                recover_folder(self.folder / leftover.name[1 : -len(REPLACED)])
        found = complete_checkpoints(self.folder)
        name = [found[-1].name if found else None]
        if self.accelerator.num_processes > 1:
            broadcast_object_list(name)
        return None if name[0] is None else self.folder / name[0]

    def save(self, module: nn.Module, optimizer: torch.optim.Optimizer, progress: Progress) -> Path:
        """Save the whole state; every process calls this at the same step.

        Args:
            module: the training module itself, out of its wrapper: its parameters are the wrapper's.
            optimizer: the prepared optimizer.
            progress: how far the run is.

        Returns:
            The checkpoint's folder.

        Raises:
            AccentError: the disk refuses; earlier checkpoints are untouched.
        """
        final = self.folder / f"step_{progress.step:08d}"
        with together(self.accelerator):
            if self.accelerator.is_main_process:
                try:
                    self._write(final, module, optimizer, progress)
                except (OSError, SafetensorError) as error:
                    found = complete_checkpoints(self.folder)
                    last = f"the last good one is {found[-1]}" if found else "there is no earlier one"
                    raise AccentError(f"{final}: cannot save a checkpoint ({error}); {last}") from error
        return final

    def load(self, folder: Path, module: nn.Module, optimizer: torch.optim.Optimizer) -> Progress:
        """Put a checkpoint's state into the module and the optimizer.

        Args:
            folder: a complete checkpoint.
            module: the training module itself, out of its wrapper: its parameters are the wrapper's.
            optimizer: the prepared optimizer.

        Returns:
            How far the saved run was.

        Raises:
            AccentError: the checkpoint belongs to another configuration or shard set; the line tells what differs.
        """
        with together(self.accelerator):
            state = read_state(folder)
            refuse_another_run(folder, state["identity"], self.identity)
            try:
                saved = torch.load(folder / "optimizer.pt", map_location="cpu", weights_only=True)
                load_model(module, folder / "module.safetensors")
            except (OSError, RuntimeError, EOFError, UnpicklingError, SafetensorError) as error:
                reason = " ".join(str(error).split())
                raise AccentError(
                    f"{folder}: cannot be read ({reason}); delete it to go on from the one before"
                ) from error
            optimizer.load_state_dict(saved["optimizer"])
            if self.accelerator.scaler is not None and saved["scaler"] is not None:
                self.accelerator.scaler.load_state_dict(saved["scaler"])
        return Progress(**state["progress"])

    def _write(self, final: Path, module: nn.Module, optimizer: torch.optim.Optimizer, progress: Progress) -> None:
        partial = final.with_name(f".{final.name}{PARTIAL}")
        for leftover in self.folder.glob(f".step_*{PARTIAL}"):
            shutil.rmtree(leftover)
        partial.mkdir(parents=True)
        save_model(module, str(partial / "module.safetensors"))
        scaler = self.accelerator.scaler
        torch.save(
            {"optimizer": optimizer.state_dict(), "scaler": None if scaler is None else scaler.state_dict()},
            partial / "optimizer.pt",
        )
        state = {
            "format": FORMAT,
            "progress": dataclasses.asdict(progress),
            "identity": self.identity,
            "processes": self.accelerator.num_processes,
        }
        (partial / "state.json").write_text(json.dumps(state, indent=1), encoding="utf-8")
        replace_folder(partial, final)
        self._prune(progress.best_step)

    def _prune(self, best_step: int) -> None:
        for old in complete_checkpoints(self.folder)[: -self.keep_last]:
            if old.name != f"step_{best_step:08d}":
                # Renamed first: killed while deleting, it would leave a torn folder under a checkpoint's name.
                shutil.rmtree(old.rename(old.with_name(f".{old.name}{PARTIAL}")))


def complete_checkpoints(folder: Path) -> list[Path]:
    """Return the complete checkpoints of a folder, oldest first."""
    return sorted(path for path in folder.glob("step_" + "[0-9]" * 8) if (path / "state.json").is_file())


def read_state(folder: Path) -> dict[str, Any]:
    """Return a checkpoint's `state.json`; `AccentError` if it is of another format or cannot be read."""
    file = folder / "state.json"
    try:
        state = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise AccentError(f"{file}: cannot be read ({error}); delete {folder} to go on from the one before") from error
    if state.get("format") != FORMAT:
        raise AccentError(f"{file}: format {state.get('format')}, this version reads {FORMAT}; take another run folder")
    return state


def refuse_another_run(where: Path, saved: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
    """Raise `AccentError` naming what differs, unless a saved run may go on as wanted."""
    differences = what_differs(saved["configuration"], wanted["configuration"])
    if saved["shards"] != wanted["shards"]:
        differences.append(f"shard set: content {saved['shards'][:12]} -> {wanted['shards'][:12]}")
    if saved["global_batch"] != wanted["global_batch"]:
        differences.append(f"global batch: {saved['global_batch']} -> {wanted['global_batch']}")
    if differences:
        raise AccentError(f"{where}: belongs to another run ({'; '.join(differences)}); give a new folder: run=...")


def shard_set_fingerprint(shard_set: ShardSet) -> str:
    """Return the sha256 of what a shard set holds: each sample's place, labels and checksum, and the labels' names."""
    digest = hashlib.sha256(np.ascontiguousarray(shard_set.index).tobytes())
    names = [shard_set.accents, shard_set.speakers, shard_set.prompts]
    digest.update(json.dumps(names).encode())
    return digest.hexdigest()


def replace_folder(written: Path, final: Path) -> None:
    """Give a folder just written its final name, in place of one that may be there already.

    Everything in it is fsynced first, and the parent afterwards.  A crash between the two renames leaves the
    former folder beside its place, where `recover_folder` finds it.
    """
    for path in [*written.rglob("*"), written]:
        _fsync(path)
    former = final.with_name(f".{final.name}{REPLACED}")
    if final.exists():
        shutil.rmtree(former, ignore_errors=True)
        final.rename(former)
    written.rename(final)
    _fsync(final.parent)
    shutil.rmtree(former, ignore_errors=True)


def recover_folder(final: Path) -> None:
    """Undo a replacement that a crash cut in half; does nothing if the folder is in its place."""
    former = final.with_name(f".{final.name}{REPLACED}")
    if former.is_dir():
        if final.exists():
            shutil.rmtree(former)
        else:
            former.rename(final)


def _fsync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
