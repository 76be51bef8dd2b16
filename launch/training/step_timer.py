"""Where the time of a training step goes: data wait, forward, loss, backward, optimizer.

On a GPU the parts are timed by events on the stream, so that watching makes nothing wait; they are read when the stream
has passed them anyway.  A profiler (`launch.training.monitoring.profiler`) sees the parts by their names.
Cost: two events or two looks at the clock a part.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch.profiler import record_function


class StepTimer:
    """Sums the time of named parts.

    Args:
        device: whose time it is; kernels of a GPU run after they were launched.
    """

    def __init__(self, device: torch.device | str = "cpu") -> None:
        self._on_gpu = torch.device(device).type == "cuda"
        self._seconds: dict[str, float] = {}
        self._events: list[tuple[str, torch.cuda.Event, torch.cuda.Event]] = []

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Time a block; parts of one name add up."""
        if self._on_gpu:
            begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
            begin.record()
            with record_function(name):
                yield
            end.record()
            self._events.append((name, begin, end))
            return
        began = time.perf_counter()
        with record_function(name):
            yield
        self.add(name, time.perf_counter() - began)

    def add(self, name: str, seconds: float) -> None:
        """Add time that was measured elsewhere."""
        self._seconds[name] = self._seconds.get(name, 0.0) + seconds

    def take(self) -> dict[str, float]:
        """Return the seconds of every part since the last call, and begin anew; waits for the GPU's newest event."""
        if self._events:
            self._events[-1][2].synchronize()
        for name, begin, end in self._events:
            self.add(name, begin.elapsed_time(end) / 1000)
        seconds, self._seconds = self._seconds, {}
        self._events.clear()
        return seconds
