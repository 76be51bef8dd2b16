"""What the processes decide together at the end of a backward pass, in the one small collective that each step has.

Cost: one all-reduce of four numbers a step; of eight more where the weights are compared.
"""

import time
from typing import NamedTuple

import torch
from torch import nn

from launch.run_config import TrainingConfig
from launch.runtime.agreement import Runtime
from launch.training.checkpoint import Checkpoints
from launch.training.health import replicas

NUMBERS = 4
"""How many numbers a usual step agrees on."""


class Agreed(NamedTuple):
    """What the processes know together after a backward pass."""

    bad_loss: bool
    """The loss of some process is not finite."""
    signal_number: int
    """A signal that some process has received, or 0."""
    fault: bool
    """Some process cannot read its next batch, or could not write a checkpoint."""
    save: bool
    """`checkpoints.every_minutes` are over, by the clock of the first process."""


class Agreement:
    """The agreement of each step of one run.

    Args:
        module: the training module.
        checkpoints: of the run; None if it writes nothing.
        training: how it trains.
        runtime: the processes.
    """

    def __init__(
        self, module: nn.Module, checkpoints: Checkpoints | None, training: TrainingConfig, runtime: Runtime
    ) -> None:
        self._module, self._checkpoints, self._runtime = module, checkpoints, runtime
        minutes = training.checkpoints.every_minutes
        self._seconds = None if minutes is None or checkpoints is None else 60 * minutes
        # Under ZeRO's stage 3 no process has the weights of another.
        copies = runtime.world_size > 1 and runtime.zero_stage < 3
        self._compare_every = training.monitor.compare_weights_every_steps if copies else 0
        self._last_equal: int | None = None

    def __call__(self, step: int, loss: torch.Tensor, signal_number: int, fault: bool) -> Agreed:
        """All-reduce what each process knows, so that all take the same branch; a collective.

        Args:
            step: steps done; the gradient of the next is ready.
            loss: of this process.
            signal_number: that this process has received, or 0.
            fault: whether it cannot read its next batch.

        Raises:
            UnequalReplicasError: a process has other weights than the others.
        """
        numbers: list[float | torch.Tensor] = [
            ~torch.isfinite(loss.detach()),
            float(signal_number),
            float(fault or (self._checkpoints is not None and self._checkpoints.failed())),
            float(self._is_time_to_save()),
        ]
        compares = bool(self._compare_every) and step > 0 and step % self._compare_every == 0
        if compares:
            own = replicas.checksum(self._module)
            numbers += [*own, *-own]
        highest = self._runtime.all_reduce_max(*numbers)
        if compares:
            if replicas.differs(highest[NUMBERS:]):
                raise replicas.name_unequal(own, self._runtime, step, self._last_equal)
            self._last_equal = step
        bad_loss, signalled, faulty, save = highest[:NUMBERS]
        return Agreed(bool(bad_loss), int(signalled), bool(faulty), bool(save))

    def _is_time_to_save(self) -> bool:
        if self._seconds is None or self._checkpoints is None or not self._runtime.is_main:
            return False
        return time.monotonic() - self._checkpoints.saved_at >= self._seconds
