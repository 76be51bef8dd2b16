"""The training loop: one forward of the wrapped module a step, one backward, one optimizer step; validate; save.

The state of a run is the module, the optimizer and the number of steps done.  Batches, learning rate and random numbers
are functions of that number, so a run that was stopped anywhere and goes on has the same weights, bit for bit, on the
same processes and machine.

A loss or a gradient that is not finite on any process stops the run before the optimizer has stepped: the last
checkpoint is good.  Only fp16 may overflow in its gradients: its scaler skips the step and lowers the scale, and the
curve `train/fp16_overflows` counts them.

Shape legend: F families.
"""

import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from accelerate import Accelerator
from torch import nn

from accent.embedder import save_model
from accent.errors import AccentError
from accent.features.config import FeatureConfig
from accent.losses.objective import AccentObjective
from accent.model.encoder import EnhancedAccentEncoder
from accent.model.normalisation import VoiceStatistics
from launch.checkpoint import Checkpoints, Progress
from launch.configuration import CheckpointConfig, MonitorConfig, OptimizerConfig
from launch.monitor import Monitor
from launch.normalisation import voices_for
from launch.runtime import EveryRankError, Interrupted, StopRequest, together
from launch.schedule import learning_rate, parameter_groups
from launch.validation import SELECTION, validate
from shards.batch import Batch
from shards.loader import EvaluationLoader, TrainingLoader

MOST_OVERFLOWS_IN_A_ROW = 100
"""fp16's scaler halves its scale at each; after so many it has nothing left to halve, and the fault lies elsewhere."""
COLLAPSED = 1e-3
"""Mean squared distance of unit-length embeddings from their mean below which they tell nothing apart."""


