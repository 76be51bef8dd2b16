"""What a section of the page is made of: plots, their values and buttons, tables and notes.  Cost: none."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import plotly.graph_objects as go

PLOT_HEIGHT = 420
"""Pixels, where a plot does not need more."""
DIGITS = 4
"""Of a value that is drawn, after the decimal point."""


def listed(values_N: np.ndarray, digits: int = DIGITS) -> list[float | None]:
    """Return rounded values as plotly takes them; None, which is a gap, where a value is not finite."""
    return [round(float(value), digits) if np.isfinite(value) else None for value in values_N]


def add_buttons(
    figure: go.Figure, labels: Sequence[str], choice_of_trace: Sequence[int], axes: Sequence[str] = ()
) -> None:
    """Let buttons above a figure choose which of its traces are seen; at first those of the first button.

    Args:
        figure: with all traces; changed.
        labels: of the buttons; one alone is not drawn.
        choice_of_trace: for each trace the number of the button that shows it.
        axes: title of the vertical axis for each button, if they differ.
    """
    for trace, choice in zip(figure.data, choice_of_trace, strict=True):
        trace.visible = choice == 0
    buttons = [
        {
            "label": label,
            "method": "update",
            "args": [
                {"visible": [choice == number for choice in choice_of_trace]},
                {"yaxis.title.text": axes[number]} if axes else {},
            ],
        }
        for number, label in enumerate(labels)
    ]
    if len(labels) > 1:
        place = {"x": 0, "xanchor": "left", "y": 1, "yanchor": "bottom", "pad": {"b": 8}}
        figure.update_layout(updatemenus=[{"buttons": buttons, **place}], margin={"t": 64})


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
