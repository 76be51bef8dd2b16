"""How gradients are made, brought together and applied; the training loop knows only this interface.

`DataParallelEngine`: every process has all of the model, alone or under DistributedDataParallel.
`launch.training.engines.zero` has the other engine, DeepSpeed's ZeRO, which shares optimizer, gradients and weights out
among the processes.

In all of them a step means the same: the gradient is the mean over processes (and over the batches accumulated) of the
loss's; its norm is taken over all parameters, unscaled; it is clipped to `grad_clip`; a step whose gradient or loss is
not finite on any process is applied on none.  Cost: one all-reduce of the gradients a step.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from launch.run_config import TrainingConfig
from launch.runtime.agreement import Runtime
from launch.runtime.precision import LossScale
from launch.training.module import TrainingOutput
from launch.training.step_timer import StepTimer
from shards.loading.batch import Batch

WEIGHTS = "module.safetensors"
"""Weights of encoder and objective in a checkpoint, buffers too."""
MOMENTS = "optimizer.pt"
"""AdamW's moments and step counts in a checkpoint."""


class StepResult(NamedTuple):
    """What became of a step."""

    gradient_norm: float
    """Before clipping; not finite where the step was left out."""
    applied: bool
    """Whether the weights were updated; the same on every process."""


class Engine(ABC):
    """Forward, backward and optimizer of one run.

    Args:
        module: the training module, on any device.
        training: the optimizer, and how many batches make one step.
        runtime: the processes and their precision.
        clock: told of the parts `backward` and `optimizer`.
    """

    in_background: bool
    """Whether only the first process writes the state, from a copy, so that it may do so while training continues."""

    def __init__(
        self,
        module: nn.Module,
        training: TrainingConfig,
        runtime: Runtime,
        clock: StepTimer,
    ) -> None:
        self.module, self.training, self.runtime, self.clock = module, training, runtime, clock
        self.loss_scale = LossScale(runtime.precision, runtime.world_size)

    @abstractmethod
    def accumulate(self, batch: Batch, last: bool) -> TrainingOutput:
        """Add the gradient of one batch.

        Args:
            batch: this process's rows, on the device.
            last: whether the step follows, so that the processes bring their gradients together.
        """

    @abstractmethod
    def step(self, lr: float) -> StepResult:
        """Apply the gradient accumulated, or leave it out if it is not finite; either way it is gone afterwards.

        Args:
            lr: learning rate of this step.

        Returns:
            The gradient's norm, and whether it was applied: the same on every process.
        """

    @abstractmethod
    def warm_up(self, batch: Batch) -> None:
        """Do once, before the first step after a start, what fixes the order in which gradients are added up."""

    @abstractmethod
    def snapshot(self) -> Callable[[Path], None] | None:
        """Take the state as it is now; a collective.

        Returns:
            What writes this process's part of it into a folder; None if the process has nothing to write.  Among the
            files is always `module.safetensors`, every weight in float32 whatever the engine.  If `in_background`, it
            may be called while training continues; if not, it is a collective as well.
        """

    @abstractmethod
    def gradients(self) -> Iterator[tuple[str, Tensor]]:
        """Yield name and gradient of each parameter, unscaled, as they are before `step`.

        The first process may ask for them alone; an engine that has no whole gradient anywhere yields none.
        """

    def whole_weights(self) -> AbstractContextManager[Any]:
        """Return a context in which every weight is whole on every process; a collective."""
        return nullcontext()

    @abstractmethod
    def load(self, folder: Path) -> None:
        """Take over a state written by the same kind of engine; a collective."""


def nan_if_not_finite(loss: Tensor) -> Tensor:
    """Return the loss, times NaN if it is not finite.

    Then no gradient of it is finite either, and one look at the gradient's norm, which all processes share, is enough:
    an infinite loss may have finite gradients.
    """
    return loss * torch.where(loss.isfinite(), 1.0, torch.nan).detach()


def to_host(state: Any) -> Any:
    """Return a nested state with every tensor copied to new memory of the host."""
    if isinstance(state, Tensor):
        return state.detach().to("cpu", copy=True)
    if isinstance(state, dict):
        return {key: to_host(value) for key, value in state.items()}
    if isinstance(state, list):
        return [to_host(value) for value in state]
    return state
