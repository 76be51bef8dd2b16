"""Locks between processes, on one machine or on several: a lock file that names its holder.

The system releases a lock when its process ends, however it ends, so a lock file that a killed process left behind
blocks nobody.  Cost: two system calls.
"""

import fcntl
import json
import logging
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from accent.errors import AccentError

_MOST_BYTES = 4096
_logger = logging.getLogger(__name__)


class Holder(NamedTuple):
    """Who holds a lock."""

    pid: int
    host: str
    since: str
    """Local time of that host, to the second."""
    what: str
    """What it is doing: "training this run"."""

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host} has been {self.what} since {self.since}"


@contextmanager
def locked(path: Path, what: str) -> Iterator[None]:
    """Hold a lock for the length of a `with` block.

    On a file system without locks a warning is logged, and no process is kept out.

    Args:
        path: the lock file, in a folder that exists; removed at the end.
        what: what this process is doing, for the message that another one gets: "training this run".

    Raises:
        AccentError: another process holds it; the line says which, where, and since when.

    Example:
        >>> with locked(Path("runs/accent/.lock"), "training this run"):  # doctest: +SKIP
        ...     train()
    """
    descriptor = _take(path)
    try:
        since = datetime.now().isoformat(sep=" ", timespec="seconds")
        holder = Holder(os.getpid(), socket.gethostname(), since, what)
        os.truncate(descriptor, 0)
        os.pwrite(descriptor, json.dumps(holder._asdict()).encode(), 0)
        yield
    finally:
        # Removed while still held, and `_take` checks that the file is still there: no stale lock and no race.
        path.unlink(missing_ok=True)
        os.close(descriptor)


def refuse_held(path: Path) -> None:
    """Raise if another process holds a lock; remove a lock file that nobody holds.

    Args:
        path: the lock file; it may be missing.

    Raises:
        AccentError: it is held; the line says by whom.
    """
    try:
        descriptor = os.open(path, os.O_RDWR)
    except FileNotFoundError:
        return
    try:
        if _lock(descriptor, path):
            path.unlink(missing_ok=True)
    finally:
        os.close(descriptor)


def _take(path: Path) -> int:
    """Open and lock the file; return its descriptor."""
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            if not _lock(descriptor, path):
                return descriptor
            try:
                if os.path.samestat(os.fstat(descriptor), path.stat()):
                    return descriptor
            except FileNotFoundError:
                # The holder before us has removed the file that we have just locked: another round.
                pass
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)


def _lock(descriptor: int, path: Path) -> bool:
    """Lock an open file; False where the file system has no locks.

    Raises:
        AccentError: another process holds it.
    """
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise AccentError(f"{path.parent}: {_holder(descriptor)}; wait until it ends, or stop it") from error
    except OSError as error:
        _logger.warning("%s: cannot be locked (%s); make sure that no other process writes there", path, error)
        return False
    return True


def _holder(descriptor: int) -> str:
    try:
        return str(Holder(**json.loads(os.pread(descriptor, _MOST_BYTES, 0))))
    except (ValueError, TypeError):
        # It has locked the file and not yet written its name.
        return "another process is at work there"
