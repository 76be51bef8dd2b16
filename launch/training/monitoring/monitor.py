"""What a person sees of a run: curves and pictures in the trackers, and how far it is.

A point of a curve is the mean over the steps since the last point.  Losses stay on the device until then, so watching
makes no step wait.  Only the first process writes.

Cost: a few dozen numbers and one small gather every `every_steps` steps; pictures at each validation; gradients are
looked at every `gradients_every_steps` steps.

Shape legend: F families.
"""

import math
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from torch import Tensor, nn

from accent.configuration import flatten
from accent.errors import AccentError
from launch.run_config import MonitorConfig
from launch.runtime.agreement import Runtime
from launch.training.health.loss_spikes import LossSpikes
from launch.training.health.watch import Watch
from launch.training.identity import is_resumable
from launch.training.monitoring.curves import training_curve, validation_curve
from launch.training.monitoring.gradient_histograms import write_gradient_histograms
from launch.training.monitoring.profiler import Profiler
from launch.training.monitoring.progress_bar import ProgressBar
from launch.training.monitoring.rank_times import Spent, gather_spent, spent_curves
from launch.training.monitoring.start_page import flat_settings, write_end, write_hyperparameters, write_texts
from launch.training.monitoring.trackers import Trackers
from launch.training.monitoring.validation_page import write_validation
from launch.training.step_timer import StepTimer
from launch.training.validation import Validation
from shards.shard_set.manifest import ShardSet


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
    fusion_weights_F: Tensor
    """Weight of each family."""


@dataclass(frozen=True)
class Watched:
    """What the monitor has to know of a run."""

    families: Sequence[str]
    """Names of the feature families, in the order of the fusion weights."""
    first_step: int
    """Steps done before this start; curves beyond it are purged."""
    total_steps: int
    """Steps in the whole run."""
    steps_per_epoch: int
    """Steps in an epoch."""
    rows: int
    """Utterances in a step."""
    selection: str | None
    """The metric of validation that chooses the best weights; None where nothing is validated."""
    configuration: Mapping[str, Any]
    """How it is trained, nested."""
    start: Sequence[str]
    """The lines that a start prints."""


