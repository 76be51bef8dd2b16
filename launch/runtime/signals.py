"""How a run ends before its last step: a signal is remembered, the state is saved, the file PREEMPTED says why.

Schedulers send SIGTERM and kill half a minute later; a terminal sends SIGINT.  Neither may end a process in the middle
of a step, so `StopRequest` remembers the signal and the loop leaves, on all processes together, at the step's end.
After SIGTERM the run's folder holds the file `PREEMPTED`: launchers turn every status into 1, so a job script finds out
by this file that the job is to be queued again.  The next start removes it.
"""

import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType, TracebackType

from accent.errors import AccentError

PREEMPTED = "PREEMPTED"
"""File in a run's folder: the run was told to stop, saved its state, and wants to be resumed."""
TEMPORARY_FAILURE = 75
"""Status of a process after SIGTERM: EX_TEMPFAIL of sysexits.h, try again later."""
SECOND_SIGNAL_SECONDS = 2.0
"""A launcher passes Ctrl-C on although the terminal has sent it already; only a later one is a second wish."""


class Interrupted(KeyboardInterrupt):
    """Training left at the end of a step because a signal asked it to."""

    def __init__(self, number: int, message: str) -> None:
        super().__init__(message)
        self.number = number
        """The signal: SIGINT for Ctrl-C, SIGTERM from a scheduler."""


class StopRequest:
    """Remember a signal instead of dying of it, so that the loop can leave at the end of a step.

    A context manager, which may be entered again inside itself: what was remembered outside is known inside.  Outside
    the main thread it catches nothing, because Python delivers signals there only.

    Args:
        signals: those to remember.
    """

    _current: "StopRequest | None" = None

    def __init__(self, signals: tuple[signal.Signals, ...] = (signal.SIGINT, signal.SIGTERM)) -> None:
        self._signals = signals
        self.number = 0
        """The signal that came, or 0."""
        self._first = 0.0
        self._before: dict[int, Callable[[int, FrameType | None], object] | int | None] = {}
        self._outer: StopRequest | None = None

    def __enter__(self) -> "StopRequest":
        if threading.current_thread() is threading.main_thread():
            self._outer, StopRequest._current = StopRequest._current, self
            if self._outer is not None:
                self.number, self._first = self._outer.number, self._outer._first
            for number in self._signals:
                self._before[number] = signal.signal(number, self._remember)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        if self._before:
            StopRequest._current = self._outer

    def _remember(self, number: int, frame: FrameType | None) -> None:
        if self.number == 0:
            self.number, self._first = int(number), time.monotonic()
        elif number == signal.SIGINT and time.monotonic() - self._first > SECOND_SIGNAL_SECONDS:
            raise KeyboardInterrupt


def mark_preempted(run: Path, step: int) -> None:
    """Write the file that asks a job script to queue the run again."""
    try:
        (run / PREEMPTED).write_text(f"stopped by SIGTERM after step {step}; the state is saved\n", encoding="utf-8")
    except OSError as error:
        raise AccentError(f"{run / PREEMPTED}: cannot be written ({error}); queue the job again by hand") from error


def clear_preempted(run: Path) -> None:
    """Remove the file: the run is resumed."""
    try:
        (run / PREEMPTED).unlink(missing_ok=True)
    except OSError as error:
        raise AccentError(f"{run / PREEMPTED}: cannot be removed ({error}); check its permissions") from error
