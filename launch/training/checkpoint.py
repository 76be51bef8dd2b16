"""Checkpoints: folders `step_00001234` that are complete or do not exist.

    step_00001234/  module.safetensors   encoder and objective, buffers too: float32 and whole, for use elsewhere
                    optimizer.pt         AdamW's moments; under ZeRO instead of it:
                    zero/                DeepSpeed's files, one a process
                    state.json           step, best validation, configuration, shard set, processes, loss scale, and
                                         size and sha256 of each file

A checkpoint whose files are not those that were written is left out when a run resumes, in favour of the one before it
(`launch.training.saved_state`).

They are written under a temporary name and fsynced; the first process renames the folder and fsyncs its parent.  With a
whole copy of the model in each process (random numbers are keyed by step and process, and need no saving) the first
copies the state to the host's memory and writes it in a thread, while training continues.  Under ZeRO all processes
write their shares, and meet before the folder is renamed.

Cost: three copies of the parameters on disk; of the training's time, the copy to the host's memory (under ZeRO, the
whole writing).  In the background, or under ZeRO in the first process, each file is read again for its sha256.
"""

import dataclasses
import json
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from accelerate.utils import broadcast_object_list, gather_object
from safetensors import SafetensorError

from accent.errors import AccentError
from accent.files import recover_folders, replace_folder
from launch.runtime.agreement import AllRanksError, Runtime, raise_on_all_ranks
from launch.training.engines.engine import Engine
from launch.training.identity import refuse_another_run
from launch.training.saved_state import (
    FORMAT,
    STATE,
    DamagedCheckpointError,
    Progress,
    SavedState,
    best_steps,
    check_files,
    checkpoint_folders,
    complete_checkpoints,
    file_digests,
    read_state,
)

PARTIAL = ".partial"
DAMAGED = ".damaged"