class Monitor:
    """Watches one run.

    Args:
        run: the run's folder; None writes none.
        config: what is shown, and how often.
        watched: the run.
        runtime: the processes; the first writes and prints.

    Raises:
        AccentError: a tracker whose package is missing or that does not start, or a profile without a run folder.
    """

    def __init__(self, run: Path | None, config: MonitorConfig, watched: Watched, runtime: Runtime) -> None:
        self.config, self.watched, self.runtime = config, watched, runtime
        if config.profile is not None and run is None:
            raise AccentError("monitor.profile: there is no run folder to write to; give run=")
        self._folder = run
        self._bar: ProgressBar | None = None
        self._trackers: Trackers | None = None
        self._profiler: Profiler | None = None
        self._last_step = watched.first_step
        if runtime.is_main:
            self._bar = ProgressBar(watched.first_step, watched.total_steps, config.line_seconds)
            if run is not None:
                self._open(run)
        self.watch = Watch(run, config, watched.first_step, watched.total_steps, watched.rows, runtime, self.note)
        """Entered around the steps."""
        self._spikes = LossSpikes()
        self._begin_interval()
        self._since = time.perf_counter()

    def begin_step(self, step: int) -> None:
        """Tell that a step begins, by its number, from 1."""
        if self._profiler is not None:
            self._profiler.before(step)

    def batch(self, losses: Mapping[str, Tensor]) -> None:
        """Record the losses of a batch: by name, detached scalars, the total among them."""
        if self.runtime.is_main:
            self._batches += 1
            for name, loss in losses.items():
                self._sums[name] = self._sums.get(name, 0.0) + loss

    def gradients(self, step: int, module: nn.Module, gradients: Iterable[tuple[str, Tensor]]) -> None:
        """Look at the gradients of a step now and then; they are not asked for otherwise.

        Args:
            step: its number, from 1.
            module: the training module.
            gradients: name and gradient of each parameter, unscaled.
        """
        writer = None if self._trackers is None else self._trackers.writer
        every = self.config.gradients_every_steps
        if writer is not None and every and (step % every == 0 or step == 1):
            write_gradient_histograms(writer, module, gradients, step)

    def step(self, report: StepReport, clock: StepTimer) -> None:
        """Record one training step; a collective where a point of the curves is due.

        Args:
            report: what became of it.
            clock: asked now and then where the time went.
        """
        due = report.step % self.config.every_steps == 0 or report.step == self.watched.total_steps
        # On every process, or the others would hold a GPU's events for ever.
        spent = gather_spent(clock.take(), self.runtime) if due else None
        self._last_step = report.step
        self.watch.step_done(report.step)
        if self._bar is None:
            return
        self._steps += 1
        self._skipped += not report.applied
        if math.isfinite(report.gradient_norm):
            self._norms.append(report.gradient_norm)
        self._bar.move(report.step)
        if spent is not None:
            self._point(report, spent, self._bar)
        if self._profiler is not None and (trace := self._profiler.after(report.step)) is not None:
            self._bar.print(f"profile: {trace}, and a table beside it")

    def validation(self, step: int, validation: Validation, best: float, seconds: float, shard_set: ShardSet) -> None:
        """Record a validation; its time, and that of its pictures, does not count as training time.

        Args:
            step: steps done.
            validation: its metrics and utterances.
            best: the selection metric of the best validation so far, this one included.
            seconds: how long it took.
            shard_set: of its utterances.

        Raises:
            AccentError: the projector's files cannot be written.
        """
        if self._bar is None:
            return
        began = time.perf_counter()
        metrics, selection = validation.metrics, self.watched.selection
        shown = "  ".join(f"{name} {value:.3f}" for name, value in metrics.items())
        is_best = selection is not None and metrics[selection] == best
        line = f"step {step}/{self.watched.total_steps}  validation  {shown}"
        self._bar.print(f"{line}{'  (best so far)' if is_best else ''}")
        if self._trackers is not None:
            curves = {validation_curve(name): value for name, value in metrics.items()}
            self._trackers.log("validation", {**curves, "accuracy/validation_best": best}, step)
            writer, utterances = self._trackers.writer, validation.utterances
            if writer is not None and utterances is not None and self.config.pictures:
                write_validation(writer, Path(writer.get_logdir()), utterances, shard_set, step)
        self._since += seconds + time.perf_counter() - began

    def note(self, line: str) -> None:
        """Print a line beside the bar."""
        if self._bar is not None:
            self._bar.print(line)

    def flush(self) -> None:
        """Bring the curves to the disk.

        Raises:
            AccentError: the disk refuses.
        """
        if self._trackers is not None:
            self._trackers.flush()

    def close(self) -> None:
        """End the bar, the curves and what is recorded of a profile; safe to call twice."""
        if self._bar is not None:
            self._bar.close()
        if self._trackers is not None:
            if self._trackers.writer is not None and self._last_step >= self.watched.total_steps:
                write_end(self._trackers.writer)
            self._trackers.close()
            self._trackers = None
        if self._profiler is not None:
            self._profiler.stop(self._last_step)
            self._profiler = None

    def _open(self, run: Path) -> None:
        config, watched = self.config, self.watched
        settings = flatten(watched.configuration)
        self._trackers = Trackers(config.trackers, run, watched.first_step, flat_settings(settings), self.note)
        writer = self._trackers.writer
        if writer is not None:
            # What a resumed run may change is no hyperparameter: it does not decide what is learned.
            fixed = flat_settings({key: value for key, value in settings.items() if not is_resumable(key)})
            write_hyperparameters(writer, fixed)
            write_texts(writer, watched.configuration, watched.start, watched.first_step)
        if config.profile is not None:
            self._profiler = Profiler(config.profile, run)

    def _begin_interval(self) -> None:
        self._sums: dict[str, Tensor | float] = {}
        self._norms: list[float] = []
        self._steps, self._batches, self._skipped = 0, 0, 0

    def _point(self, report: StepReport, spent: Spent, bar: ProgressBar) -> None:
        losses = {name: float(total) / self._batches for name, total in self._sums.items()}
        now = time.perf_counter()
        seconds = max(now - self._since, 1e-9)
        speed = self._steps * self.watched.rows / seconds
        if (line := self._spikes.look(report.step, losses["total"], now)) is not None:
            self.note(line)
        curves = self._curves(report, losses, spent, seconds)
        self.watch.point(spent, self._steps, seconds, losses["total"], curves["speed/data_wait_share"])
        if self._trackers is not None:
            self._trackers.log("training", curves, report.step)
        text = f"loss {losses['total']:.4f}  {speed:.1f} utterances/s"
        if self._skipped:
            text += f"  {self._skipped} of {self._steps} steps not finite, left out"
        bar.tell(report.step, text, at_once=bool(self._skipped))
        self._begin_interval()
        self._since = now

    def _curves(
        self, report: StepReport, losses: Mapping[str, float], spent: Spent, seconds: float
    ) -> dict[str, float]:
        curves = {training_curve(name): value for name, value in losses.items()}
        curves |= spent_curves(spent, self._steps)
        waited = curves.get("time/data_wait_ms", 0.0) / 1000 * self._steps
        if self._norms:
            curves["optimizer/gradient_norm"] = sum(self._norms) / len(self._norms)
        curves["optimizer/lr"] = report.lr
        curves["optimizer/skipped_steps"] = float(self._skipped)
        curves["optimizer/loss_spikes"] = float(self._spikes.count)
        curves["optimizer/loss_scale"] = report.loss_scale
        curves["progress/epoch"] = report.step / self.watched.steps_per_epoch
        curves["speed/utterances_per_second"] = self._steps * self.watched.rows / seconds
        curves["speed/data_wait_share"] = min(1.0, waited / seconds)
        weights = zip(self.watched.families, report.fusion_weights_F.tolist(), strict=True)
        return curves | {f"weights/fusion_{family}": weight for family, weight in weights}
