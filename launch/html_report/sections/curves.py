"""Curves of training: losses, validation, fusion weights, learning rate and gradient, speed.

The curve of a cross-validation is the mean over its folds, point by point: folds have other numbers of steps, so their
last points, and validations, stand at other steps, and the mean stands at the mean step.  The folds are drawn faintly.
Cost: TensorBoard's files are read once.
"""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import plotly.graph_objects as go

from launch.html_report.files import RunFiles, Scalars
from launch.html_report.look import colour, dash
from launch.html_report.section import PLOT_HEIGHT, Plot, Section
from launch.html_report.sections.lacking import lacks_model
from launch.run_config import PHONES_FOLDER

MOST_POINTS = 1_000
"""Of a curve; of a longer one every second, third ... point is shown."""


class Kind(NamedTuple):
    """Curves that are drawn in one plot."""

    id: str
    """Of the plot."""
    beginning: str
    """Of TensorBoard's names; what follows it names the curve."""
    title: str
    axis: str
    """What the values are."""


KINDS = (
    Kind("accuracy", "accuracy/", "Accuracy in training, and on validation speakers", "share right"),
    Kind("loss", "loss/", "Losses in training, and on validation speakers", "loss"),
    Kind("weights", "weights/fusion_", "Fusion weights", "share"),
    Kind("lr", "optimizer/lr", "Learning rate", "learning rate"),
    Kind("gradient", "optimizer/gradient_norm", "Gradient norm before clipping", "norm"),
    Kind("speed", "speed/utterances_per_second", "Speed", "utterances a second"),
)

Points = Sequence[tuple[float, float]]


class Curve(NamedTuple):
    """One curve of a run."""

    name: str
    """TensorBoard's name."""
    points: Points
    """(step, value); of a cross-validation the mean over the folds."""
    of_folds: list[Points]
    """The curve of each fold; empty for a single run."""


def section(runs: Sequence[RunFiles]) -> Section:
    """Return the section."""
    found = Section(
        "curves",
        "Curves of training",
        "A point is the mean over the steps since the last one. Runs differ by the style of the line. "
        "The accent head of validation speakers chose the model that was kept.",
    )
    for below, heading in (("", ""), (PHONES_FOLDER, "Phone heads: ")):
        curves = {run.name: gather(run.curves(below)) for run in runs if run.kind != "baselines"}
        for kind in KINDS[: 2 if below else None]:
            plot = draw(f"curves-{below}{kind.id}", heading + kind.title, kind, curves)
            if plot is not None:
                found.plots.append(plot)
        if not below:
            found.missing = [lacks_model(run) for run in runs if run.kind == "baselines"]
            found.missing += [
                f"{name}: no curves (no tensorboard/ in its folder); training writes them"
                for name, mine in curves.items()
                if not mine
            ]
    return found


def gather(curves_of_folds: Sequence[Scalars]) -> list[Curve]:
    """Merge the curves of folds.

    Args:
        curves_of_folds: of each run folder; one for a single run.

    Returns:
        A curve for each name that all folds have.
    """
    if not curves_of_folds:
        return []
    names = [name for name in curves_of_folds[0] if all(name in curves for curves in curves_of_folds)]
    merged = []
    for name in names:
        folds = [curves[name] for curves in curves_of_folds]
        if len(folds) == 1:
            merged.append(Curve(name, _thinned(folds[0]), []))
            continue
        mean = [tuple(np.mean(points, axis=0).tolist()) for points in zip(*folds, strict=False)]
        merged.append(Curve(name, _thinned(mean), [_thinned(fold) for fold in folds]))
    return merged


def draw(plot_id: str, title: str, kind: Kind, curves: Mapping[str, Sequence[Curve]]) -> Plot | None:
    """Draw the curves of one kind of all runs; None if no run has any.

    Args:
        plot_id: the plot's name on the page.
        title: its title.
        kind: which curves.
        curves: the curves of each run.
    """
    chosen = {run: [one for one in mine if one.name.startswith(kind.beginning)] for run, mine in curves.items()}
    names = list(dict.fromkeys(curve.name for mine in chosen.values() for curve in mine))
    if not names:
        return None
    figure = go.Figure()
    for number, (run, mine) in enumerate(chosen.items()):
        for curve in mine:
            place = names.index(curve.name)
            label = curve.name.removeprefix(kind.beginning).replace("_", " ") or kind.axis
            shown = label if len(curves) == 1 else f"{run}: {label}"
            style = {"color": colour(place), "dash": dash(number)}
            for fold in curve.of_folds:
                figure.add_trace(_line(fold, shown, {**style, "width": 1}, faint=True))
            figure.add_trace(_line(curve.points, shown, style))
    figure.update_layout(xaxis={"title": {"text": "step"}}, yaxis={"title": {"text": kind.axis}})
    entries = sum(len(mine) for mine in chosen.values())
    return Plot(plot_id, title, figure, height=PLOT_HEIGHT + 20 * max(0, -(-entries // 3) - 2))


def _line(points: Points, name: str, line: Mapping[str, object], faint: bool = False) -> go.Scatter:
    return go.Scatter(
        x=[step for step, _ in points],
        # A loss that is not finite is a gap in its curve.
        y=[value if math.isfinite(value) else None for _, value in points],
        name=name,
        legendgroup=name,
        showlegend=not faint,
        opacity=0.3 if faint else 1.0,
        mode="lines" if len(points) > 1 else "markers",
        line=dict(line),
        hoverinfo="skip" if faint else None,
        hovertemplate=None if faint else "step %{x}: %{y:.4g}<extra>%{fullData.name}</extra>",
    )


def _thinned(points: Points) -> Points:
    every = -(-len(points) // MOST_POINTS)
    return list(points[::every]) if every else []
