"""Which parts of a shard set exclude each other: two processes never make the same shards at the same time.

A process that makes part K of N holds the lock `.lock-K-of-N`, one that makes or merges everything `.lock`.  Parts of
the same N share no shard, so they do not look at each other's locks; all others do.  Cost: that of `accent.lock`.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import accent.lock
from shards.writing.partition import Partition

LOCK_NAME = ".lock"


@contextmanager
def locked(root: Path, part: Partition = Partition()) -> Iterator[None]:  # noqa: B008 - frozen
    """Keep other processes from making these shards.

    Args:
        root: the folder of the shard set.
        part: the part that is going to be made.

    Raises:
        AccentError: another process is making some of these shards; the line says which process and which part.
    """
    what = "writing all shards" if part.is_everything else f"writing part {part} of the shards"
    with accent.lock.locked(root / lock_name(part), what):
        for path in sorted(root.glob(f"{LOCK_NAME}*")):
            if path.name != lock_name(part) and not path.name.endswith(f"-of-{part.count}"):
                accent.lock.refuse_held(path)
        yield


def lock_name(part: Partition) -> str:
    """Return the name of a part's lock."""
    return LOCK_NAME if part.is_everything else f"{LOCK_NAME}-{part.number}-of-{part.count}"
