"""Keys of the rows of a batch, by which model and task draw what is random in a step.

A key depends on the run's seed, the number of the global batch and the row's number in it, so any number of processes
draws alike, and so does a run that was stopped and resumed.  Cost: a few small operations on the device a batch.

Shapes: B rows of this process.
"""

from torch import Tensor

from accent.augmentation.keyed_uniform import row_keys
from launch.training.tasks.task import Position, Prepare
from shards.loading.batch import Batch


class RowKeys:
    """Keys of this process's rows of the global batch at hand.

    Args:
        seed: of the run.
        rank: this process; its rows follow those of the processes before it.
    """

    def __init__(self, seed: int = 0, rank: int = 0) -> None:
        self.seed, self.rank = seed, rank
        self.batch_number = 0
        """Number of the global batch; `follow` sets it before each."""

    def of(self, batch: Batch) -> Tensor:
        """Return a key for each row of a batch, int64 `[B]`, on the batch's device."""
        rows = len(batch.sample_B)
        return row_keys(self.seed, self.batch_number, self.rank * rows, rows, batch.sample_B.device)

    def follow(self, prepare: Prepare) -> Prepare:
        """Return what prepares a batch, and tells these keys its number."""

        def told(batch: Batch, position: Position) -> Batch:
            self.batch_number = position.batch
            return prepare(batch, position)

        return told
