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

import torch
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from torch.utils.tensorboard import SummaryWriter

from launch.configuration import MonitorConfig


class Monitor:
    """Watches one run.

    Args:
        folder: where TensorBoard's files go; None writes none.
        config: how often.
        families: names of the feature families, in the order of the fusion weights.
        first_step: steps done before this start; curves beyond it are purged.
        total_steps: steps in the whole run.
        rows: utterances in a global batch.
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
            self._writer = SummaryWriter(str(folder), purge_step=first_step + 1)
        self._console = Console(highlight=False, soft_wrap=True)
        self._bar = self._start_bar(first_step) if speaks and self._console.is_terminal else None
        self._begin_interval()
        self._since = time.perf_counter()
        self._last_line = self._since

    def step(
        self,
        step: int,
        losses: Mapping[str, torch.Tensor],
        fusion_weights_F: torch.Tensor,
        lr: float,
        gradient_norm: float,
        waited_seconds: float,
        overflowed: bool,
    ) -> None:
        """Take note of one training step.

        Args:
            step: number of steps done, this one included.
            losses: by name, detached scalars, the total among them.
            fusion_weights_F: weight of each family.
            lr: learning rate of the step.
            gradient_norm: before clipping; not finite where fp16 overflowed.
            waited_seconds: time spent waiting for the batch.
            overflowed: fp16 overflowed, so the optimizer skipped the step.
        """
        if not self.speaks:
            return
        for name, loss in losses.items():
            self._sums[name] = self._sums.get(name, 0.0) + loss
        self._steps += 1
        self._waited += waited_seconds
        self._overflows += overflowed
        if math.isfinite(gradient_norm):
            self._norms.append(gradient_norm)
        if self._bar is not None:
            self._bar.update(self._bar.task_ids[0], completed=step)
        if step % self.config.every_steps == 0 or step == self.total_steps:
            self._point(step, fusion_weights_F, lr)

    def validation(self, step: int, metrics: Mapping[str, float], best: bool, seconds: float) -> None:
        """Take note of a validation; its time does not count as training time."""
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
            self._writer.flush()

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
        self._steps, self._waited, self._overflows = 0, 0.0, 0

    def _point(self, step: int, fusion_weights_F: torch.Tensor, lr: float) -> None:
        losses = {name: float(total) / self._steps for name, total in self._sums.items()}
        now = time.perf_counter()
        seconds = max(now - self._since, 1e-9)
        speed = self._steps * self.rows / seconds
        for name, value in losses.items():
            self._scalar(f"loss/{name}", value, step)
        self._scalar("train/lr", lr, step)
        if self._norms:
            self._scalar("train/gradient_norm", sum(self._norms) / len(self._norms), step)
        self._scalar("train/samples_per_second", speed, step)
        self._scalar("train/data_wait_share", min(1.0, self._waited / seconds), step)
        self._scalar("train/fp16_overflows", self._overflows, step)
        for family, weight in zip(self.families, fusion_weights_F.tolist(), strict=True):
            self._scalar(f"fusion/{family}", weight, step)
        text = f"loss {losses['total']:.4f}  {speed:.1f} utterances/s"
        if self._bar is not None:
            self._bar.update(self._bar.task_ids[0], text=text)
        elif now - self._last_line >= self.config.line_seconds:
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
