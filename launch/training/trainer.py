"""The training loop: one step is one global batch (or several, accumulated), one update; validate; save.

The state of a run is the module, the optimizer and the number of steps done.  Batches, learning rate and random
numbers are functions of that number, so a run that was stopped anywhere and resumed has the same weights, bit for bit,
on the same processes and machine.

A loss or a gradient that is not finite on any process is applied on none, and the batch that did it is kept
(`launch.training.health.not_finite`).  Then the run stops, and the last checkpoint is good; or, with `not_finite=skip`,
it continues with the next batch, and the curve `optimizer/skipped_steps` counts.  fp16 overflows now and then by
design: its scale is lowered and the run continues.

Shape legend: F families.
"""

import signal
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

from safetensors import SafetensorError

from accent.errors import AccentError
from accent.features.config import FeatureConfig
from accent.inference.model_file import save_model
from launch.run_config import TrainingConfig
from launch.runtime.agreement import Runtime, raise_on_all_ranks
from launch.runtime.signals import Interrupted, StopRequest, clear_preempted, mark_preempted
from launch.training.agreed import Agreement
from launch.training.checkpoint import Checkpoints
from launch.training.engines.data_parallel import DataParallelEngine
from launch.training.engines.engine import Engine
from launch.training.engines.zero import ZeroEngine
from launch.training.fetch import Fetched, fetch
from launch.training.health.not_finite import NotFinite
from launch.training.monitoring.monitor import Monitor, StepReport, Watched
from launch.training.optimizer import learning_rate
from launch.training.resume_notes import resume_notes
from launch.training.saved_state import Progress
from launch.training.tasks.task import Position, Task
from launch.training.validation import SELECTION, StoppedWhileValidating, Validation
from shards.loading.batch import Batch
from shards.loading.protocol import EvaluationBatches, TrainingBatches

COLLAPSED = 1e-3
"""Mean squared distance of unit-length embeddings from their mean below which they tell nothing apart."""


