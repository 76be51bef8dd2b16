"""What a person sees of a run: TensorBoard curves, and a bar (or now and then a line) of progress.

A point of a curve is the mean over the steps since the last point.  Losses stay on the device until then, so watching
makes no step wait.  Only the first process writes.  Cost: a few dozen numbers every `every_steps` steps.

Shape legend: F families.
"""

import math
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from torch.utils.tensorboard import SummaryWriter

from accent.errors import AccentError
from launch.run_config import MonitorConfig
from launch.training.step_timer import StepTimer


class StepReport(NamedTuple):
    """What became of one step."""

    step: int
    """Number of steps done, this one included."""
    lr: float
    """Its learning rate."""
    gradient_norm: float
    """Before clipping; not finite where the step was left out."""
    applied: bool
    """Whether the weights were updated."""
    loss_scale: float
    """Factor of the loss in backward; 1 but for fp16."""
    fusion_weights_F: torch.Tensor
    """Weight of each family."""


class Monitor:
    """Watches one run.

    Args:
        folder: where TensorBoard's files go; None writes none.
        config: how often.
        families: names of the feature families, in the order of the fusion weights.
        first_step: steps done before this start; curves beyond it are purged.
        total_steps: steps in the whole run.
        rows: utterances in a step.
        speaks: whether this process is the one that writes and prints.
    """

    def __init__(
        self,
        folder: Path | None,
        config: MonitorConfig,
        families: Sequence[str],
        first_step: int,
        total_steps: int,
        rows: int,
        speaks: bool,
    ) -> None:
        self.config, self.families, self.rows, self.speaks = config, tuple(families), rows, speaks
        self.total_steps = total_steps
        self._writer = None
        if folder is not None and speaks:
            try:
                self._writer = SummaryWriter(str(folder), purge_step=first_step + 1)
            except OSError as error:
                raise AccentError(f"{folder}: cannot be written ({error}); give another folder: run=...") from error
        self._console = Console(highlight=False, soft_wrap=True)
        self._bar = self._start_bar(first_step) if speaks and self._console.is_terminal else None
        self._begin_interval()
        self._since = time.perf_counter()
        self._last_line = self._since

    def batch(self, losses: Mapping[str, torch.Tensor]) -> None:
        """Record the losses of a batch: by name, detached scalars, the total among them."""
        if self.speaks:
            self._batches += 1
            for name, loss in losses.items():
                self._sums[name] = self._sums.get(name, 0.0) + loss

    def step(self, report: StepReport, clock: StepTimer) -> None:
        """Record one training step.

        Args:
            report: what became of it.
            clock: asked now and then where the time went.
        """
        due = report.step % self.config.every_steps == 0 or report.step == self.total_steps
        # On every process, or the others would hold a GPU's events for ever.
        parts = clock.take() if due else {}
        if not self.speaks:
            return
        self._steps += 1
        self._skipped += not report.applied
        if math.isfinite(report.gradient_norm):
            self._norms.append(report.gradient_norm)
        if self._bar is not None:
            self._bar.update(self._bar.task_ids[0], completed=report.step)
        if due:
            self._point(report, parts)

    def validation(self, step: int, metrics: Mapping[str, float], best: bool, seconds: float) -> None:
        """Record a validation; its time does not count as training time."""
        if not self.speaks:
            return
        for name, value in metrics.items():
            self._scalar(f"validation/{name}", value, step)
        shown = "  ".join(f"{name} {value:.3f}" for name, value in metrics.items())
        self._print(f"step {step}/{self.total_steps}  validation  {shown}{'  (best so far)' if best else ''}")
        self._since += seconds

    def note(self, line: str) -> None:
        """Print a line beside the bar."""
        if self.speaks:
            self._print(line)

    def flush(self) -> None:
        """Bring the curves to the disk."""
        if self._writer is not None:
            try:
                self._writer.flush()
            except OSError as error:
                raise AccentError(
                    f"TensorBoard's curves cannot be written ({error}); check free space and permissions"
                ) from error

    def close(self) -> None:
        """End the bar and the curves; safe to call twice."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def _begin_interval(self) -> None:
        self._sums: dict[str, torch.Tensor | float] = {}
        self._norms: list[float] = []
        self._steps, self._batches, self._skipped = 0, 0, 0

    def _point(self, report: StepReport, parts: Mapping[str, float]) -> None:
        step = report.step
        losses = {name: float(total) / self._batches for name, total in self._sums.items()}
        now = time.perf_counter()
        seconds = max(now - self._since, 1e-9)
        speed = self._steps * self.rows / seconds
        for name, value in losses.items():
            self._scalar(f"loss/{name}", value, step)
        self._scalar("train/lr", report.lr, step)
        if self._norms:
            self._scalar("train/gradient_norm", sum(self._norms) / len(self._norms), step)
        self._scalar("train/samples_per_second", speed, step)
        self._scalar("train/data_wait_share", min(1.0, parts.get("data_wait", 0.0) / seconds), step)
        self._scalar("train/skipped_steps", self._skipped, step)
        self._scalar("train/loss_scale", report.loss_scale, step)
        for part, spent in parts.items():
            self._scalar(f"time/{part}_ms", 1000 * spent / self._steps, step)
        for family, weight in zip(self.families, report.fusion_weights_F.tolist(), strict=True):
            self._scalar(f"fusion/{family}", weight, step)
        text = f"loss {losses['total']:.4f}  {speed:.1f} utterances/s"
        if self._skipped:
            text += f"  {self._skipped} of {self._steps} steps not finite, left out"
        if self._bar is not None:
            self._bar.update(self._bar.task_ids[0], text=text)
        elif now - self._last_line >= self.config.line_seconds or self._skipped:
            self._print(f"step {step}/{self.total_steps}  {text}")
            self._last_line = now
        self._begin_interval()
        self._since = now

    def _scalar(self, name: str, value: float, step: int) -> None:
        if self._writer is not None:
            self._writer.add_scalar(name, value, step)

    def _print(self, line: str) -> None:
        (self._bar.console if self._bar is not None else self._console).print(line, markup=False)
        sys.stdout.flush()

    def _start_bar(self, first_step: int) -> Progress:
        bar = Progress(
            TextColumn("training"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[text]}"),
            console=self._console,
        )
        bar.add_task("training", total=self.total_steps, completed=first_step, text="")
        bar.start()
        return bar
