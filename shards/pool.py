"""Worker processes that hand back results in the order of the tasks, and leave no trace when they stop.

Every worker is one thread on one core.  A bounded number of tasks is in flight, so memory does not grow with the
corpus.  Workers ignore Ctrl-C (the parent ends them), end with their parent even if that is killed, and do not import
the main script: a script without an `if __name__ == "__main__"` guard works, and a large one costs nothing.
"""

import itertools
import multiprocessing
import os
import signal
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from types import ModuleType, TracebackType
from typing import TypeVar

from accent.errors import AccentError

Task = TypeVar("Task")
Result = TypeVar("Result")

TASKS_IN_FLIGHT = 4
"""For each worker: enough that a long recording at the head of the line does not leave the others idle."""
_ONE_THREAD = {
    name: "1" for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")
}


def available_cores() -> int:
    """Return how many cores this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class WorkerPool:
    """A pool of single-threaded worker processes; use as a context manager.

    Example:
        >>> with WorkerPool(2) as pool:  # doctest: +SKIP
        ...     for path, size in pool.in_order(os.path.getsize, paths, name=str):
        ...         print(path, size)
    """

    def __init__(self, workers: int) -> None:
        self.workers = workers
        self._others = set(multiprocessing.active_children())
        self._executor = ProcessPoolExecutor(
            workers, mp_context=multiprocessing.get_context("spawn"), initializer=_begin_worker
        )

    def __enter__(self) -> "WorkerPool":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            # Whatever is in flight is not wanted any more, and a worker may be minutes from its end.
            self._executor.shutdown(wait=False, cancel_futures=True)
            for child in set(multiprocessing.active_children()) - self._others:
                child.terminate()
        self._executor.shutdown(wait=True)

    def in_order(
        self, function: Callable[[Task], Result], tasks: Iterable[Task], name: Callable[[Task], str]
    ) -> Iterator[tuple[Task, Result]]:
        """Yield every task with its result, in the order of the tasks.

        Args:
            function: called in a worker; it and its tasks and results can be pickled.
            tasks: taken as they are needed.
            name: what a person calls a task.

        Raises:
            AccentError: a worker process died; the line names the tasks that were being worked on.
            Exception: whatever `function` raised, at the place of its task.
        """
        rest = iter(tasks)
        flight: deque[tuple[Task, Future[Result]]] = deque()
        try:
            while True:
                for task in itertools.islice(rest, self.workers * TASKS_IN_FLIGHT - len(flight)):
                    with _surroundings_of_a_worker():
                        flight.append((task, self._executor.submit(function, task)))
                if not flight:
                    return
                result = flight[0][1].result()
                yield flight.popleft()[0], result
        except BrokenProcessPool as error:
            # Tasks begin in order, so the ones being worked on are the first without a result.
            undone = [task for task, future in flight if future.exception() is not None]
            names = ", ".join(name(task) for task in undone[: self.workers])
            raise AccentError(
                f"a worker process died (out of memory?) while working on one of: {names}; "
                "run again to go on, with fewer workers or without the one that does it"
            ) from error


def _begin_worker() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_leave_with_parent, daemon=True).start()


def _leave_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


@contextmanager
def _surroundings_of_a_worker() -> Iterator[None]:
    """Arrange what a process started inside inherits: one thread, no main script, no Ctrl-C while it starts.

    The thread counts must be in the environment before numpy is imported there, hence not in the initialiser.
    """
    saved = {name: os.environ.get(name) for name in _ONE_THREAD}
    main = sys.modules["__main__"]
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        os.environ.update(_ONE_THREAD)
        sys.modules["__main__"] = ModuleType("__main__")
        yield
    finally:
        sys.modules["__main__"] = main
        for name, value in saved.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
