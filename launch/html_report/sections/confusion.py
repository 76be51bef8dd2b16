"""Confusion of accents: whole counts, and as shares of each true accent.  Cost: milliseconds."""

from collections.abc import Sequence
from typing import NamedTuple

import plotly.graph_objects as go

from launch.html_report.files import RunFiles
from launch.html_report.section import PLOT_HEIGHT, Plot, Section, add_buttons
from launch.html_report.sections.lacking import lacks_evaluation
from launch.reporting.tables import TITLES


class Matrix(NamedTuple):
    """The answers of one classifier or system."""

    name: str
    counts_AA: list[list[float]]
    """Rows are true accents."""


class Confusion(NamedTuple):
    """What a run's systems confuse."""

    accents: list[str]
    unit: str
    """What is counted."""
    matrices: list[Matrix]


def section(runs: Sequence[RunFiles]) -> Section:
    """Return the section."""
    found = Section(
        "confusion",
        "Confusion",
        "Rows are the true accents, columns what was told. The colour is the share of the true accent. "
        "The buttons choose the classifier, where there are several.",
    )
    for number, run in enumerate(runs):
        confusion = gather(run)
        if confusion is None:
            found.missing.append(lacks_evaluation(run))
        else:
            found.plots.append(draw(f"confusion-{number}", f"{run.name}: {confusion.unit}", confusion))
    return found


def gather(run: RunFiles) -> Confusion | None:
    """Return the counts of a run: recordings of an evaluation; speakers of all folds, the mean over seeds."""
    if run.evaluation is not None:
        matrices = [Matrix(TITLES[name], counts) for name, counts in run.evaluation["confusion"].items()]
        # The model's own answer comes first.
        return Confusion(run.evaluation["accents"], "recordings", matrices[::-1])
    if run.systems:
        first = next(iter(run.systems.values()))
        matrices = [Matrix(system["title"], system["confusion"]) for system in run.systems.values()]
        folds = f"speakers of {first['folds']} folds" + (", mean of seeds" if first["seeds"] > 1 else "")
        return Confusion(first["accents"], folds, matrices[::-1])
    return None


def draw(plot_id: str, title: str, confusion: Confusion) -> Plot:
    """Draw a matrix for each classifier, one of which is seen."""
    figure = go.Figure()
    for name, counts_AA in confusion.matrices:
        shares_AA = [[count / sum(row) if sum(row) else 0.0 for count in row] for row in counts_AA]
        figure.add_heatmap(
            z=shares_AA,
            x=confusion.accents,
            y=confusion.accents,
            text=[[round(count, 2) for count in row] for row in counts_AA],
            texttemplate="%{text}",
            zmin=0,
            zmax=1,
            xgap=2,
            ygap=2,
            name=name,
            colorbar={"title": {"text": "share"}, "thickness": 12, "tickformat": ".0%"},
            hovertemplate="%{y} told as %{x}: %{text} (%{z:.0%})<extra>%{fullData.name}</extra>",
        )
    figure.update_layout(
        xaxis={"title": {"text": "told"}, "constrain": "domain", "showgrid": False, "tickangle": -35},
        yaxis={"title": {"text": "true"}, "autorange": "reversed", "showgrid": False},
    )
    add_buttons(figure, [name for name, _ in confusion.matrices], range(len(confusion.matrices)))
    return Plot(plot_id, title, figure, height=max(PLOT_HEIGHT, 40 * len(confusion.accents) + 200))
