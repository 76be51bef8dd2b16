"""How long a step usually takes: the newest steps of a run, validations and checkpoints left out.

Cost: one look at the clock a step.
"""

import statistics
import time
from collections import deque
from collections.abc import Callable

STEPS = 100
"""Steps that are looked at."""
FEWEST_STEPS = 20
"""Steps before which nothing is called usual: the first ones compile and warm up."""
STALL_TIMES = 10.0
"""How many times the usual a step takes that has stalled."""
LEAST_STALL_SECONDS = 30.0
"""A step shorter than this has not stalled, however short the usual ones are."""


class Pace:
    """The durations of the newest steps.

    Args:
        now: the clock, in seconds.

    >>> ticks = iter(range(100))
    >>> pace = Pace(lambda: next(ticks))
    >>> for _ in range(5):
    ...     pace.step_done()
    >>> pace.steps_per_second
    1.0
    """

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._seconds: deque[float] = deque(maxlen=STEPS)
        self._since: float | None = None

    def step_done(self) -> None:
        """Record the end of a step; the first after a rest only starts the clock."""
        now = self._now()
        if self._since is not None:
            self._seconds.append(now - self._since)
        self._since = now

    def rest(self) -> None:
        """Leave out the time from the end of the last step until `go_on`."""
        self._since = None

    def go_on(self) -> None:
        """Begin a step."""
        self._since = self._now()

    @property
    def running_seconds(self) -> float:
        """How long the present step has taken; 0 while resting."""
        since = self._since
        return 0.0 if since is None else self._now() - since

    @property
    def usual_seconds(self) -> float | None:
        """Median of the newest steps; None before there are enough."""
        seconds = tuple(self._seconds)
        return statistics.median(seconds) if len(seconds) >= FEWEST_STEPS else None

    @property
    def steps_per_second(self) -> float | None:
        """Over the newest steps; None before the first."""
        seconds = tuple(self._seconds)
        return len(seconds) / max(sum(seconds), 1e-9) if seconds else None

    @property
    def stalled(self) -> bool:
        """Whether the present step has taken many times the usual."""
        usual = self.usual_seconds
        return usual is not None and self.running_seconds > max(STALL_TIMES * usual, LEAST_STALL_SECONDS)
