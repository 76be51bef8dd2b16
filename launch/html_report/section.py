"""What a section of the page is made of: plots, tables and notes.  Cost: none."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import plotly.graph_objects as go

PLOT_HEIGHT = 420
"""Pixels, where a plot does not need more."""


@dataclass(frozen=True)
class Plot:
    """One plot; the page holds its numbers as JSON and draws from these."""

    id: str
    """Unique on the page: `section-what-run`."""
    title: str
    figure: go.Figure
    """Traces hold lists, not arrays: plotly writes arrays in a binary form that nobody can read back by eye."""
    note: str = ""
    """What one has to know to read it."""
    height: int = PLOT_HEIGHT

    def specification(self) -> dict[str, Any]:
        """Return what plotly.js draws: data and layout, without a template: the page has one for light and dark."""
        specification = self.figure.to_plotly_json()
        specification["layout"].pop("template", None)
        return {"data": specification["data"], "layout": {**specification["layout"], "height": self.height}}


@dataclass(frozen=True)
class Table:
    """A table of text; the first column names the row."""

    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    title: str = ""
    note: str = ""
    differing: frozenset[int] = frozenset()
    """Rows in which the runs differ."""


@dataclass
class Section:
    """A part of the page."""

    id: str
    title: str
    text: str
    """What it shows, in a sentence or two."""
    plots: list[Plot] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    """What a run lacks for this section, and how to get it: a line each."""
