"""How a run is, for whoever watches it: `RUN/health.json`, replaced as a whole now and then.

    watch cat RUN/health.json

| key | what it says |
|---|---|
| state | running, finished, preempted (saved, wants to go on), interrupted (Ctrl-C, saved), failed |
| line | why it ended; null while it runs |
| restart | whether the same command may get further: not after a fault that the user has to mend |
| step, total_steps, loss | how far it is; the mean loss since the last point of the curves |
| steps_per_second, rows_per_second, seconds_left | over the newest 100 steps, validation and saving left out |
| seconds_since_step | grows while a step hangs |
| checkpoint | step and time of the newest that is complete on the disk |
| data_wait_share | of the time |
| process_gib, gpu_peak_gib | memory of each process |
| lag_seconds | by how much each process is slower a step than the median; null under one process |
| written, started, host, pid, slurm_job | of the first process; times are UTC |

A file whose `written` is older than a few times `monitor.health_seconds`, and whose state is running, belongs to a run
that was killed.  Cost: one small file, synced, each time.
"""

import json
import os
import socket
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Literal

from accent.files import write_text
from accent.strict_json import strict
from launch.training.saved_state import STATE, complete_checkpoints

HEALTH = "health.json"
State = Literal["running", "finished", "preempted", "interrupted", "failed"]


@dataclass(frozen=True)
class Figures:
    """What one point of the curves tells."""

    loss: float
    data_wait_share: float
    process_gib: list[float]
    """Resident memory of each process."""
    gpu_peak_gib: list[float] | None
    """Peak of each process's GPU; None on a CPU."""
    lag_seconds: list[float] | None
    """Of `lag_of_ranks`; None for one process."""


class HealthFile:
    """The file of one run, written by the first process.

    Args:
        run: the run's folder.
        total_steps: steps in the whole run.
        rows: utterances in a step.
    """

    def __init__(self, run: Path, total_steps: int, rows: int) -> None:
        self._run, self._total_steps, self._rows = run, total_steps, rows
        self._started = _utc(datetime.now(timezone.utc))

    def write(
        self,
        state: State,
        step: int,
        steps_per_second: float | None,
        seconds_since_step: float,
        figures: Figures | None,
        line: str | None = None,
        restart: bool = False,
    ) -> None:
        """Replace the file.

        Args:
            state: of the run.
            step: steps done.
            steps_per_second: None before the first step.
            seconds_since_step: since the last step ended; 0 while validating.
            figures: None before the first point of the curves.
            line: why it ended.
            restart: whether the same command may get further.

        Raises:
            AccentError: the disk refuses.
        """
        speed = steps_per_second
        values: dict[str, Any] = {
            "state": state,
            "line": line,
            "restart": restart,
            "step": step,
            "total_steps": self._total_steps,
            "loss": None if figures is None else figures.loss,
            "steps_per_second": speed,
            "rows_per_second": None if speed is None else speed * self._rows,
            "seconds_left": None if speed is None else (self._total_steps - step) / speed,
            "seconds_since_step": seconds_since_step,
            "checkpoint": newest_checkpoint(self._run),
            "data_wait_share": None if figures is None else figures.data_wait_share,
            "process_gib": None if figures is None else figures.process_gib,
            "gpu_peak_gib": None if figures is None else figures.gpu_peak_gib,
            "lag_seconds": None if figures is None else figures.lag_seconds,
            "written": _utc(datetime.now(timezone.utc)),
            "started": self._started,
            "host": socket.gethostname(),
            "pid": os.getpid(),
            "slurm_job": os.environ.get("SLURM_JOB_ID"),
        }
        write_text(self._run / HEALTH, json.dumps(strict(_rounded(values)), indent=1, allow_nan=False) + "\n")


def newest_checkpoint(run: Path) -> dict[str, Any] | None:
    """Return step and time of the newest complete checkpoint of a run; None if there is none."""
    found = complete_checkpoints(run / "checkpoints")
    if not found:
        return None
    written = datetime.fromtimestamp((found[-1] / STATE).stat().st_mtime, timezone.utc)
    return {"step": int(found[-1].name.removeprefix("step_")), "time": _utc(written)}


def _utc(time: datetime) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ")


def _rounded(value: Any) -> Any:
    """Return a value with its numbers to six digits, which a person can read."""
    if isinstance(value, float):
        return float(f"{value:.6g}")
    if isinstance(value, list):
        return [_rounded(item) for item in value]
    return {key: _rounded(item) for key, item in value.items()} if isinstance(value, dict) else value
