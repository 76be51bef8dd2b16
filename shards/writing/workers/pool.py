"""Worker processes that return results in the order of the tasks, and leave nothing behind when they stop.

Each worker (`worker`) has a pipe of its own, so that none waits for another, and the one that dies is known together
with the task that killed it.  `scheduler` decides which task is begun next and bounds the memory.

Cost to this process: 60 us a result of 100 KB.
"""

import multiprocessing
import selectors
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from multiprocessing.connection import Connection
from types import TracebackType
from typing import Any, Generic, TypeVar

from accent.errors import AccentError
from shards.writing.workers.resources import available_memory
from shards.writing.workers.scheduler import Job, Schedule
from shards.writing.workers.worker import Failure, WorkerError, surroundings, work

Task = TypeVar("Task")
Result = TypeVar("Result")

TASKS_AHEAD = 3
"""With each worker: one that is worked on, and two whose files are being read meanwhile."""
WORKING_SHARE = 0.5
"""Of the memory that is free at the start, for the tasks being worked on."""
WAITING_BYTES = 32 * 2**30
"""Footprints of the tasks whose results wait for their turn.  A result takes less than a hundredth of it."""


class _Worker(Generic[Task]):
    """A worker process as its parent sees it."""

    def __init__(self, function: Callable[[Any], Any], ahead: Callable[[Any], None] | None) -> None:
        context = multiprocessing.get_context("spawn")
        self.pipe: Connection
        self.pipe, theirs = context.Pipe()
        self.process = context.Process(target=work, args=(theirs, function, ahead), daemon=True)
        self.jobs: deque[Job[Task]] = deque()
        """With the worker, in the order in which their results will come."""
        try:
            with surroundings():
                self.process.start()
        finally:
            # A process that holds this end would keep the other one from noticing that the worker has died.
            theirs.close()

    def begin(self, job: Job[Task]) -> None:
        self.jobs.append(job)
        self.pipe.send(job.task)

    def stop(self) -> None:
        if self.jobs:
            # What it works on is not wanted any more, and may be minutes from its end.
            self.process.terminate()
        else:
            try:
                self.pipe.send(None)
            except OSError:
                self.process.terminate()

    def close(self) -> None:
        self.process.join()
        self.pipe.close()


class WorkerPool(Generic[Task, Result]):
    """A pool of single-threaded worker processes; use as a context manager.

    Args:
        function: what is done with each task; it, the tasks and the results can be pickled.
        workers: processes.
        ahead: called in a worker with a task that will be its turn soon.

    Example:
        >>> with WorkerPool(os.path.getsize, 2) as pool:  # doctest: +SKIP
        ...     for path, size in pool.in_order([paths], name=str):
        ...         print(path, size)
    """

    def __init__(
        self, function: Callable[[Task], Result], workers: int, ahead: Callable[[Task], None] | None = None
    ) -> None:
        self._function = function
        self._ahead = ahead
        self._wanted = workers
        self._workers: list[_Worker[Task]] = []
        self._working_bytes = int(WORKING_SHARE * available_memory())

    def __enter__(self) -> "WorkerPool[Task, Result]":
        try:
            for _ in range(self._wanted):
                self._workers.append(_Worker(self._function, self._ahead))
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()

    def in_order(
        self,
        blocks: Iterable[Sequence[Task]],
        name: Callable[[Task], str],
        footprint: Callable[[Task], int] = lambda _: 1,
        done: Callable[[Result], None] = lambda _: None,
    ) -> Iterator[tuple[Task, Result]]:
        """Yield each task with its result, in the order of the tasks.

        Args:
            blocks: tasks; within a block the largest are begun first.  Taken as they are needed.
            name: what a person calls a task.
            footprint: bytes a task takes while it is worked on.
            done: called with each result when it arrives, which may be long before its turn.

        Raises:
            AccentError: a worker process died; the line names the task it was working on.
            Exception: whatever the function raised, as soon as it did.
        """
        schedule = Schedule(blocks, footprint, self._working_bytes, WAITING_BYTES)
        finished: dict[int, tuple[Job[Task], Result]] = {}
        turn = 0
        with selectors.DefaultSelector() as ready:
            for worker in self._workers:
                ready.register(worker.pipe, selectors.EVENT_READ, worker)
            self._hand_out(schedule, name)
            while schedule.begun:
                for key, _ in ready.select():
                    job, result = _take(key.data, name)
                    schedule.done(job)
                    finished[job.position] = job, result
                    self._hand_out(schedule, name)
                    done(result)
                while turn in finished:
                    job, result = finished.pop(turn)
                    turn += 1
                    yield job.task, result
                    schedule.taken(job)
                    self._hand_out(schedule, name)

    def _hand_out(self, schedule: Schedule[Task], name: Callable[[Task], str]) -> None:
        while schedule.begun < TASKS_AHEAD * len(self._workers) and (job := schedule.next()) is not None:
            free = (worker for worker in self._workers if len(worker.jobs) < TASKS_AHEAD)
            # The one with least to do: a short task must not wait behind a long one.
            worker = min(free, key=lambda one: sum(job.footprint for job in one.jobs))
            try:
                worker.begin(job)
            except OSError as error:
                raise _death(worker, name) from error

    def _stop(self) -> None:
        for worker in self._workers:
            worker.stop()
        for worker in self._workers:
            worker.close()
        self._workers = []


def _take(worker: _Worker[Task], name: Callable[[Task], str]) -> tuple[Job[Task], Any]:
    try:
        result = worker.pipe.recv()
    except (EOFError, OSError) as error:
        raise _death(worker, name) from error
    if isinstance(result, Failure):
        raise result.error from WorkerError(result.trace)
    return worker.jobs.popleft(), result


def _death(worker: _Worker[Task], name: Callable[[Task], str]) -> AccentError:
    worker.process.join()
    return AccentError(
        f"a worker process died (status {worker.process.exitcode}; out of memory?) while working on "
        f"{name(worker.jobs[0].task)}; run again to resume, with fewer workers or without this input"
    )
