"""The figures of every run side by side, with their intervals and what chance gives.  Cost: milliseconds."""

from collections.abc import Mapping, Sequence
from typing import Any

import plotly.graph_objects as go

from launch.html_report.files import RunFiles
from launch.html_report.look import colour, symbol
from launch.html_report.section import Plot, Section, Table
from launch.html_report.sections.columns import GROUPS, Column, Figures, columns_of
from launch.html_report.sections.lacking import lacks_evaluation


def section(runs: Sequence[RunFiles]) -> Section:
    """Return the section."""
    found = Section(
        "figures",
        "Figures",
        "Every figure on speakers that the model never heard, with its 95 % interval over speakers, beside what "
        "chance gives. An equal error rate is better the lower it is; a speaker probe should be near chance.",
    )
    columns = gather(runs)
    found.missing = [lacks_evaluation(run) for run in runs if not columns_of(run)]
    if columns:
        found.plots.append(draw_by_recordings(columns))
        found.plots += [
            plot for group in GROUPS if (plot := draw_group(f"figures-{GROUPS.index(group)}", group, columns))
        ]
        found.tables.append(table(columns))
    return found


def gather(runs: Sequence[RunFiles]) -> list[Column]:
    """Return a column for each system of each run."""
    return [column for run in runs for column in columns_of(run)]


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
    chances = {
        title: column.figures[group, title]["chance"]
        for column in columns
        for title in titles
        if (group, title) in column.figures and column.figures[group, title]["chance"] is not None
    }
    traces.append(
        go.Scatter(
            x=list(chances.values()),
            y=list(chances),
            name="chance",
            mode="markers",
            marker={"symbol": "line-ns-open", "size": 16, "color": "#808080", "line": {"width": 2}},
            hovertemplate="%{y}: chance %{x:.3f}<extra></extra>",
        )
    )
    figure = go.Figure(traces)
    figure.update_layout(
        xaxis={"range": [min(0, _lowest(columns, group)), 1.02], "title": {"text": "value"}},
        yaxis={"categoryorder": "array", "categoryarray": titles[::-1]},
        legend={"y": -0.25},
    )
    return Plot(plot_id, group, figure, height=170 + 26 * len(titles) + 14 * len(columns))


def draw_by_recordings(columns: Sequence[Column]) -> Plot:
    """Draw the balanced accuracy of speakers by how many of their recordings are heard."""
    figure = go.Figure()
    for number, column in enumerate(columns):
        sizes = list(column.by_recordings)
        figures = [column.by_recordings[size] for size in sizes]
        figure.add_scatter(
            x=sizes,
            y=[one["value"] for one in figures],
            error_y=_bars(figures),
            name=column.name,
            mode="lines+markers",
            marker={"color": colour(number), "symbol": symbol(number), "size": 9},
            line={"color": colour(number)},
            hovertemplate="%{x} recordings: %{y:.3f}<extra>%{fullData.name}</extra>",
        )
    first = columns[0].by_recordings
    figure.add_scatter(
        x=list(first),
        y=[one["chance"] for one in first.values()],
        name="chance",
        mode="lines",
        line={"color": "#808080", "dash": "dash"},
        hovertemplate="chance %{y:.3f}<extra></extra>",
    )
    figure.update_layout(
        xaxis={"title": {"text": "recordings heard of a speaker"}, "type": "category"},
        yaxis={"title": {"text": "balanced accuracy"}, "range": [0, 1.02]},
    )
    return Plot("figures-by-recordings", "Accent of a speaker, by recordings heard", figure)


def table(columns: Sequence[Column]) -> Table:
    """Return all figures as a table, a column a system."""
    order = [key for group in GROUPS for column in columns for key in column.figures if key[0] == group]
    rows = []
    reasons: dict[str, None] = {}
    for key in dict.fromkeys(order):
        known = [column.figures.get(key) for column in columns]
        for figure in known:
            if figure is not None and figure["value"] is None and figure["reason"]:
                reasons[f"{key[1]}: {figure['reason']}"] = None
        chance = next((figure["chance"] for figure in known if figure is not None), None)
        rows.append([key[0], key[1], *(cell(figure) for figure in known), _number(chance)])
    names = [column.name for column in columns]
    return Table(["", "figure", *names, "chance"], rows, "All figures", "; ".join(reasons))


def cell(figure: Figures | None) -> str:
    """Return a figure as text: value and interval."""
    if figure is None:
        return ""
    if not figure["interval"]:
        return _number(figure["value"])
    low, high = figure["interval"]
    return f"{_number(figure['value'])} [{low:.2f}, {high:.2f}]"


def _points(number: int, name: str, known: Sequence[tuple[str, Figures]]) -> go.Scatter:
    figures = [figure for _, figure in known]
    return go.Scatter(
        x=[figure["value"] for figure in figures],
        y=[title for title, _ in known],
        error_x=_bars(figures),
        customdata=[[figure["basis"]] for figure in figures],
        name=name,
        mode="markers",
        marker={"color": colour(number), "symbol": symbol(number), "size": 10},
        hovertemplate="%{y}: %{x:.3f}<br>%{customdata[0]}<extra>%{fullData.name}</extra>",
    )


def _bars(figures: Sequence[Figures]) -> Mapping[str, Any]:
    """Return plotly's error bars of intervals; an estimate without one has none."""
    intervals = [one["interval"] or (one["value"], one["value"]) for one in figures]
    return {
        "type": "data",
        "symmetric": False,
        "array": [high - one["value"] for one, (_, high) in zip(figures, intervals, strict=True)],
        "arrayminus": [one["value"] - low for one, (low, _) in zip(figures, intervals, strict=True)],
        "thickness": 1.2,
    }


def _lowest(columns: Sequence[Column], group: str) -> float:
    return min(
        (figure["interval"] or [figure["value"]])[0]
        for column in columns
        for (part, _), figure in column.figures.items()
        if part == group and figure["value"] is not None
    )


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
