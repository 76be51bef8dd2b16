"""The training loop: one step is one global batch (or several, accumulated), one update; validate; save.

The state of a run is the module, the optimizer and the number of steps done.  Batches, learning rate and random numbers
are functions of that number, so a run that was stopped anywhere and goes on has the same weights, bit for bit, on the
same processes and machine.

A loss or a gradient that is not finite on any process is applied on none.  Then the run stops, and the last checkpoint
is good; or, with `not_finite=skip`, it goes on with the next batch, and the curve `train/skipped_steps` counts.  fp16
overflows now and then by design: its scale is lowered and the run goes on.

Shape legend: F families.
"""

import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple, NoReturn

import torch
from safetensors import SafetensorError

from accent.errors import AccentError
from accent.features.config import FeatureConfig
from accent.inference.embedder import save_model
from accent.keyed_random import step_seed
from accent.losses.objective import AccentObjective
from accent.model.encoder import EnhancedAccentEncoder
from launch.extraction.speaker_statistics import voices_for
from launch.run_config import CheckpointConfig, MonitorConfig, OptimizerConfig
from launch.runtime.agreement import AllRanksError, Runtime, raise_on_all_ranks
from launch.runtime.signals import Interrupted, StopRequest, clear_preempted, mark_preempted
from launch.training.checkpoint import Checkpoints, Progress
from launch.training.engines.data_parallel import DataParallelEngine
from launch.training.engines.engine import Engine
from launch.training.engines.zero import ZeroEngine
from launch.training.module import TrainingModule
from launch.training.monitor import Monitor, StepReport
from launch.training.optimizer import learning_rate
from launch.training.step_timer import StepTimer
from launch.training.validation import SELECTION, StoppedWhileValidating, validate
from shards.loading.batch import Batch
from shards.loading.protocol import EvaluationBatches, TrainingBatches

MOST_SKIPPED_IN_A_ROW = 100
"""Steps left out after which the fault lies deeper: fp16's scale has nothing left to halve."""
COLLAPSED = 1e-3
"""Mean squared distance of unit-length embeddings from their mean below which they tell nothing apart."""


@dataclass(frozen=True)
class LoopConfig:
    """What the loop itself needs to know."""

    seed: int
    """Seed of dropout."""
    total_steps: int
    """Optimizer steps in the whole run."""
    validate_every_steps: int
    """Steps between validations."""
    optimizer: OptimizerConfig
    """AdamW and its learning rate."""
    checkpoints: CheckpointConfig
    """When the state is saved."""
    monitor: MonitorConfig
    """What is shown."""
    gradient_accumulation_steps: int = 1
    """Batches whose gradients make one step."""
    chunk_rows: int | None = None
    """Rows encoded at a time; None for all."""
    compiled: bool = False
    """Encode through torch.compile."""
    not_finite: Literal["stop", "skip"] = "stop"
    """What a loss or gradient that is not finite does to the run."""


