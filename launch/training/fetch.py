"""The next batch of a process, and how long it waited for it.  Cost: that of the loader."""

import time
from collections.abc import Iterator
from typing import NamedTuple

from accent.errors import AccentError
from shards.loading.batch import Batch


class Fetched(NamedTuple):
    """A batch, or why there is none."""

    batch: Batch | None
    """None at the end, or with a fault."""
    waited_seconds: float
    """How long it took to come."""
    fault: AccentError | None
    """Why this process cannot read it; told to the others before it is raised."""


def fetch(batches: Iterator[Batch]) -> Fetched:
    """Take the next batch of an iterator; a fault is returned, not raised."""
    began = time.perf_counter()
    try:
        batch, fault = next(batches, None), None
    except AccentError as error:
        batch, fault = None, error
    return Fetched(batch, time.perf_counter() - began, fault)
