"""A progress bar on stderr; nothing where stderr is no terminal.  Cost: none."""

import sys
from collections.abc import Iterable, Sized
from typing import TypeVar

Item = TypeVar("Item")


def track_on_terminal(items: Iterable[Item], description: str, total: int | None = None) -> Iterable[Item]:
    """Yield the items beside a progress bar on stderr; without one where stderr is no terminal.

    Args:
        items: what is worked on.
        description: of the bar.
        total: how many there are; their length if not given.
    """
    if not sys.stderr.isatty():
        return items
    from rich.console import Console
    from rich.progress import track

    if total is None and isinstance(items, Sized):
        total = len(items)
    return track(items, description, total, console=Console(stderr=True), transient=True)