class Trainer:
    """One run at work.

    Args:
        encoder: trained in place; its normalisation and accents are set.
        objective: the losses.
        train_loader: this process's share of every global batch.
        val_loader: whole utterances of unseen speakers; None validates nothing and exports the last weights.
        config: lengths, rates, intervals.
        runtime: the processes.
        run: the run's folder; None writes nothing to disk.
        feature_config: how the features were made; stored with the exported model.
        identity: what must be equal for a run to go on.
    """

    def __init__(
        self,
        encoder: EnhancedAccentEncoder,
        objective: AccentObjective,
        train_loader: TrainingBatches,
        val_loader: EvaluationBatches | None,
        config: LoopConfig,
        runtime: Runtime,
        run: Path | None,
        feature_config: FeatureConfig,
        identity: dict[str, object],
    ) -> None:
        self.encoder, self.train_loader, self.val_loader = encoder, train_loader, val_loader
        self.config, self.runtime, self.run_folder = config, runtime, run
        self.feature_config = feature_config
        self.clock = StepTimer(runtime.device)
        voices = voices_for(encoder, train_loader.shard_set, runtime.device)
        module = TrainingModule(
            encoder, objective, voices, config.chunk_rows, config.compiled, runtime.precision, self.clock
        )
        self.engine: Engine
        if runtime.zero_stage:
            rows = train_loader.global_batch // runtime.world_size
            self.engine = ZeroEngine(
                module, config.optimizer, runtime, config.gradient_accumulation_steps, self.clock, rows
            )
        else:
            self.engine = DataParallelEngine(
                module, config.optimizer, runtime, config.gradient_accumulation_steps, self.clock
            )
        self.progress = Progress()
        self.checkpoints = (
            None if run is None else Checkpoints(run / "checkpoints", config.checkpoints.keep_last, identity, runtime)
        )
        self._skipped_in_a_row = 0

    def run(self, resume: bool) -> Progress:
        """Train to the last step.

        Args:
            resume: go on from the newest checkpoint of the run folder, if there is one.

        Returns:
            How far the run is: at its last step.

        Raises:
            AccentError: a checkpoint of another run, a loss that is not finite, a disk that refuses.
            Interrupted: a signal came; the state was saved at the end of the step.
        """
        resumed = self._resume() if resume else False
        with raise_on_all_ranks(self.runtime):
            if self.run_folder is not None and self.runtime.is_main:
                clear_preempted(self.run_folder)
            monitor = self._monitor()
        if resumed:
            monitor.note(f"going on from step {self.progress.step} of {self.config.total_steps}")
        try:
            with StopRequest() as stop:
                self._train(monitor, stop)
        finally:
            if self.checkpoints is not None:
                self.checkpoints.close()
            monitor.close()
        return self.progress

    def _resume(self) -> bool:
        newest = None if self.checkpoints is None else self.checkpoints.newest()
        if newest is None or self.checkpoints is None:
            return False
        self.progress = self.checkpoints.load(newest, self.engine)
        return True

    def _train(self, monitor: Monitor, stop: StopRequest) -> None:
        first, last, gradient_accumulation_steps = (
            self.progress.step,
            self.config.total_steps,
            self.config.gradient_accumulation_steps,
        )
        if first > 0 and self._validation_is_due() and self.progress.validated_step < first:
            # The run was stopped between a step and its validation.
            self._validate(monitor, stop)
            self._save(monitor)
        self.engine.module.train()
        batches = self.train_loader.steps(first * gradient_accumulation_steps, last * gradient_accumulation_steps)
        fetched = _fetch(batches)
        with raise_on_all_ranks(self.runtime):
            if fetched.fault is not None:
                raise fetched.fault
        if fetched.batch is not None:
            self.engine.warm_up(fetched.batch.to(self.runtime.device))
        self.clock.take()
        for step in range(first, last):
            fetched, agreed = self._step(step, fetched, batches, monitor, stop)
            self.progress.step = step + 1
            if agreed.fault:
                self._save(monitor)
                self._finish_saving()
                with raise_on_all_ranks(self.runtime):
                    if fetched.fault is not None:
                        raise fetched.fault
            if agreed.signal_number:
                self._leave(agreed.signal_number, monitor)
            validated = self._validation_is_due()
            if validated:
                self._validate(monitor, stop)
            if validated or self.progress.step % self.config.checkpoints.every_steps == 0:
                self._save(monitor)
        self._finish_saving()

    def _step(
        self, step: int, fetched: "_Fetched", batches: Iterator[Batch], monitor: Monitor, stop: StopRequest
    ) -> tuple["_Fetched", "_Agreed"]:
        """Do one optimizer step, its first batch fetched; return the next batch and what the processes agree on."""
        runtime, config = self.runtime, self.config
        for part in range(config.gradient_accumulation_steps):
            if part:
                self._stop_within_a_step(fetched.fault, monitor)
            if fetched.batch is None:
                raise RuntimeError(f"the training loader ended before step {step}")
            batch = fetched.batch.to(runtime.device, non_blocking=True)
            torch.manual_seed(step_seed(config.seed, step * config.gradient_accumulation_steps + part, runtime.rank))
            output = self.engine.accumulate(batch, last=part == config.gradient_accumulation_steps - 1)
            monitor.batch(output.losses)
            # Fetched now, while a GPU is still busy, and so that a process that cannot read tells it in this step's
            # agreement instead of leaving the others waiting in the next step.
            fetched = _fetch(batches)
            self.clock.add("data_wait", fetched.waited_seconds)
        agreed = self._agree(output.loss, stop, fetched.fault is not None)
        if agreed.bad_loss and config.not_finite == "stop" and not self.engine.loss_scale.dynamic:
            raise self._not_finite(step, "the loss")
        lr = learning_rate(step, config.total_steps, config.optimizer)
        scale = self.engine.loss_scale.value
        stepped = self.engine.step(lr)
        if stepped.applied:
            self._skipped_in_a_row = 0
        elif config.not_finite == "stop" and not self.engine.loss_scale.dynamic:
            raise self._not_finite(step, "the gradient")
        else:
            self._skipped(step)
        monitor.step(
            StepReport(step + 1, lr, stepped.gradient_norm, stepped.applied, scale, output.fusion_weights_F),
            self.clock,
        )
        return fetched, agreed

    def _stop_within_a_step(self, fault: AccentError | None, monitor: Monitor) -> None:
        """Raise on all processes if some of them cannot read a batch that is not the first of its step."""
        if self.runtime.all_reduce_max(float(fault is not None))[0]:
            if self.progress.step:
                self._save(monitor)
                self._finish_saving()
            with raise_on_all_ranks(self.runtime):
                if fault is not None:
                    raise fault

    def _agree(self, loss: torch.Tensor, stop: StopRequest, fault: bool) -> "_Agreed":
        """Bring all processes to one mind before the optimizer steps: is all well, does anyone have to stop?"""
        fault = fault or (self.checkpoints is not None and self.checkpoints.failed())
        worst = self.runtime.all_reduce_max(~torch.isfinite(loss.detach()), float(stop.number), float(fault))
        return _Agreed(bool(worst[0]), int(worst[1]), bool(worst[2]))

    def _not_finite(self, step: int, what: str) -> AllRanksError:
        return AllRanksError(
            f"step {step + 1}: {what} is not finite, nothing was updated and earlier checkpoints are good; "
            "try a lower optimizer.lr, a longer optimizer.warmup_steps or mixed_precision=no, or leave such steps out "
            "with not_finite=skip"
        )

    def _skipped(self, step: int) -> None:
        self._skipped_in_a_row += 1
        if self._skipped_in_a_row >= MOST_SKIPPED_IN_A_ROW:
            raise AllRanksError(
                f"step {step + 1}: the gradient was not finite in {self._skipped_in_a_row} steps in a row; "
                "try mixed_precision=bf16 or no, or a lower optimizer.lr"
            )

    def _validation_is_due(self) -> bool:
        step = self.progress.step
        return step % self.config.validate_every_steps == 0 or step == self.config.total_steps

    def _validate(self, monitor: Monitor, stop: StopRequest) -> None:
        began = time.perf_counter()
        progress = self.progress
        best, metrics = True, dict[str, float]()
        if self.val_loader is not None:
            try:
                metrics = validate(
                    self.encoder, self.val_loader, list(self.encoder.config.accents), self.runtime, lambda: stop.number
                )
            except StoppedWhileValidating as stopped:
                # A scheduler kills half a minute after its signal; the next start makes up for this validation.
                self._leave(stopped.number, monitor)
            # Of equal ones the later is kept: it has trained longer.
            best = progress.best is None or metrics[SELECTION] >= progress.best
            if best:
                progress.best, progress.best_step = metrics[SELECTION], progress.step
            progress.history.append({"step": float(progress.step), **metrics})
        progress.validated_step = progress.step
        if best:
            self._export()
        if metrics:
            monitor.validation(progress.step, metrics, best, time.perf_counter() - began)
            if metrics["spread"] < COLLAPSED:
                monitor.note("warning: the embeddings have collapsed into one point; try a lower optimizer.lr")

    def _export(self) -> None:
        if self.run_folder is None:
            return
        with raise_on_all_ranks(self.runtime), self.engine.whole_weights():
            if self.runtime.is_main:
                folder = self.run_folder / "model"
                try:
                    save_model(self.encoder, folder, self.feature_config)
                except (OSError, SafetensorError) as error:
                    raise AccentError(f"{folder}: cannot be written ({error}); see to the disk") from error

    def _save(self, monitor: Monitor) -> None:
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
            kept = f"{self.run_folder} is saved; start it again to go on"
        raise Interrupted(signal_number, f"stopped by {name} after step {self.progress.step}: {kept}")

    def _monitor(self) -> Monitor:
        return Monitor(
            None if self.run_folder is None else self.run_folder / "tensorboard",
            self.config.monitor,
            self.encoder.config.ordered_families,
            self.progress.step,
            self.config.total_steps,
            self.train_loader.global_batch * self.config.gradient_accumulation_steps,
            self.runtime.is_main,
        )


class _Fetched(NamedTuple):
    """A batch, or why there is none."""

    batch: Batch | None
    waited_seconds: float
    fault: AccentError | None


class _Agreed(NamedTuple):
    """What the processes know together after a backward pass."""

    bad_loss: bool
    """The loss of some process is not finite."""
    signal_number: int
    """A signal that some process has received, or 0."""
    fault: bool
    """Some process cannot read its next batch, or could not write a checkpoint."""


def _fetch(batches: Iterator[Batch]) -> _Fetched:
    began = time.perf_counter()
    try:
        batch, fault = next(batches, None), None
    except AccentError as error:
        batch, fault = None, error
    return _Fetched(batch, time.perf_counter() - began, fault)
