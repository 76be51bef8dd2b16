"""Checkpoints: folders `step_00001234` that are complete or do not exist.

    step_00001234/  module.safetensors   encoder and objective, buffers too: float32 and whole, for use elsewhere
                    optimizer.pt         AdamW's moments; under ZeRO instead of it:
                    zero/                DeepSpeed's files, one a process
                    state.json           step, best validation, configuration, shard set, processes, loss scale

They are written under a temporary name and fsynced; the first process renames the folder and fsyncs its parent.  With a
whole copy of the model in each process (random numbers are keyed by step and process, and need no saving) the first
copies the state to the host's memory and writes it in a thread, while training continues.  Under ZeRO all processes
write their shares, and meet before the folder is renamed.

Cost: three copies of the parameters on disk; of the training's time, the copy to the host's memory (under ZeRO, the
whole writing).
"""

import dataclasses
import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

from accelerate.utils import broadcast_object_list
from safetensors import SafetensorError

from accent.errors import AccentError
from accent.files import recover_folders, replace_folder
from launch.runtime.agreement import Runtime, raise_on_all_ranks
from launch.training.engines.engine import Engine
from launch.training.identity import refuse_another_run

FORMAT = 2
PARTIAL = ".partial"


@dataclass
class Progress:
    """How far a run is; everything besides tensors that resuming needs."""

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
    total_steps: int = 0
    """Steps that the run was planned for when this was saved; 0 if unknown."""
    precision: str = ""
    """Arithmetic of the forward pass when this was saved; empty if unknown."""


class Checkpoints:
    """The checkpoints of one run.

    Args:
        folder: where they lie; made when the first is saved.
        keep_last: how many of the newest stay; the one of the best validation stays as well.
        identity: what the run is: `configuration`, `shards` (fingerprint), `global_batch`.
        runtime: the processes that save and load together.
    """

    def __init__(self, folder: Path, keep_last: int, identity: Mapping[str, Any], runtime: Runtime) -> None:
        self.folder = folder
        self.keep_last = keep_last
        self.identity = dict(identity)
        self.runtime = runtime
        self._writing: Future[None] | None = None
        self._writer = ThreadPoolExecutor(max_workers=1, thread_name_prefix="checkpoint")

    def newest(self) -> Path | None:
        """Return the newest complete checkpoint; the first process looks, all get the same answer."""
        if self.runtime.is_main and self.folder.is_dir():
            recover_folders(self.folder, "step_*")
        found = complete_checkpoints(self.folder)
        name = [found[-1].name if found else None]
        if self.runtime.world_size > 1:
            broadcast_object_list(name)
        return None if name[0] is None else self.folder / name[0]

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
        self.wait()
        write = engine.snapshot()
        state = self._state(engine, progress)
        if engine.in_background:
            if write is not None:
                self._writing = self._writer.submit(self._write_alone, final, partial, write, state, progress.best_step)
            return final
        with raise_on_all_ranks(self.runtime), self._told(final):
            if self.runtime.is_main:
                self._begin(partial)
        with raise_on_all_ranks(self.runtime), self._told(final):
            if write is not None:
                write(partial)
        with raise_on_all_ranks(self.runtime), self._told(final):
            if self.runtime.is_main:
                self._finish(final, partial, state, progress.best_step)
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

    def load(self, folder: Path, engine: Engine) -> Progress:
        """Put a checkpoint's state into module and optimizer.

        Args:
            folder: a complete checkpoint.
            engine: holds them.

        Returns:
            How far the saved run was.

        Raises:
            AllRanksError: the checkpoint belongs to another configuration, shard set or kind of training; the line
                tells what differs.
        """
        with raise_on_all_ranks(self.runtime):
            state = read_state(folder)
            refuse_another_run(folder, state["identity"], self.identity)
            self._refuse_other_shares(folder, state)
            _check_sizes(folder, state["files"])
        with raise_on_all_ranks(self.runtime):
            try:
                engine.load(folder)
            except (OSError, RuntimeError, EOFError, UnpicklingError, SafetensorError) as error:
                reason = " ".join(str(error).split())
                raise AccentError(
                    f"{folder}: cannot be read ({reason}); delete it to resume from the one before"
                ) from error
            engine.loss_scale.restore(state["loss_scale"])
        return Progress(**state["progress"])

    def _refuse_other_shares(self, folder: Path, state: Mapping[str, Any]) -> None:
        saved, now = state["zero_stage"], self.runtime.zero_stage
        if saved != now:
            names = [f"ZeRO stage {stage}" if stage else "without ZeRO" for stage in (saved, now)]
            raise AccentError(
                f"{folder}: saved {names[0]}, started {names[1]}; start it as it was saved, or give a new folder: "
                "run=..."
            )
        if now and state["processes"] != self.runtime.world_size:
            raise AccentError(
                f"{folder}: ZeRO's shares are those of {state['processes']} processes, {self.runtime.world_size} are "
                f"running; start it with --num_processes {state['processes']}"
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
        self, final: Path, partial: Path, write: Callable[[Path], None], state: dict[str, Any], best_step: int
    ) -> None:
        with self._told(final):
            self._begin(partial)
            write(partial)
            self._finish(final, partial, state, best_step)

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

    def _finish(self, final: Path, partial: Path, state: dict[str, Any], best_step: int) -> None:
        files = {str(file.relative_to(partial)): file.stat().st_size for file in partial.rglob("*") if file.is_file()}
        (partial / "state.json").write_text(json.dumps({**state, "files": files}, indent=1), encoding="utf-8")
        replace_folder(partial, final)
        for old in complete_checkpoints(self.folder)[: -self.keep_last]:
            if old.name != f"step_{best_step:08d}":
                # Renamed first: killed while deleting, it would leave a torn folder under a checkpoint's name.
                shutil.rmtree(old.rename(old.with_name(f".{old.name}{PARTIAL}")))


def _check_sizes(folder: Path, sizes: Mapping[str, int]) -> None:
    """Raise `AccentError` if a file is not as long as it was: under ZeRO one process would fail amid a collective."""
    for name, size in sizes.items():
        file = folder / name
        if not file.is_file() or file.stat().st_size != size:
            found = f"{file.stat().st_size} bytes long" if file.is_file() else "missing"
            raise AccentError(
                f"{file}: {found}, {size} bytes were written; delete {folder} to resume from the one before"
            )


def complete_checkpoints(folder: Path) -> list[Path]:
    """Return the complete checkpoints of a folder, oldest first."""
    return sorted(path for path in folder.glob("step_" + "[0-9]" * 8) if (path / "state.json").is_file())


def read_state(folder: Path) -> dict[str, Any]:
    """Return a checkpoint's `state.json`; `AccentError` if it is of another format or cannot be read."""
    file = folder / "state.json"
    try:
        state = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise AccentError(f"{file}: cannot be read ({error}); delete {folder} to resume from the one before") from error
    if state.get("format") != FORMAT:
        raise AccentError(f"{file}: format {state.get('format')}, this version reads {FORMAT}; take another run folder")
    return state
