"""The progress of featurizing: a bar on a terminal, two lines in a log.  Cost: some microseconds an input."""

import logging
import time
from types import TracebackType

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

_logger = logging.getLogger("shards.writing.processor")


class FeaturizeProgress:
    """A bar with utterances a second, seconds of sound a second and the time left; use as a context manager.

    Args:
        total: inputs of the set, or of the part of it that is made here.
        finished: inputs of the shards that an earlier run finished.
        console: where to draw; by default the standard error stream.  Nothing is drawn unless it is a terminal.
    """

    def __init__(self, total: int, finished: int, console: Console | None = None) -> None:
        self._console = console or Console(stderr=True)
        self._total = total
        self._finished = finished
        self._done = 0
        self._refused = 0
        self._seconds = 0.0
        self._began = time.monotonic()
        self._progress = Progress(
            TextColumn("featurize"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=self._console,
            disable=not self._console.is_terminal,
        )
        self._task: TaskID | None = None

    def __enter__(self) -> "FeaturizeProgress":
        again = f", {self._finished} finished before" if self._finished else ""
        _logger.info("featurizing %d utterances%s", self._total, again)
        self._progress.start()
        self._task = self._progress.add_task("", total=self._total, completed=self._finished, rate="")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()
        _logger.info(
            "%s %d utterances in %.1f s: %s, %d refused",
            "featurized" if kind is None else "stopped after",
            self._done,
            time.monotonic() - self._began,
            self._rate(),
            self._refused,
        )

    def advance(self, seconds: float | None) -> None:
        """Count one input.

        Args:
            seconds: of sound in it; nothing if it was refused.
        """
        self._done += 1
        if seconds is None:
            self._refused += 1
        else:
            self._seconds += seconds
        if self._task is not None:
            self._progress.update(self._task, advance=1, rate=self._rate())

    def _rate(self) -> str:
        elapsed = max(time.monotonic() - self._began, 1e-9)
        return f"{self._done / elapsed:.1f} utterances/s, {self._seconds / elapsed:.1f} x real time"