class Checkpoints:
    """The checkpoints of one run.

    Args:
        folder: where they lie; made when the first is saved.
        keep_last: how many of the newest stay; the one of the best validation stays as well.
        identity: what the run is: `configuration`, `shards` (fingerprint), `global_batch`.
        runtime: the processes that save and load together.
        keep_best: how many of the best validations stay.
        selection: the metric of validation that tells which are the best.
    """

    def __init__(
        self,
        folder: Path,
        keep_last: int,
        identity: Mapping[str, Any],
        runtime: Runtime,
        keep_best: int = 1,
        selection: str = "",
    ) -> None:
        self.folder = folder
        self.keep_last, self.keep_best, self.selection = keep_last, keep_best, selection
        self.identity = dict(identity)
        self.runtime = runtime
        self.saved_at = time.monotonic()
        """When this process last began to save, or started."""
        self._writing: Future[None] | None = None
        self._writer = ThreadPoolExecutor(max_workers=1, thread_name_prefix="checkpoint")

    def resume(self, engine: Engine) -> tuple[Progress, list[str]] | None:
        """Load the newest checkpoint that is whole; a collective.

        Damaged ones that are newer are renamed (`step_00001234.damaged`), so that they do not count any more.

        Args:
            engine: holds module and optimizer.

        Returns:
            How far the saved run was, and lines for the user; None if there is no checkpoint.

        Raises:
            AllRanksError: none is whole, or the newest whole one belongs to another configuration, shard set or kind of
                training; the line tells what differs.
        """
        notes: list[str] = []
        damaged: list[Path] = []
        for folder in self._newest_first():
            fault = self._damage(folder)
            if fault is None:
                progress, more = self._load(folder, engine)
                with raise_on_all_ranks(self.runtime):
                    if self.runtime.is_main:
                        _set_aside(damaged)
                return progress, [*notes, *more]
            damaged.append(folder)
            notes.append(f"warning: a damaged checkpoint is left out and renamed to {folder.name}{DAMAGED}: {fault}")
        if damaged:
            raise AllRanksError(f"{self.folder}: no checkpoint is whole ({notes[0]}); give a new folder: run=...")
        return None

    def _newest_first(self) -> list[Path]:
        """Return all folders that look like checkpoints; the first process looks, all get the same answer."""
        if self.runtime.is_main and self.folder.is_dir():
            recover_folders(self.folder, "step_*")
        names = [[path.name for path in checkpoint_folders(self.folder)]]
        if self.runtime.world_size > 1:
            broadcast_object_list(names)
        return [self.folder / name for name in reversed(names[0])]

    def _damage(self, folder: Path) -> str | None:
        """Return what is wrong with the files of a checkpoint; each process looks at its share of them."""
        fault: str | None = None
        with raise_on_all_ranks(self.runtime):
            try:
                state = read_state(folder)
                names = sorted(state.files)[self.runtime.rank :: self.runtime.world_size]
                check_files(folder, state.files, state.sha256 or {}, names)
            except DamagedCheckpointError as error:
                fault = str(error)
        faults = [fault] if self.runtime.world_size == 1 else gather_object([fault])
        return next((one for one in faults if one is not None), None)

    def save(self, engine: Engine, progress: Progress) -> Path:
        """Save the whole state, or begin to; every process calls this at the same step.

        Args:
            engine: holds module and optimizer.
            progress: how far the run is.

        Returns:
            The checkpoint's folder; it is there after `wait`.

        Raises:
            AllRanksError: the disk refuses, now or when the checkpoint before was written in the background; earlier
                checkpoints are untouched.
        """
        final = self.folder / f"step_{progress.step:08d}"
        partial = final.with_name(f".{final.name}{PARTIAL}")
        self.saved_at = time.monotonic()
        self.wait()
        write = engine.snapshot()
        state = self._state(engine, progress)
        best = {progress.best_step, *best_steps(progress.history, self.selection, self.keep_best)}
        if engine.in_background:
            if write is not None:
                self._writing = self._writer.submit(self._write_alone, final, partial, write, state, best)
            return final
        with raise_on_all_ranks(self.runtime), self._told(final):
            if self.runtime.is_main:
                self._begin(partial)
        with raise_on_all_ranks(self.runtime), self._told(final):
            if write is not None:
                write(partial)
        with raise_on_all_ranks(self.runtime), self._told(final):
            if self.runtime.is_main:
                self._finish(final, partial, state, best)
        return final

    def wait(self) -> None:
        """Wait until what is written in the background is on the disk; a collective.

        Raises:
            AllRanksError: it could not be written.
        """
        with raise_on_all_ranks(self.runtime):
            if self._writing is not None:
                writing, self._writing = self._writing, None
                writing.result()

    def close(self) -> None:
        """Let what is being written in the background end, whatever it comes to; `wait` tells what it came to."""
        self._writer.shutdown()

    def failed(self) -> bool:
        """Whether this process could not write a checkpoint in the background; `wait` raises what happened."""
        return self._writing is not None and self._writing.done() and self._writing.exception() is not None

    def _load(self, folder: Path, engine: Engine) -> tuple[Progress, list[str]]:
        with raise_on_all_ranks(self.runtime):
            state = read_state(folder)
            refuse_another_run(folder, state.identity, self.identity)
            self._refuse_other_shares(folder, state)
        with raise_on_all_ranks(self.runtime):
            try:
                engine.load(folder)
            except (OSError, RuntimeError, EOFError, SafetensorError) as error:
                reason = " ".join(str(error).split())
                raise AccentError(
                    f"{folder}: cannot be read ({reason}); delete it to resume from the one before"
                ) from error
            engine.loss_scale.restore(state.loss_scale)
        unchecked = f"{folder}: saved by an earlier version, without sha256: its content cannot be checked"
        return state.progress, [unchecked] if state.sha256 is None else []

    def _refuse_other_shares(self, folder: Path, state: SavedState) -> None:
        saved, now = state.zero_stage, self.runtime.zero_stage
        if saved != now:
            names = [f"ZeRO stage {stage}" if stage else "without ZeRO" for stage in (saved, now)]
            raise AccentError(
                f"{folder}: saved {names[0]}, started {names[1]}; start it as it was saved, or give a new folder: "
                "run=..."
            )
        if now and state.processes != self.runtime.world_size:
            raise AccentError(
                f"{folder}: ZeRO's shares are those of {state.processes} processes, {self.runtime.world_size} are "
                f"running; start it with --num_processes {state.processes}"
            )

    def _state(self, engine: Engine, progress: Progress) -> dict[str, Any]:
        return {
            "format": FORMAT,
            "progress": dataclasses.asdict(progress),
            "identity": self.identity,
            "processes": self.runtime.world_size,
            "zero_stage": self.runtime.zero_stage,
            "loss_scale": engine.loss_scale.state(),
        }

    def _write_alone(
        self, final: Path, partial: Path, write: Callable[[Path], None], state: dict[str, Any], best: set[int]
    ) -> None:
        with self._told(final):
            self._begin(partial)
            write(partial)
            self._finish(final, partial, state, best)

    @contextmanager
    def _told(self, final: Path) -> Iterator[None]:
        """Turn a disk that refuses into one line."""
        try:
            yield
        except (OSError, RuntimeError, SafetensorError) as error:  # torch.save makes a RuntimeError of a full disk
            found = complete_checkpoints(self.folder)
            last = f"the last good one is {found[-1]}" if found else "there is no earlier one"
            reason = str(error).strip().splitlines()[0]
            raise AccentError(
                f"{final}: cannot save a checkpoint ({reason}); check free space and permissions; {last}"
            ) from error

    def _begin(self, partial: Path) -> None:
        for leftover in self.folder.glob(f".step_*{PARTIAL}"):
            shutil.rmtree(leftover)
        partial.mkdir(parents=True)

    def _finish(self, final: Path, partial: Path, state: dict[str, Any], best: set[int]) -> None:
        text = json.dumps({**state, **file_digests(partial)}, indent=1)
        (partial / STATE).write_text(text, encoding="utf-8")
        replace_folder(partial, final)
        for old in complete_checkpoints(self.folder)[: -self.keep_last]:
            if int(old.name.removeprefix("step_")) not in best:
                # Renamed first: killed while deleting, it would leave a torn folder under a checkpoint's name.
                shutil.rmtree(old.rename(old.with_name(f".{old.name}{PARTIAL}")))


def _set_aside(damaged: list[Path]) -> None:
    for folder in damaged:
        aside = folder.with_name(f"{folder.name}{DAMAGED}")
        try:
            shutil.rmtree(aside, ignore_errors=True)
            folder.rename(aside)
        except OSError as error:
            raise AccentError(f"{folder}: damaged, and cannot be renamed ({error.strerror}); delete it") from error
