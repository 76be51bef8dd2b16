"""What a checkpoint says of itself in `state.json`, and whether its files are those that were written.

`state.json` holds size and sha256 of each file beside it.  Checkpoints of earlier versions have sizes only: they are
read, and cannot be checked further.  Cost: that of the hashes (`accent.files`); the processes share the files out.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypedDict

from accent.errors import AccentError
from accent.files import sha256_of
from accent.typed_json import checked
from launch.runtime.precision import ScaleState

FORMAT = 2
STATE = "state.json"
_BEFORE = "delete the folder to resume from the one before"


class DamagedCheckpointError(AccentError):
    """A checkpoint is not what was written; the one before it may be good."""


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


class Identity(TypedDict):
    """What decides whether a run may continue from a checkpoint."""

    configuration: dict[str, Any]
    shards: str
    """Fingerprint of the shard set."""
    global_batch: int


@dataclass(frozen=True)
class SavedState:
    """The content of `state.json`, field by field."""

    format: int
    progress: Progress
    identity: Identity
    processes: int
    zero_stage: int
    loss_scale: ScaleState | None
    files: dict[str, int]
    """Bytes of each file, by its path in the folder."""
    sha256: dict[str, str] | None = None
    """Of each file; None in a checkpoint of an earlier version."""


def checkpoint_folders(folder: Path) -> list[Path]:
    """Return all folders with a checkpoint's name, oldest first, complete or not."""
    return sorted(path for path in folder.glob("step_" + "[0-9]" * 8) if path.is_dir())


def complete_checkpoints(folder: Path) -> list[Path]:
    """Return the complete checkpoints of a folder, oldest first."""
    return [path for path in checkpoint_folders(folder) if (path / STATE).is_file()]


def best_steps(history: Sequence[Mapping[str, float]], metric: str, count: int) -> list[int]:
    """Return the steps of the best validations, the best first; of equal ones the later is better.

    Args:
        history: of `Progress`.
        metric: higher is better; validations without it do not count.
        count: how many.

    >>> best_steps([{"step": 1, "f": 0.5}, {"step": 2, "f": 0.7}, {"step": 3, "f": 0.5}, {"step": 4}], "f", 2)
    [2, 3]
    """
    ranked = sorted(((entry[metric], int(entry["step"])) for entry in history if metric in entry), reverse=True)
    return [step for _, step in ranked[:count]]


def file_digests(folder: Path) -> dict[str, dict[str, Any]]:
    """Return size and sha256 of all files of a folder, as `SavedState` holds them: `files` and `sha256`."""
    paths = {str(path.relative_to(folder)): path for path in sorted(folder.rglob("*")) if path.is_file()}
    return {
        "files": {name: path.stat().st_size for name, path in paths.items()},
        "sha256": {name: sha256_of(path) for name, path in paths.items()},
    }


def read_state(folder: Path) -> SavedState:
    """Read a checkpoint's `state.json`.

    Raises:
        DamagedCheckpointError: it is missing, cannot be read, or is incomplete.
        AccentError: it is of another format.
    """
    file = folder / STATE
    try:
        values = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise DamagedCheckpointError(f"{file}: cannot be read ({error}); {_BEFORE}") from error
    version = values.get("format") if isinstance(values, dict) else None
    if isinstance(version, int) and version != FORMAT:
        raise AccentError(f"{file}: format {version}, this version reads {FORMAT}; take another run folder")
    try:
        return checked(values, SavedState, file, _BEFORE)
    except AccentError as error:
        raise DamagedCheckpointError(str(error)) from error


def check_files(folder: Path, files: Mapping[str, int], sha256: Mapping[str, str], names: Sequence[str]) -> None:
    """Compare some files of a checkpoint with what was written.

    Args:
        folder: the checkpoint.
        files: bytes of each file.
        sha256: of each file; empty if it was not recorded.
        names: those to look at.

    Raises:
        DamagedCheckpointError: a file is missing, or is another one.
    """
    for name in names:
        file = folder / name
        size = file.stat().st_size if file.is_file() else None
        if size != files[name]:
            found = "missing" if size is None else f"{size} bytes long"
            raise DamagedCheckpointError(f"{file}: {found}, {files[name]} bytes were written; {_BEFORE}")
        if sha256 and sha256_of(file) != sha256.get(name):
            raise DamagedCheckpointError(f"{file}: damaged (another sha256 than was written); {_BEFORE}")