class Trainer:
    """One run at work.

    Args:
        task: what is learned; its encoder is trained in place.
        train_loader: this process's share of every global batch.
        val_loader: whole utterances of unseen speakers; None validates nothing and exports the last weights.
        training: how to train.
        runtime: the processes.
        run: the run's folder; None writes nothing to disk.
        feature_config: how the features were made; stored with the exported model.
        identity: what must be equal for a run to be resumed.
        configuration: what the trackers are told of how it is trained.
        start: the lines that this start prints.
    """

    def __init__(
        self,
        task: Task,
        train_loader: TrainingBatches,
        val_loader: EvaluationBatches | None,
        training: TrainingConfig,
        runtime: Runtime,
        run: Path | None,
        feature_config: FeatureConfig,
        identity: dict[str, object],
        configuration: Mapping[str, Any],
        start: Sequence[str],
    ) -> None:
        self.task, self.train_loader, self.val_loader = task, train_loader, val_loader
        self.training, self.runtime, self.run_folder = training, runtime, run
        self.feature_config, self.configuration, self.start = feature_config, configuration, start
        self.steps_per_epoch = max(1, round(train_loader.steps_per_epoch / training.gradient_accumulation_steps))
        self.total_steps = training.epochs * self.steps_per_epoch
        self.validate_every_steps = training.validate_every_epochs * self.steps_per_epoch
        self.clock = task.clock
        self.engine: Engine
        if runtime.zero_stage:
            rows = train_loader.global_batch // runtime.world_size
            self.engine = ZeroEngine(task.module, training, runtime, self.clock, rows)
        else:
            self.engine = DataParallelEngine(task.module, training, runtime, self.clock)
        self.progress = Progress()
        keep, folder = training.checkpoints, None if run is None else run / "checkpoints"
        self.checkpoints = (
            None
            if folder is None
            else Checkpoints(folder, keep.keep_last, identity, runtime, keep.keep_best, task.selection)
        )
        self._agree = Agreement(self.engine.module, self.checkpoints, training, runtime)
        self._save_is_due = False
        # fp16 overflows by design, until its scale fits.
        self._expects_overflow = self.engine.loss_scale.dynamic
        stops = training.not_finite == "stop" and not self._expects_overflow
        embeds = task.selection == SELECTION and runtime.zero_stage < 3
        self._not_finite = NotFinite(run, train_loader, task.encoder if embeds else None, stops, runtime)

    def run(self, resume: bool) -> Progress:
        """Train to the last step.

        Args:
            resume: continue from the newest checkpoint of the run folder, if there is one.

        Returns:
            How far the run is: at its last step.

        Raises:
            AccentError: a checkpoint of another run, a loss that is not finite, a disk that refuses.
            Interrupted: a signal came; the state was saved at the end of the step.
        """
        notes = self._resume() if resume else []
        with raise_on_all_ranks(self.runtime):
            if self.run_folder is not None and self.runtime.is_main:
                clear_preempted(self.run_folder)
            monitor = self._monitor()
        for line in notes:
            monitor.note(line)
        try:
            with StopRequest() as stop, monitor.watch:
                batches, fetched = self._begin(monitor, stop)
                while self.progress.step < self.total_steps:
                    fetched = self._step(fetched, batches, monitor, stop)
                    self._after_step(monitor, stop)
                self._finish_saving()
        finally:
            if self.checkpoints is not None:
                self.checkpoints.close()
            monitor.close()
        return self.progress

    def _resume(self) -> list[str]:
        resumed = None if self.checkpoints is None else self.checkpoints.resume(self.engine)
        if resumed is None:
            return []
        self.progress, notes = resumed
        return [*notes, *resume_notes(self.progress, self.total_steps, self.training, self.runtime)]

    def _begin(self, monitor: Monitor, stop: StopRequest) -> tuple[Iterator[Batch], Fetched]:
        """Do what comes before the first step after a start; return the batches and the first of them."""
        first = self.progress.step
        if first > 0 and self._validation_is_due() and self.progress.validated_step < first:
            # The run was stopped between a step and its validation.
            self._validate(monitor, stop)
            self._save(monitor)
        self.engine.module.train()
        batches_per_step = self.training.gradient_accumulation_steps
        batches = self.train_loader.steps(first * batches_per_step, self.total_steps * batches_per_step)
        fetched = fetch(batches)
        with raise_on_all_ranks(self.runtime):
            if fetched.fault is not None:
                raise fetched.fault
        if fetched.batch is not None:
            self.engine.warm_up(fetched.batch.to(self.runtime.device))
        self.clock.take()
        return batches, fetched

    def _step(self, fetched: Fetched, batches: Iterator[Batch], monitor: Monitor, stop: StopRequest) -> Fetched:
        """Do one optimizer step, its first batch fetched; return the next batch.

        Raises:
            AllRanksError: a loss or gradient that is not finite, a batch that some process cannot read, a checkpoint
                that it could not write.
            Interrupted: a signal came to some process.
        """
        runtime, training, step = self.runtime, self.training, self.progress.step
        monitor.begin_step(step + 1)
        for part in range(training.gradient_accumulation_steps):
            if part:
                self._stop_within_a_step(fetched.fault, monitor)
            if fetched.batch is None:
                raise RuntimeError(f"the training loader ended before step {step}")
            batch = fetched.batch.to(runtime.device, non_blocking=True)
            batch = self.task.prepare(batch, self._position(part))
            output = self.engine.accumulate(batch, last=part == training.gradient_accumulation_steps - 1)
            self._not_finite.keep(self._position(part).batch, batch, output.loss)
            monitor.batch(output.losses)
            # Fetched now, while a GPU is still busy, and so that a process that cannot read tells it in this step's
            # agreement instead of leaving the others waiting in the next step.
            fetched = fetch(batches)
            self.clock.add("data_wait", fetched.waited_seconds)
        agreed = self._agree(step, output.loss, stop.number, fetched.fault is not None)
        self._save_is_due = agreed.save
        if agreed.bad_loss:
            self._not_finite.found(step + 1, "the loss", monitor.note)
        monitor.gradients(step + 1, self.engine.module, self.engine.gradients())
        lr = learning_rate(step, self.total_steps, training.optimizer)
        scale = self.engine.loss_scale.value
        result = self.engine.step(lr)
        if not (result.applied or agreed.bad_loss or self._expects_overflow):
            self._not_finite.found(step + 1, "the gradient", monitor.note)
        self._not_finite.step_done(step + 1, result.applied)
        monitor.step(
            StepReport(step + 1, lr, result.gradient_norm, result.applied, scale, output.fusion_weights_F), self.clock
        )
        self.progress.step = step + 1
        if agreed.fault:
            self._save(monitor)
            self._finish_saving()
            with raise_on_all_ranks(runtime):
                if fetched.fault is not None:
                    raise fetched.fault
        if agreed.signal_number:
            self._leave(agreed.signal_number, monitor)
        return fetched

    def _position(self, part: int) -> Position:
        """Return where the run is at one of the batches of the next step."""
        step = self.progress.step
        return Position(step * self.training.gradient_accumulation_steps + part, step / self.total_steps)

    def _after_step(self, monitor: Monitor, stop: StopRequest) -> None:
        validates = self._validation_is_due()
        if validates or self._save_is_due or self.progress.step % self.training.checkpoints.every_steps == 0:
            with monitor.watch.resting():
                if validates:
                    self._validate(monitor, stop)
                self._save(monitor)

    def _stop_within_a_step(self, fault: AccentError | None, monitor: Monitor) -> None:
        """Raise on all processes if some of them cannot read a batch that is not the first of its step."""
        if self.runtime.all_reduce_max(float(fault is not None))[0]:
            if self.progress.step:
                self._save(monitor)
                self._finish_saving()
            with raise_on_all_ranks(self.runtime):
                if fault is not None:
                    raise fault

    def _validation_is_due(self) -> bool:
        step = self.progress.step
        return step % self.validate_every_steps == 0 or step == self.total_steps

    def _validate(self, monitor: Monitor, stop: StopRequest) -> None:
        began = time.perf_counter()
        progress = self.progress
        best, validation = True, Validation({})

        def signal_number() -> int:
            monitor.watch.alive()
            return stop.number

        if self.val_loader is not None:
            try:
                validation = self.task.validate(self.val_loader, self.runtime, signal_number)
            except StoppedWhileValidating as stopped:
                # A scheduler kills half a minute after its signal; the next start makes up for this validation.
                self._leave(stopped.number, monitor)
            # Of equal ones the later is kept: it has trained longer.
            chosen_by = validation.metrics[self.task.selection]
            best = progress.best is None or chosen_by >= progress.best
            if best:
                progress.best, progress.best_step = chosen_by, progress.step
            progress.history.append({"step": float(progress.step), **validation.metrics})
        progress.validated_step = progress.step
        if best or self.training.checkpoints.export == "last":
            self._export()
        if self.val_loader is not None and progress.best is not None:
            with raise_on_all_ranks(self.runtime):
                seconds = time.perf_counter() - began
                monitor.validation(progress.step, validation, progress.best, seconds, self.val_loader.shard_set)
            if validation.metrics.get("spread", 1.0) < COLLAPSED:
                monitor.note("warning: the embeddings have collapsed into one point; try a lower optimizer.lr")

    def _export(self) -> None:
        if self.run_folder is None:
            return
        with raise_on_all_ranks(self.runtime), self.engine.whole_weights():
            if self.runtime.is_main:
                folder = self.run_folder / "model"
                try:
                    save_model(self.task.encoder, folder, self.feature_config)
                except (OSError, SafetensorError) as error:
                    raise AccentError(
                        f"{folder}: cannot be written ({error}); check free space and permissions"
                    ) from error

    def _save(self, monitor: Monitor) -> None:
        self.progress.total_steps, self.progress.precision = self.total_steps, self.runtime.precision_name
        if self.checkpoints is not None:
            self.checkpoints.save(self.engine, self.progress)
        with raise_on_all_ranks(self.runtime):
            monitor.flush()

    def _finish_saving(self) -> None:
        if self.checkpoints is not None:
            self.checkpoints.wait()

    def _leave(self, signal_number: int, monitor: Monitor) -> NoReturn:
        self._save(monitor)
        self._finish_saving()
        name = "Ctrl-C" if signal_number == signal.SIGINT else signal.Signals(signal_number).name
        kept = "nothing is on disk, the model in memory is trained so far"
        if self.run_folder is not None:
            with raise_on_all_ranks(self.runtime):
                if self.runtime.is_main and signal_number == signal.SIGTERM:
                    mark_preempted(self.run_folder, self.progress.step)
            kept = f"{self.run_folder} is saved; rerun the same command to resume"
        raise Interrupted(signal_number, f"stopped by {name} after step {self.progress.step}: {kept}")

    def _monitor(self) -> Monitor:
        watched = Watched(
            self.task.fusion_names,
            self.progress.step,
            self.total_steps,
            self.steps_per_epoch,
            self.train_loader.global_batch * self.training.gradient_accumulation_steps,
            None if self.val_loader is None else self.task.selection,
            self.configuration,
            self.start,
        )
        return Monitor(self.run_folder, self.training.monitor, watched, self.runtime)
