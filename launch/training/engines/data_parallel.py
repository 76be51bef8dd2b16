"""The model on one device, or a copy of it on each, under torch's DistributedDataParallel.

Cost: one all-reduce of the gradients a step.
"""

from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from launch.run_config import TrainingConfig
from launch.runtime.agreement import Runtime
from launch.training.engines.engine import MOMENTS, WEIGHTS, Engine, StepResult, nan_if_not_finite, to_host
from launch.training.engines.known_pickles import load_known
from launch.training.module import TrainingOutput
from launch.training.optimizer import build_optimizer, set_learning_rate
from launch.training.step_timer import StepTimer
from shards.loading.batch import Batch


class DataParallelEngine(Engine):
    """The model on one device, or a copy of it on each under DistributedDataParallel."""

    in_background = True

    def __init__(
        self,
        module: nn.Module,
        training: TrainingConfig,
        runtime: Runtime,
        clock: StepTimer,
    ) -> None:
        super().__init__(module, training, runtime, clock)
        optimizer = build_optimizer(module, training.optimizer)
        self.wrapped, self.optimizer = runtime.accelerator.prepare(module, optimizer)

    def accumulate(self, batch: Batch, last: bool) -> TrainingOutput:
        """Add the gradient of one batch; all but the last stay with this process."""
        with nullcontext() if last else self.runtime.accelerator.no_sync(self.wrapped):
            output: TrainingOutput = self.wrapped(batch)
            with self.clock.part("backward"):
                factor = self.loss_scale.factor / self.training.gradient_accumulation_steps
                (nan_if_not_finite(output.loss) * factor).backward()
        return output

    def gradients(self) -> Iterator[tuple[str, Tensor]]:
        """Yield every gradient; after the last batch of a step they are the same on every process."""
        for name, parameter in self.module.named_parameters():
            if parameter.grad is not None:
                yield name, parameter.grad / self.loss_scale.factor

    def step(self, lr: float) -> StepResult:
        """Unscale, clip, update."""
        with self.clock.part("optimizer"):
            set_learning_rate(self.optimizer, lr)
            if self.loss_scale.factor != 1.0:
                gradients = [p.grad for p in self.module.parameters() if p.grad is not None]
                torch._foreach_mul_(gradients, 1 / self.loss_scale.factor)
            norm = float(nn.utils.clip_grad_norm_(self.module.parameters(), self.training.optimizer.grad_clip))
            # Gradients are the same on every process by now, so all of them decide alike.
            applied = norm < float("inf")
            if applied:
                self.optimizer.step()
            self.optimizer.zero_grad(set_to_none=True)
        self.loss_scale.update(overflowed=not applied)
        return StepResult(norm, applied)

    def warm_up(self, batch: Batch) -> None:
        """Run one pass for nothing, after which DDP lays its buckets of gradients out for good.

        Where a gradient lies in a bucket decides in which order three processes or more add it up.  Without this pass
        the first step after a resume would add in another order than the same step of an uninterrupted run.
        """
        if self.runtime.world_size > 1:
            self.accumulate(batch, last=True)
            self.optimizer.zero_grad(set_to_none=True)

    def snapshot(self) -> Callable[[Path], None] | None:
        """Copy weights and moments to the host's memory; they are the same on every process, so the first writes."""
        if not self.runtime.is_main:
            return None
        weights, moments = to_host(self.module.state_dict()), to_host(self.optimizer.state_dict())

        def write(folder: Path) -> None:
            save_file(weights, folder / WEIGHTS)
            torch.save(moments, folder / MOMENTS)

        return write

    def load(self, folder: Path) -> None:
        """Take over weights and moments."""
        moments = load_known(folder / MOMENTS)
        self.module.load_state_dict(load_file(folder / WEIGHTS))
        self.optimizer.load_state_dict(moments)