class TrainingModule(nn.Module):
    """Encoder and objective in one module, so that one wrapped forward holds every parameter, the temperature too.

    Args:
        encoder: the encoder.
        objective: the losses.
        voices: every speaker's voice, rows as `Batch.speaker_B` counts, on the batches' device; None if the encoder
            reads none.
    """

    def __init__(
        self, encoder: EnhancedAccentEncoder, objective: AccentObjective, voices: VoiceStatistics | None = None
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.objective = objective
        # No buffer: it is no part of the module's state, and DDP would broadcast it at every step.
        self._voices = voices

    def forward(self, batch: Batch) -> tuple[torch.Tensor, dict[str, torch.Tensor], torch.Tensor]:
        """Return the loss to go backward from, the detached losses by name, and the fusion weights [F]."""
        voices = None if self._voices is None else self._voices.rows(batch.speaker_B)
        output = self.encoder(batch.frames_BTD, batch.valid_BT, voices)
        total, losses = self.objective(output, batch.accent_B, batch.speaker_B, batch.prompt_B, batch.row_valid_B)
        return total, losses, output.fusion_weights_F.detach()


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


class Loop:
    """One run at work.

    Args:
        encoder: trained in place; its normalisation and accents are set.
        objective: the losses.
        train_loader: this process's share of every global batch.
        val_loader: whole utterances of unseen speakers; None validates nothing and exports the last weights.
        config: lengths, rates, intervals.
        accelerator: the processes.
        run: the run's folder; None writes nothing to disk.
        feature_config: how the features were made; stored with the exported model.
        identity: what must be equal for a run to go on.
    """

    def __init__(
        self,
        encoder: EnhancedAccentEncoder,
        objective: AccentObjective,
        train_loader: TrainingLoader,
        val_loader: EvaluationLoader | None,
        config: LoopConfig,
        accelerator: Accelerator,
        run: Path | None,
        feature_config: FeatureConfig,
        identity: dict[str, object],
    ) -> None:
        self.encoder, self.train_loader, self.val_loader = encoder, train_loader, val_loader
        self.config, self.accelerator, self.run_folder = config, accelerator, run
        self.feature_config = feature_config
        # Kept beside its wrapper: Accelerate's own unwrapping would import all of DeepSpeed (seconds) to look for it.
        voices = voices_for(encoder, train_loader.shard_set, accelerator.device)
        self.bare_module = TrainingModule(encoder, objective, voices)
        optimizer = torch.optim.AdamW(
            parameter_groups([self.bare_module], config.optimizer.weight_decay),
            lr=config.optimizer.lr,
            betas=(config.optimizer.betas[0], config.optimizer.betas[1]),
            eps=config.optimizer.epsilon,
        )
        self.module, self.optimizer = accelerator.prepare(self.bare_module, optimizer)
        self.progress = Progress()
        self.checkpoints = (
            None
            if run is None
            else Checkpoints(run / "checkpoints", config.checkpoints.keep_last, identity, accelerator)
        )
        self._overflows_in_a_row = 0

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
        monitor = self._monitor()
        if resumed:
            monitor.note(f"going on from step {self.progress.step} of {self.config.total_steps}")
        try:
            with StopRequest() as stop:
                self._train(monitor, stop)
        finally:
            monitor.close()
        return self.progress

    def _resume(self) -> bool:
        newest = None if self.checkpoints is None else self.checkpoints.newest()
        if newest is None or self.checkpoints is None:
            return False
        self.progress = self.checkpoints.load(newest, self.bare_module, self.optimizer)
        return True

    def _train(self, monitor: Monitor, stop: StopRequest) -> None:
        first, last = self.progress.step, self.config.total_steps
        if first > 0 and self._validation_is_due() and self.progress.validated_step < first:
            # The run was stopped between a step and its validation.
            self._validate(monitor)
            self._save(monitor)
        self.module.train()
        batches = self.train_loader.steps(first, last)
        fetched = _fetch(batches)
        with together(self.accelerator):
            if fetched.fault is not None:
                raise fetched.fault
        if fetched.batch is not None and self.accelerator.num_processes > 1:
            self._settle(fetched.batch)
        for step in range(first, last):
            fetched, agreed = self._step(step, fetched, batches, monitor, stop)
            self.progress.step = step + 1
            if agreed.fault:
                self._save(monitor)
                with together(self.accelerator):
                    if fetched.fault is not None:
                        raise fetched.fault
            if agreed.signal_number:
                self._leave(agreed.signal_number, monitor)
            validated = self._validation_is_due()
            if validated:
                self._validate(monitor)
            if validated or self.progress.step % self.config.checkpoints.every_steps == 0:
                self._save(monitor)

    def _settle(self, batch: Batch) -> None:
        """Run one pass for nothing, after which DDP lays its buckets of gradients out for good.

        Where a gradient lies in a bucket decides in which order three processes or more add it up.  Without this pass
        the first step after a resume would add in another order than the same step of an uninterrupted run.
        """
        loss, _, _ = self.module(batch.to(self.accelerator.device))
        self.accelerator.backward(loss)
        self.optimizer.zero_grad(set_to_none=True)

    def _step(
        self, step: int, fetched: "_Fetched", batches: Iterator[Batch], monitor: Monitor, stop: StopRequest
    ) -> tuple["_Fetched", "_Agreed"]:
        """Do one optimizer step on the batch fetched; return the next batch and what the processes agree on."""
        accelerator, config = self.accelerator, self.config
        if fetched.batch is None:
            raise RuntimeError(f"the training loader ended before step {step}")
        batch = fetched.batch.to(accelerator.device, non_blocking=True)
        torch.manual_seed(step_seed(config.seed, step, accelerator.process_index))
        rate = learning_rate(step, config.total_steps, config.optimizer)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        loss, losses, fusion_weights_F = self.module(batch)
        accelerator.backward(loss)
        norm = accelerator.clip_grad_norm_(self.module.parameters(), config.optimizer.grad_clip)
        # Fetched now, while a GPU is still busy, and so that a process that cannot read tells it in this agreement
        # instead of leaving the others waiting in the next step.
        following = _fetch(batches)
        agreed = self._agree(step, loss, norm, stop, following.fault is not None)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)

        overflowed = bool(accelerator.optimizer_step_was_skipped)
        self._count_overflow(step, overflowed)
        monitor.step(step + 1, losses, fusion_weights_F, rate, agreed.gradient_norm, fetched.waited_seconds, overflowed)
        return following, agreed

    def _agree(self, step: int, loss: torch.Tensor, norm: torch.Tensor, stop: StopRequest, fault: bool) -> "_Agreed":
        """Bring all processes to one mind before the optimizer steps: is all finite, does anyone have to stop?"""
        flags = torch.stack(
            [
                (~torch.isfinite(loss.detach())).float(),
                (~torch.isfinite(norm)).float(),
                torch.full((), float(stop.number), device=loss.device),
                torch.full((), float(fault), device=loss.device),
            ]
        )
        if self.accelerator.num_processes > 1:
            torch.distributed.all_reduce(flags, op=torch.distributed.ReduceOp.MAX)
        bad_loss, bad_norm, signal_number, any_fault = flags.tolist()
        if bad_loss or (bad_norm and self.accelerator.scaler is None):
            what = "the loss" if bad_loss else "the gradient"
            raise EveryRankError(
                f"step {step + 1}: {what} is not finite, nothing was updated and earlier checkpoints are good; "
                "try a lower optimizer.lr, a longer optimizer.warmup_steps or mixed_precision=no"
            )
        return _Agreed(int(signal_number), bool(any_fault), float(norm))

    def _count_overflow(self, step: int, overflowed: bool) -> None:
        self._overflows_in_a_row = self._overflows_in_a_row + 1 if overflowed else 0
        if self._overflows_in_a_row >= MOST_OVERFLOWS_IN_A_ROW:
            raise EveryRankError(
                f"step {step + 1}: fp16 overflowed {self._overflows_in_a_row} steps in a row; try mixed_precision=bf16"
            )

    def _validation_is_due(self) -> bool:
        step = self.progress.step
        return step % self.config.validate_every_steps == 0 or step == self.config.total_steps

    def _validate(self, monitor: Monitor) -> None:
        began = time.perf_counter()
        progress = self.progress
        best, metrics = True, dict[str, float]()
        if self.val_loader is not None:
            metrics = validate(self.encoder, self.val_loader, list(self.encoder.config.accents), self.accelerator)
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
        with together(self.accelerator):
            if self.accelerator.is_main_process:
                save_model(self.encoder, self.run_folder / "model", self.feature_config)

    def _save(self, monitor: Monitor) -> None:
        if self.checkpoints is not None:
            self.checkpoints.save(self.bare_module, self.optimizer, self.progress)
        monitor.flush()

    def _leave(self, signal_number: int, monitor: Monitor) -> None:
        self._save(monitor)
        name = "Ctrl-C" if signal_number == signal.SIGINT else signal.Signals(signal_number).name
        kept = "nothing is on disk, the model in memory is trained so far"
        if self.run_folder is not None:
            kept = f"{self.run_folder} is saved; start it again to go on"
        raise Interrupted(signal_number, f"stopped by {name} after step {self.progress.step}: {kept}")

    def _monitor(self) -> Monitor:
        return Monitor(
            None if self.run_folder is None else self.run_folder / "tensorboard",
            self.config.monitor,
            self.encoder.config.ordered_families,
            self.progress.step,
            self.config.total_steps,
            self.train_loader.global_batch,
            self.accelerator.is_main_process,
        )


class _Fetched(NamedTuple):
    """A batch, or why there is none."""

    batch: Batch | None
    waited_seconds: float
    fault: AccentError | None


class _Agreed(NamedTuple):
    """What the processes know together after a backward pass."""

    signal_number: int
    """A signal that some process has received, or 0."""
    fault: bool
    """Some process cannot read its next batch."""
    gradient_norm: float


def _fetch(batches: Iterator[Batch]) -> _Fetched:
    began = time.perf_counter()
    try:
        batch, fault = next(batches, None), None
    except AccentError as error:
        batch, fault = None, error
    return _Fetched(batch, time.perf_counter() - began, fault)


def step_seed(seed: int, step: int, rank: int) -> int:
    """Return the seed of one process's random numbers at one step."""
    return int(np.random.SeedSequence([seed, step, rank]).generate_state(1, np.uint64)[0] >> 1)
