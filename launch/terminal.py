"""What is printed for people: on all ways to the terminal, control characters of names are shown, not obeyed.

Cost: a microsecond a line.
"""

import logging
import sys
from collections.abc import Iterable

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

from accent.shown import shown


class TerminalConsole(Console):
    """A rich console whose own colours and lines work, and those in the text do not."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Render as rich does, with the control characters of the text written out."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else Segment(shown(segment.text), segment.style)


def complain(line: str) -> None:
    """Print a line on stderr."""
    print(shown(line), file=sys.stderr, flush=True)


def show_controls_in_logs() -> None:
    """Write out the control characters of every log message from now on."""
    logging.setLogRecordFactory(_Record)


class _Record(logging.LogRecord):
    def getMessage(self) -> str:  # noqa: N802 - logging's name
        return shown(super().getMessage())
