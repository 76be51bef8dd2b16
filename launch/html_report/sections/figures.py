"""The figures of every run side by side, with their intervals and what chance gives.  Cost: milliseconds."""

from collections.abc import Sequence

import plotly.graph_objects as go

from launch.html_report.files import RunFiles
from launch.html_report.look import NEUTRAL, colour, symbol
from launch.html_report.section import Plot, Section, Table
from launch.html_report.sections.columns import GROUPS, RETRIEVAL, SPEAKERS, UTTERANCES, Column, Figures, columns_of
from launch.html_report.sections.intervals import bars, draw_group
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
        for plot_id, group in (
            ("figures-utterances", UTTERANCES),
            ("figures-speakers", SPEAKERS),
            ("figures-retrieval", RETRIEVAL),
        ):
            plot = draw_group(plot_id, group, columns)
            if plot is not None:
                found.plots.append(plot)
        found.tables.append(table(columns))
    return found


def gather(runs: Sequence[RunFiles]) -> list[Column]:
    """Return a column for each system of each run."""
    return [column for run in runs for column in columns_of(run)]


def draw_by_recordings(columns: Sequence[Column]) -> Plot:
    """Draw the balanced accuracy of speakers by how many of their recordings are heard."""
    figure = go.Figure()
    for number, column in enumerate(columns):
        sizes = list(column.by_recordings)
        figures = [column.by_recordings[size] for size in sizes]
        figure.add_scatter(
            x=sizes,
            y=[one["value"] for one in figures],
            error_y=bars(figures),
            name=column.name,
            mode="lines+markers",
            marker={"color": colour(number), "symbol": symbol(number), "size": 9},
            line={"color": colour(number)},
            hovertemplate="%{x} recordings: %{y:.3f}<extra>%{fullData.name}</extra>",
        )
    sizes = max((list(column.by_recordings) for column in columns), key=len)
    # Runs with other accents have another chance.
    for chance in dict.fromkeys(one["chance"] for column in columns for one in column.by_recordings.values()):
        figure.add_scatter(
            x=sizes,
            y=[chance] * len(sizes),
            name=f"chance {chance:.3f}",
            mode="lines",
            line={"color": NEUTRAL, "dash": "dash"},
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
    rows: list[list[str]] = []
    last = ""
    reasons: dict[str, None] = {}
    for key in dict.fromkeys(order):
        known = [column.figures.get(key) for column in columns]
        for figure in known:
            if figure is not None and figure["value"] is None and figure["reason"]:
                reasons[f"{key[1]}: {figure['reason']}"] = None
        chances = dict.fromkeys(_number(figure["chance"]) for figure in known if figure is not None)
        group = "" if key[0] == last else key[0]
        last = key[0]
        rows.append([group, key[1], *(cell(figure) for figure in known), "; ".join(chances)])
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


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
