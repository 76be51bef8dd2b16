"""Which task is begun next: the largest of its block, as long as memory allows.

Tasks come in blocks (a shard's inputs, say) and their results are wanted in the order of the tasks.  Within a block
the largest is begun first, so that no long recording is begun last, when the other workers have nothing left to do; a
block is begun when all tasks of the one before have been.  Two sums of footprints (the bytes a task takes while it is
worked on) are bounded: that of the tasks that are with workers, and that of all tasks begun whose results were not
taken yet, as a measure of the results that wait for their turn.  A task larger than the bound is worked on alone.

Cost: a few microseconds a task, and the tasks of two blocks in memory.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

Task = TypeVar("Task")

BLOCK_TASKS = 256
"""A longer block is cut."""
MOST_TASKS = 2 * BLOCK_TASKS
"""Begun and not taken: the block whose results are awaited and the one that is begun meanwhile."""


@dataclass(frozen=True)
class Job(Generic[Task]):
    """One task and its place."""

    position: int
    """Among all tasks, from 0."""
    task: Task
    footprint: int
    """Bytes it takes while it is worked on."""


class Schedule(Generic[Task]):
    """Hand out tasks, the largest of each block first, within bounds.

    Args:
        blocks: tasks, in the order in which their results are wanted; taken as they are needed.
        footprint: bytes a task takes while it is worked on.
        working_bytes: bound for the tasks that are worked on at once.
        waiting_bytes: bound for the tasks that were begun and whose results were not taken.

    >>> schedule = Schedule([[1, 3, 2]], footprint=int, working_bytes=4, waiting_bytes=100)
    >>> first, second = schedule.next(), schedule.next()
    >>> first.task, first.position, second.task, schedule.next()
    (3, 1, 1, None)
    >>> schedule.done(first)
    >>> schedule.next().task
    2
    """

    def __init__(
        self,
        blocks: Iterable[Sequence[Task]],
        footprint: Callable[[Task], int],
        working_bytes: int,
        waiting_bytes: int,
    ) -> None:
        self._pieces = _pieces(blocks, footprint, waiting_bytes // 2)
        self._working_bound = working_bytes
        self._waiting_bound = waiting_bytes
        self._block: list[Job[Task]] = []
        self._coming: list[Job[Task]] | None = None
        self.begun = 0
        """Tasks with workers."""
        self._working = 0
        self._untaken = 0
        self._waiting = 0

    def next(self) -> Job[Task] | None:
        """Return the task to begin now; nothing if there is none, or none that the bounds allow."""
        if not self._block and not self._open_block():
            return None
        for place, job in enumerate(self._block):
            if self.begun == 0 or self._working + job.footprint <= self._working_bound:
                self.begun += 1
                self._working += job.footprint
                return self._block.pop(place)
        return None

    def done(self, job: Job[Task]) -> None:
        """Record that a worker has finished a task."""
        self.begun -= 1
        self._working -= job.footprint

    def taken(self, job: Job[Task]) -> None:
        """Record that the result of a task is not kept any more."""
        self._untaken -= 1
        self._waiting -= job.footprint

    def _open_block(self) -> bool:
        if self._coming is None:
            self._coming = next(self._pieces, None)
        if self._coming is None:
            return False
        size = sum(job.footprint for job in self._coming)
        crowded = self._untaken + len(self._coming) > MOST_TASKS or self._waiting + size > self._waiting_bound
        if crowded and self._untaken:
            return False
        self._untaken += len(self._coming)
        self._waiting += size
        self._block = sorted(self._coming, key=lambda job: (-job.footprint, job.position))
        self._coming = None
        return True


def _pieces(
    blocks: Iterable[Sequence[Task]], footprint: Callable[[Task], int], most_bytes: int
) -> Iterator[list[Job[Task]]]:
    """Number the tasks, and cut blocks that are too long or too large."""
    position = 0
    for block in blocks:
        piece: list[Job[Task]] = []
        size = 0
        for task in block:
            job = Job(position, task, footprint(task))
            if piece and (len(piece) == BLOCK_TASKS or size + job.footprint > most_bytes):
                yield piece
                piece, size = [], 0
            piece.append(job)
            size += job.footprint
            position += 1
        if piece:
            yield piece
