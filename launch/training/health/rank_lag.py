"""Which process is slower than the others, from the times that the curves gather anyway.

A process that is slow makes the others wait in their collectives, so whole steps take all of them the same time.  What
tells it apart is the time before the first collective of a step: reading, perturbing, the forward pass.

Cost: none beside `launch.training.monitoring.rank_times`.

Shape legend: R processes.
"""

from collections.abc import Sequence

import torch

OWN_PARTS = ("augmentation", "data_wait", "forward")
"""Parts of a step that a process does without the others."""
SHARED_FORWARD_STAGE = 3
"""In this stage of ZeRO the forward pass gathers weights, and is no process's own."""
LAG_SHARE = 0.2
"""Share of a step by which a process must be slower than the usual one, to be called slow."""
POINTS = 3
"""Points of the curves at which it must be so, one after the other."""
REPEAT_SECONDS = 600.0
"""Seconds before the same is said again."""


def lag_of_ranks(parts: Sequence[str], seconds_RP: torch.Tensor, steps: int, zero_stage: int) -> torch.Tensor:
    """Return by how many seconds a step each process is slower than the median of all, `[R]`; below 0: faster.

    Args:
        parts: names of the parts of a step.
        seconds_RP: time of each part on each process.
        steps: in how many steps.
        zero_stage: of ZeRO; 0 for whole copies.

    >>> lag_of_ranks(("forward", "loss"), torch.tensor([[2.0, 4.0], [2.0, 4.0], [6.0, 0.0]]), 2, 0).tolist()
    [0.0, 0.0, 2.0]
    """
    own = [part in OWN_PARTS and not (part == "forward" and zero_stage == SHARED_FORWARD_STAGE) for part in parts]
    own_R = seconds_RP[:, own].double().sum(1) / steps
    return own_R - own_R.quantile(0.5, interpolation="lower")


class Stragglers:
    """Notices a process that stays behind the others."""

    def __init__(self) -> None:
        self._rank, self._points, self._said = -1, 0, float("-inf")

    def look(self, lag_R: torch.Tensor, step_seconds: float, now: float) -> tuple[int, float] | None:
        """Look at one point of the curves.

        Args:
            lag_R: of `lag_of_ranks`.
            step_seconds: how long a step takes.
            now: the clock, in seconds.

        Returns:
            The process and its lag in seconds a step, where it is time to speak of it.
        """
        rank = int(lag_R.argmax())
        lag = float(lag_R[rank])
        if lag <= LAG_SHARE * step_seconds:
            self._rank, self._points = -1, 0
            return None
        self._points = self._points + 1 if rank == self._rank else 1
        if rank != self._rank:
            self._rank, self._said = rank, float("-inf")
        if self._points < POINTS or now - self._said < REPEAT_SECONDS:
            return None
        self._said = now
        return rank, lag
