"""Has the loss jumped?  A point of the curve far above the newest ones is told, and counted by a curve.

Far above means: by `DEVIATIONS` robust standard deviations (1.4826 times the median distance from the median) and by
`LEAST_SHARE` of the median, so that a loss that hardly moves any more raises no alarm.

Source: Hampel 1974, "The influence curve and its role in robust estimation" (the median absolute deviation).
Cost: a sort of fifty numbers a point of the curves.
"""

import statistics
from collections import deque

POINTS = 50
"""Newest points that a point is compared with."""
FEWEST_POINTS = 10
DEVIATIONS = 8.0
LEAST_SHARE = 0.5
REPEAT_SECONDS = 600.0
"""Seconds before another spike is told; all are counted."""


class LossSpikes:
    """Watches the total loss of one run."""

    def __init__(self) -> None:
        self._points: deque[float] = deque(maxlen=POINTS)
        self._said = float("-inf")
        self.count = 0
        """Spikes so far in this start."""

    def look(self, step: int, loss: float, now: float) -> str | None:
        """Look at one point of the curve.

        Args:
            step: steps done.
            loss: mean over the steps since the last point.
            now: the clock, in seconds.

        Returns:
            A line, where there is a spike and none was told lately.
        """
        line = None
        if len(self._points) >= FEWEST_POINTS:
            usual = statistics.median(self._points)
            deviation = 1.4826 * statistics.median(abs(point - usual) for point in self._points)
            # A loss that is not finite has a line of its own, and compares false here.
            if loss > usual + max(DEVIATIONS * deviation, LEAST_SHARE * abs(usual)):
                self.count += 1
                if now - self._said >= REPEAT_SECONDS:
                    self._said = now
                    line = (
                        f"warning: step {step}: the loss has jumped to {loss:.4g}, from {usual:.4g} over the last "
                        f"{len(self._points)} points; if it stays there, try a lower optimizer.lr, or look at the data"
                    )
        if loss < float("inf"):
            self._points.append(loss)
        return line
