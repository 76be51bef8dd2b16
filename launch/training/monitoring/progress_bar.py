"""How far a run is: a bar in a terminal, elsewhere a line now and then.  Cost: one redraw a step."""

import sys
import time

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from launch.terminal import TerminalConsole


class ProgressBar:
    """What the first process prints while it trains.

    Args:
        first_step: steps done before this start.
        total_steps: steps in the whole run.
        line_seconds: between lines where there is no terminal.
    """

    def __init__(self, first_step: int, total_steps: int, line_seconds: float) -> None:
        self.total_steps, self.line_seconds = total_steps, line_seconds
        self._console = TerminalConsole(highlight=False, soft_wrap=True)
        self._bar = self._start(first_step) if self._console.is_terminal else None
        self._last_line = time.perf_counter()

    def move(self, step: int) -> None:
        """Show that a step is done."""
        if self._bar is not None:
            self._bar.update(self._bar.task_ids[0], completed=step)

    def tell(self, step: int, text: str, at_once: bool) -> None:
        """Show what a point of the curves says: beside the bar, or in a line if the last is long ago or `at_once`."""
        now = time.perf_counter()
        if self._bar is not None:
            self._bar.update(self._bar.task_ids[0], text=text)
        elif now - self._last_line >= self.line_seconds or at_once:
            self.print(f"step {step}/{self.total_steps}  {text}")
            self._last_line = now

    def print(self, line: str) -> None:
        """Print a line above the bar."""
        (self._bar.console if self._bar is not None else self._console).print(line, markup=False)
        sys.stdout.flush()

    def close(self) -> None:
        """End the bar; safe to call twice."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def _start(self, first_step: int) -> Progress:
        bar = Progress(
            TextColumn("training"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[text]}"),
            console=self._console,
        )
        bar.add_task("training", total=self.total_steps, completed=first_step, text="")
        bar.start()
        return bar
