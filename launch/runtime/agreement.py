"""What the processes of a run have in common, and how they take the same branch.

A process that fails alone leaves the others waiting in their next collective: so a fault is raised on all of them
(`raise_on_all_ranks`), and a decision is all-reduced before anyone acts on it (`Runtime.all_reduce_max`).
Cost: a small collective each.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from accelerate import Accelerator
from accelerate.utils import gather_object

from accent.errors import AccentError
from launch.runtime.precision import Precision


class AllRanksError(AccentError):
    """A fault that all processes raise together with the same line: the first speaks for all."""


@dataclass(frozen=True)
class Runtime:
    """The processes as they are."""

    accelerator: Accelerator
    """Prepares a module and an optimizer (nothing else); its own mixed precision is off."""
    precision: Precision
    """Arithmetic of the forward pass."""
    zero_stage: int
    """What DeepSpeed shares out among the processes; 0: nothing, each has a whole copy."""
    timeout_seconds: float = 600.0
    """How long a collective waits for the other processes before it ends this one."""

    @property
    def device(self) -> torch.device:
        """Where this process computes."""
        return self.accelerator.device

    @property
    def rank(self) -> int:
        """Number of this process."""
        return int(self.accelerator.process_index)

    @property
    def world_size(self) -> int:
        """How many there are."""
        return int(self.accelerator.num_processes)

    @property
    def backend(self) -> str:
        """How the processes talk: gloo, nccl; none for one process."""
        return str(torch.distributed.get_backend()) if self.world_size > 1 else "none"

    @property
    def precision_name(self) -> str:
        """The arithmetic in words: float32, bf16 or fp16."""
        return "float32" if self.precision == "no" else self.precision

    @property
    def is_main(self) -> bool:
        """Whether this is the process that writes and prints."""
        return self.rank == 0

    def all_reduce_max(self, *numbers: float | torch.Tensor) -> list[float]:
        """Return the highest of each number over all processes; a collective.

        Numbers that lie on the device are waited for once, at the end.
        """
        held = torch.stack([torch.as_tensor(number, dtype=torch.float32, device=self.device) for number in numbers])
        if self.world_size > 1:
            torch.distributed.all_reduce(held, op=torch.distributed.ReduceOp.MAX)
        return held.tolist()


@contextmanager
def raise_on_all_ranks(runtime: Runtime) -> Iterator[None]:
    """Run a block on every process; if it fails with an `AccentError` on any, raise that error on all.

    Without this a process that cannot read its disk would leave the others waiting in their next collective.
    Every process must enter the block.  Cost: one small all-gather.

    Raises:
        AllRanksError: the distinct lines of all processes, joined.
    """
    fault: str | None = None
    try:
        yield
    except AllRanksError:
        raise
    except AccentError as error:
        fault = str(error)
    faults = [fault] if runtime.world_size == 1 else gather_object([fault])
    lines = list(dict.fromkeys(line for line in faults if line is not None))
    if lines:
        raise AllRanksError("; ".join(lines))
