"""Keep two processes, on one machine or on several, from making the same shards at the same time.

A process that makes part K of N holds the lock `.lock-K-of-N`, one that makes or merges everything `.lock`.  Parts of
the same N share no shard, so they do not look at each other's locks; all others do.  The system lets go of a lock when
its process ends, however it ends.
"""

import fcntl
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from accent.errors import AccentError
from shards.writing.partition import Partition

LOCK_NAME = ".lock"
_logger = logging.getLogger(__name__)


@contextmanager
def locked(root: Path, share: Partition = Partition()) -> Iterator[None]:  # noqa: B008 - frozen
    """Keep other processes from making these shards.

    Args:
        root: the folder of the shard set.
        share: the part that is going to be made.

    Raises:
        AccentError: another process is making some of these shards.
    """
    path = root / lock_name(share)
    descriptor = _lock(path)
    try:
        _refuse_others(root, share)
        yield
    finally:
        # Removed while still held, and whoever locks checks that the file is still there: no stale lock, no race.
        path.unlink(missing_ok=True)
        os.close(descriptor)


def lock_name(share: Partition) -> str:
    """Return the name of a part's lock."""
    return LOCK_NAME if share.is_everything else f"{LOCK_NAME}-{share.number}-of-{share.count}"


def _lock(path: Path) -> int:
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(descriptor)
            raise _taken(path) from error
        except OSError as error:
            _logger.warning("%s: cannot be locked (%s); make sure that no other process writes there", path, error)
            return descriptor
        if path.exists() and os.path.samestat(os.fstat(descriptor), path.stat()):
            return descriptor
        os.close(descriptor)


def _refuse_others(root: Path, share: Partition) -> None:
    """Look whether a process that counts the parts in another way is at work; remove the locks of dead ones."""
    same_count = f"-of-{share.count}"
    for path in sorted(root.glob(f"{LOCK_NAME}*")):
        if path.name == lock_name(share) or path.name.endswith(same_count):
            continue
        try:
            descriptor = os.open(path, os.O_RDWR)
        except FileNotFoundError:
            continue
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            path.unlink(missing_ok=True)
        except BlockingIOError as error:
            raise _taken(path) from error
        except OSError as error:
            _logger.warning("%s: cannot be locked (%s); make sure that no other process writes there", path, error)
        finally:
            os.close(descriptor)


def _taken(path: Path) -> AccentError:
    part = path.name.removeprefix(LOCK_NAME).strip("-").replace("-of-", "/")
    what = f"part {part} of it" if part else "all of it"
    return AccentError(f"{path.parent}: another process is writing {what} there; wait for it or stop it")
