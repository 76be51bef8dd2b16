"""Figures drawn as points with their intervals, and what chance gives beside them.  Cost: milliseconds."""

from collections.abc import Mapping, Sequence
from typing import Any

import plotly.graph_objects as go

from launch.html_report.look import NEUTRAL, colour, symbol
from launch.html_report.section import Plot
from launch.html_report.sections.columns import Column, Figures


def draw_group(plot_id: str, group: str, columns: Sequence[Column]) -> Plot | None:
    """Draw the figures of a part of the table as points with their intervals; None if nobody has any.

    Args:
        plot_id: the plot's name on the page.
        group: which part, of `GROUPS`.
        columns: the systems.
    """
    titles = list(dict.fromkeys(title for column in columns for part, title in column.figures if part == group))
    traces = []
    for number, column in enumerate(columns):
        known = [
            (title, column.figures[group, title])
            for title in titles
            if (group, title) in column.figures and column.figures[group, title]["value"] is not None
        ]
        if known:
            traces.append(_points(number, column.name, known))
    if not traces:
        return None
    # Runs with other accents have another chance.
    chances = dict.fromkeys(
        (title, column.figures[group, title]["chance"])
        for column in columns
        for title in titles
        if (group, title) in column.figures and column.figures[group, title]["chance"] is not None
    )
    traces.append(chance_marks(list(chances)))
    figure = go.Figure(traces)
    figure.update_layout(
        xaxis={"range": [min(0, _lowest(columns, group)), 1.02], "title": {"text": "value"}},
        yaxis={
            "categoryorder": "array",
            "categoryarray": titles[::-1],
            "tickvals": titles,
            "ticktext": [title.replace(", ", ",<br>", 1) for title in titles],
            "tickfont": {"size": 11},
        },
        legend={"y": -0.25},
    )
    return Plot(plot_id, group[0].upper() + group[1:], figure, height=170 + 30 * len(titles) + 14 * len(columns))


def _points(number: int, name: str, known: Sequence[tuple[str, Figures]]) -> go.Scatter:
    figures = [figure for _, figure in known]
    return go.Scatter(
        x=[figure["value"] for figure in figures],
        y=[title for title, _ in known],
        error_x=bars(figures),
        customdata=[[figure["basis"]] for figure in figures],
        name=name,
        mode="markers",
        marker={"color": colour(number), "symbol": symbol(number), "size": 10},
        hovertemplate="%{y}: %{x:.3f}<br>%{customdata[0]}<extra>%{fullData.name}</extra>",
    )


def chance_marks(chances: Sequence[tuple[str, float]]) -> go.Scatter:
    """Return a mark at the chance of each row; (row, chance)."""
    return go.Scatter(
        x=[chance for _, chance in chances],
        y=[row for row, _ in chances],
        name="chance",
        mode="markers",
        marker={"symbol": "line-ns-open", "size": 16, "color": NEUTRAL, "line": {"width": 2}},
        hovertemplate="%{y}: chance %{x:.3f}<extra></extra>",
    )


def bars(figures: Sequence[Figures]) -> Mapping[str, Any]:
    """Return plotly's error bars of intervals; of no length where an estimate has none, unseen where none has one."""
    intervals = [one["interval"] or (one["value"], one["value"]) for one in figures]
    return {
        "type": "data",
        "symmetric": False,
        "array": [high - one["value"] for one, (_, high) in zip(figures, intervals, strict=True)],
        "arrayminus": [one["value"] - low for one, (low, _) in zip(figures, intervals, strict=True)],
        "thickness": 1.2,
        "visible": any(one["interval"] for one in figures),
    }


def _lowest(columns: Sequence[Column], group: str) -> float:
    return min(
        (figure["interval"] or [figure["value"]])[0]
        for column in columns
        for (part, _), figure in column.figures.items()
        if part == group and figure["value"] is not None
    )
