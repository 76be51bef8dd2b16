"""Runs on two processes that are stopped and started again."""

from pathlib import Path
from typing import Any

from launch.run_config import write_config
from tests.support.training.ranks import Ranks
from tests.support.training.small_runs import small_config

LONG = ("epochs=20", "validate_every_epochs=20", "checkpoints.every_steps=2", "monitor.every_steps=1")
"""Sixty steps, with dropout."""


def started(folder: Path, shards: Path, *words: str, **options: Any) -> Ranks:
    """A run of two processes, in `folder/run`; started again, it resumes."""
    config = folder / "run.yaml"
    config.parent.mkdir(exist_ok=True)
    write_config(small_config(folder / "run", shards, "monitor.line_seconds=1e-6", *words), config)
    return Ranks([str(config)], folder / "printed", **options)


def saved_steps(run: Path) -> list[str]:
    """Names of a run's checkpoints, oldest first."""
    return sorted(path.name for path in (run / "checkpoints").glob("step_*"))
