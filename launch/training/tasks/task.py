"""What a run trains: the module to go forward and backward through, and how to tell which weights are best.

The trainer knows steps, checkpoints and signals; a task knows what is learned.  Cost: none.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from torch import nn

from accent.model.build import AccentEncoder
from launch.runtime.agreement import Runtime
from launch.training.step_timer import StepTimer
from launch.training.validation import Validation
from shards.loading.batch import Batch
from shards.loading.protocol import EvaluationBatches

Validate = Callable[[EvaluationBatches, Runtime, Callable[[], int]], Validation]
"""Loader, processes, and what tells a signal that came -> metrics, the same on every process, and what they are of."""


class Position(NamedTuple):
    """Where a run is when a batch comes; the same on every process."""

    batch: int
    """Number of the global batch, from 0; each of those accumulated into a step has its own."""
    progress: float
    """Share of the steps that are done, 0 up to 1."""


Prepare = Callable[[Batch, Position], Batch]
"""Batch of this process, on the device, and position -> the batch that the module sees."""


def unchanged(batch: Batch, _: Position) -> Batch:
    """Return a batch as it came."""
    return batch


@dataclass(frozen=True)
class Task:
    """One thing to learn."""

    encoder: AccentEncoder
    """What is exported; the module holds it, or the part of it that is trained."""
    module: nn.Module
    """Its `forward` takes a `Batch` and returns a `TrainingOutput`; one wrapped forward a step."""
    validate: Validate
    """Measures the encoder on speakers who do not train."""
    selection: str
    """The metric by which the best weights are chosen; higher is better."""
    fusion_names: Sequence[str]
    """Names of `TrainingOutput.fusion_weights_F`."""
    clock: StepTimer
    """Told of the parts of a step."""
    prepare: Prepare = unchanged
    """What happens to a batch before each forward pass: perturbation, and whatever depends on the position."""
    notes: Sequence[str] = ()
    """Lines for the start of the run."""
