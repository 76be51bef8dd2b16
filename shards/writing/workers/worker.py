"""A worker process: takes tasks from a pipe, one after the other, and sends back what a function makes of them.

It is one thread on one core, ignores Ctrl-C (its parent ends it), ends with its parent even if that is killed, and
does not import the main script: a script without an `if __name__ == "__main__"` guard works.  Cost: one start.
"""

import os
import pickle
import queue
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from types import ModuleType
from typing import Any

from shards.writing.workers.resources import keep_freed_memory

_ONE_THREAD = {
    name: "1" for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")
}


@dataclass(frozen=True)
class Failure:
    """What a worker sends instead of a result."""

    error: Exception
    trace: str
    """The traceback, as text: the objects of a traceback cannot travel."""


class WorkerError(Exception):
    """The traceback of an exception that was raised in a worker process; the cause of its copy in this one."""

    def __str__(self) -> str:
        return f"\n{self.args[0]}"


def work(tasks_and_results: Connection, function: Callable[[Any], Any], ahead: Callable[[Any], None] | None) -> None:
    """Apply a function to each task that arrives, until None arrives.

    Args:
        tasks_and_results: tasks come in, results or a `Failure` go out, in the same order.
        function: what is done.
        ahead: called with each task as soon as it has come, while the one before is still being worked on.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    keep_freed_memory()
    tasks: queue.SimpleQueue[Any] = queue.SimpleQueue()
    threading.Thread(target=_receive, args=(tasks_and_results, tasks, ahead), daemon=True).start()
    while (task := tasks.get()) is not None:
        answer = _answer(function, task)
        try:
            tasks_and_results.send_bytes(answer)
        except OSError:
            # The parent is gone.
            os._exit(1)


def _receive(connection: Connection, tasks: "queue.SimpleQueue[Any]", ahead: Callable[[Any], None] | None) -> None:
    # A thread of its own, so that the parent never waits until a worker listens, and its death is noticed at once.
    try:
        while (task := connection.recv()) is not None:
            tasks.put(task)
            if ahead is not None:
                ahead(task)
        tasks.put(None)
    except (EOFError, OSError):
        os._exit(1)


def _answer(function: Callable[[Any], Any], task: Any) -> bytes:
    try:
        return pickle.dumps(function(task), pickle.HIGHEST_PROTOCOL)
    except Exception as error:
        trace = traceback.format_exc()
        try:
            pickle.loads(pickle.dumps(error))
        except Exception:
            error = RuntimeError(f"{type(error).__name__}: {error}")
        return pickle.dumps(Failure(error, trace))


@contextmanager
def surroundings() -> Iterator[None]:
    """Arrange what a worker process started inside inherits: one thread, no main script, no Ctrl-C while it starts.

    The thread counts must be in the environment before numpy is imported there, hence not set by the worker.
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
