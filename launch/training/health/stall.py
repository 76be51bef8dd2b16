"""Which process holds the others up in a step that does not end: each says where it is, and the first compares.

No collective works in such a step, so the processes talk through torch's key-value store.  Cost: nothing until a step
stalls.
"""

import time
from collections.abc import Mapping

import torch.distributed as dist

from launch.runtime.missing_ranks import process_store

ANSWER_SECONDS = 3.0
"""How long the first process waits for the others: their clocks for a stalled step differ by about a second."""
MOST_NAMED = 4
"""Processes that are named by number where many are at one place."""
_KEY = "stalled"


def say_place(step: int, place: str) -> None:
    """Tell the others where this process is."""
    process_store().set(f"{_KEY} {dist.get_rank()}", f"{step} {place}")


def hear_places(step: int) -> dict[int, str | None]:
    """Wait a moment, and return where each process is; None for one that does not say.

    Args:
        step: steps done here; another process is at most one further or behind.
    """
    store, ranks = process_store(), range(dist.get_world_size())
    end = time.monotonic() + ANSWER_SECONDS
    while True:
        heard: dict[int, str | None] = dict.fromkeys(ranks)
        for rank in ranks:
            if store.check([f"{_KEY} {rank}"]):
                done, place = store.get(f"{_KEY} {rank}").decode().split(" ", 1)
                # What was said in an earlier stall is over.
                heard[rank] = place if abs(int(done) - step) <= 1 else None
        if None not in heard.values() or time.monotonic() > end:
            return heard
        time.sleep(0.05)


def describe_places(places: Mapping[int, str | None]) -> str:
    """Return a line of where the processes are, the place with fewest first: who holds the others up is alone there.

    >>> describe_places({0: "a.py:1 wait", 1: "b.py:2 read", 2: "a.py:1 wait"})
    'process 1 is at b.py:2 read; processes 0, 2 are at a.py:1 wait'
    >>> describe_places({0: "a.py:1 wait", 1: None})
    'process 1 does not say where it is; process 0 is at a.py:1 wait'
    """
    by_place: dict[str | None, list[int]] = {}
    for rank, place in places.items():
        by_place.setdefault(place, []).append(rank)
    parts = []
    for place, ranks in sorted(by_place.items(), key=lambda entry: (entry[0] is not None, len(entry[1]))):
        shown = ", ".join(map(str, ranks[:MOST_NAMED]))
        more = f" and {len(ranks) - MOST_NAMED} more" if len(ranks) > MOST_NAMED else ""
        one = len(ranks) == 1
        where = f"{'is' if one else 'are'} at {place}"
        if place is None:
            where = "does not say where it is" if one else "do not say where they are"
        parts.append(f"process{'' if one else 'es'} {shown}{more} {where}")
    return "; ".join(parts)
