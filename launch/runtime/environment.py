"""What a run was made with: `environment.json` in its folder, one entry for each start.

Cost: one look at the installed packages, one call of git.
"""

import json
import os
import platform
import shlex
import socket
import subprocess
import sys
from datetime import datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

from accent.files import write_text
from launch.runtime.agreement import Runtime
from launch.runtime.arithmetic import is_deterministic, rounds_to_tf32

NAME = "environment.json"
PACKAGES = (
    "accent-embeddings",
    "torch",
    "accelerate",
    "deepspeed",
    "numpy",
    "numba",
    "scipy",
    "safetensors",
    "omegaconf",
)
"""Packages whose version may change what a run computes."""
_SOURCE = Path(__file__).resolve().parents[2]


def record_start(run: Path, runtime: Runtime) -> None:
    """Add this start to a run's `environment.json`.

    Args:
        run: the run's folder.
        runtime: the processes.

    Raises:
        AccentError: the file cannot be written.
    """
    file = run / NAME
    try:
        starts = json.loads(file.read_text(encoding="utf-8"))["starts"]
    except (OSError, ValueError, KeyError, TypeError):
        # No start before this one, or a file that somebody has edited: the record begins here.
        starts = []
    write_text(file, json.dumps({"starts": [*starts, environment(runtime)]}, indent=2, ensure_ascii=False) + "\n")


def environment(runtime: Runtime) -> dict[str, Any]:
    """Return what this start runs on: command, code, versions, machine, processes."""
    on_gpu = runtime.device.type == "cuda"
    return {
        "started": datetime.now().astimezone().isoformat(timespec="seconds"),
        "command": shlex.join(sys.argv),
        "git_commit": git_commit(),
        "python": platform.python_version(),
        "packages": {name: _version(name) for name in PACKAGES},
        "host": socket.gethostname(),
        "platform": platform.platform(),
        "cpu_cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "device": runtime.device.type,
        "gpu": torch.cuda.get_device_name(runtime.device) if on_gpu else None,
        "cuda": torch.version.cuda if on_gpu else None,
        "precision": runtime.precision_name,
        "deterministic": is_deterministic(),
        "tf32": rounds_to_tf32(),
        "processes": runtime.world_size,
        "backend": runtime.backend,
        "zero_stage": runtime.zero_stage,
    }


def git_commit() -> str | None:
    """Return the commit of the program's own repository, with "-dirty" if files were changed; None outside of one."""
    if not (_SOURCE / ".git").exists():
        return None
    try:
        described = subprocess.run(
            ["git", "-C", str(_SOURCE), "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"],
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        # No git on this machine, or a repository of another user that it does not trust.
        return None
    return described.stdout.strip()


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
