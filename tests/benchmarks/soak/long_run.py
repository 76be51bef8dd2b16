"""Does a long training stay as it began?  Memory, open files, threads and the time of a step, along many steps.

    nice -n 10 python -m tests.benchmarks.soak --steps 20000

The real training loop in this process, with everything on that runs now and then: twenty validations with pictures,
forty checkpoints, curves, histograms of gradients, and the health file every second.  The model and the shard set
(random features) are as small as a test's, so that steps are many and whatever each leaves behind adds up.

At a mark (a twentieth, a quarter, half, all of the steps): resident memory, file descriptors and threads of the
process; `step` is the median of the newest fortieth of the steps, in which a checkpoint counts for nothing.
"""

import statistics
import tempfile
import time
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import psutil
import typer
from rich.console import Console
from rich.table import Table

from accent.model.config import ModelConfig
from accent.model.encoder import EnhancedAccentEncoder
from launch.run_config import CheckpointConfig, MonitorConfig, TrainingConfig
from launch.training.run import train_accent_encoder
from shards.loading.batch import Batch
from shards.loading.config import BatchConfig
from shards.loading.loader import EvaluationLoader, TrainingLoader
from shards.splits.split import make_split
from tests.support.training.small_runs import small_shards

MARKS = (20, 4, 2, 1)
"""Parts of the steps after which the process is looked at."""
VALIDATIONS, CHECKPOINTS = 20, 40


class Mark(NamedTuple):
    """How the process is after so many steps."""

    step: int
    mib: float
    files: int
    threads: int
    step_ms: float


class WatchedLoader(TrainingLoader):
    """Batches, and a mark of the process at some of them.

    Args:
        marks: steps after which it is looked at.
        newest: steps whose median is the time of a step.
        others: as for `TrainingLoader`.
    """

    def __init__(self, marks: set[int], newest: int, *others: Any) -> None:
        super().__init__(*others)
        self._at, self._newest = marks, newest
        self.marks: list[Mark] = []

    def steps(self, first: int, last: int) -> Iterator[Batch]:
        """Yield the batches; the one after a marked step is asked for before that step ends."""
        newest: deque[float] = deque(maxlen=self._newest)
        process, before = psutil.Process(), time.perf_counter()
        for step, batch in enumerate(super().steps(first, last), first):
            now = time.perf_counter()
            newest.append(now - before)
            before = now
            if step + 1 in self._at:
                mib = process.memory_info().rss / 2**20
                step_ms = 1000 * statistics.median(newest)
                self.marks.append(Mark(step + 1, mib, process.num_fds(), process.num_threads(), step_ms))
                # Said at once: a week's soak that ends early has not run for nothing.
                print(self.marks[-1], flush=True)
            yield batch


def soak(steps: int, folder: Path) -> list[Mark]:
    """Train, and return the marks.

    Args:
        steps: how many, about: whole epochs.
        folder: for shard set and run.
    """
    shard_set = small_shards(folder / "shards")
    split, config = make_split(shard_set), BatchConfig(speakers_per_accent=2, utterances_per_speaker=2, crop_frames=40)
    loader = WatchedLoader({steps // part for part in MARKS}, steps // CHECKPOINTS, shard_set, split, config)
    training = TrainingConfig(
        epochs=-(-steps // loader.steps_per_epoch),
        validate_every_epochs=max(1, round(steps / VALIDATIONS / loader.steps_per_epoch)),
        checkpoints=CheckpointConfig(every_steps=steps // CHECKPOINTS, keep_best=3),
        monitor=MonitorConfig(health_seconds=1.0, line_seconds=60.0),
    )
    model = EnhancedAccentEncoder(ModelConfig.from_preset("tiny", hidden=16, layers=1, heads=2, embedding_dim=16))
    validation = EvaluationLoader(shard_set, split.validation, config)
    train_accent_encoder(model, loader, validation, device="cpu", training=training, run=folder / "run")
    return loader.marks


def table(marks: list[Mark]) -> Table:
    """Return the marks as a table, with what changed since the first."""
    shown = Table(title="one process along its steps")
    for heading in ("steps", "memory, MiB", "since the first mark", "open files", "threads", "step, ms"):
        shown.add_column(heading, justify="right")
    for mark in marks:
        grown = f"{mark.mib - marks[0].mib:+.1f}"
        shown.add_row(
            f"{mark.step:,}", f"{mark.mib:.1f}", grown, str(mark.files), str(mark.threads), f"{mark.step_ms:.1f}"
        )
    return shown


def main(
    steps: Annotated[int, typer.Option(min=CHECKPOINTS, help="How many, rounded up to whole epochs.")] = 20_000,
) -> None:
    """Train for many steps and print what became of the process."""
    with tempfile.TemporaryDirectory() as folder:
        marks = soak(steps, Path(folder))
    Console(width=118).print(table(marks))
