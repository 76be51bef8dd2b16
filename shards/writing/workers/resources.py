"""What this machine lends to this process: cores and memory.  Cost: some small files read."""

import ctypes
import os
from collections.abc import Iterator
from pathlib import Path

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_KEPT_BYTES = 256 << 20
_LARGEST_IN_HEAP = 32 << 20


def available_cores() -> int:
    """Return how many cores this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def available_memory(root: Path = Path("/")) -> int:
    """Return how many bytes this process may still take: what is free now, within the limits of its control groups.

    Args:
        root: where `proc` and `sys` are looked for.
    """
    sizes = [*_free_now(root), *_group_limits(root)]
    return min(sizes) if sizes else os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2


def keep_freed_memory() -> None:
    """Let this process keep the memory that it frees, up to 256 MB, for its next arrays.

    Otherwise glibc returns it to the system after each recording and requests it again for the next one, page by page.
    Other C libraries are left as they are.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_TRIM_THRESHOLD, _KEPT_BYTES)
        mallopt(_M_MMAP_THRESHOLD, _LARGEST_IN_HEAP)


def _free_now(root: Path) -> Iterator[int]:
    for line in _lines(root / "proc/meminfo"):
        if line.startswith("MemAvailable:"):
            yield int(line.split()[1]) * 1024


def _group_limits(root: Path) -> Iterator[int]:
    """Yield the memory limit of each control group that this process is in (Slurm and containers set them)."""
    for line in _lines(root / "proc/self/cgroup"):
        _, controllers, group = line.split(":", 2)
        if controllers == "":
            top, name = root / "sys/fs/cgroup", "memory.max"
        elif "memory" in controllers.split(","):
            top, name = root / "sys/fs/cgroup/memory", "memory.limit_in_bytes"
        else:
            continue
        here = top / group.strip("/")
        # Limits of the groups around this one hold too.
        for folder in (here, *here.parents):
            yield from (int(limit) for limit in _lines(folder / name) if limit.isdigit())
            if folder == top:
                break


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="ascii").splitlines()
    except OSError:
        return []
