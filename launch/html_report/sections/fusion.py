"""Which feature families the model rests on: fusion weights, and what leaving a family out costs.

Cost: reads the model of each fold of a cross-validation.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go

from accent.inference.model_file import load_model
from launch.html_report.files import RunFiles
from launch.html_report.look import NEUTRAL, colour
from launch.html_report.section import Plot, Section
from launch.html_report.sections.columns import Figures
from launch.html_report.sections.intervals import bars
from launch.html_report.sections.lacking import lacks_model

Weights = dict[str, list[float]]
"""Family -> its weight in each model of a run."""


def section(runs: Sequence[RunFiles]) -> Section:
    """Return the section."""
    found = Section(
        "fusion",
        "Feature families",
        "A family's weight is its share of the fused stream, equal shares at the start of the training in the branch "
        "frames. What leaving one out costs is measured on the trained model: its weight becomes zero and the "
        "others grow. It was not trained anew, so it shows what this model rests on, not what a family is worth.",
    )
    weights = {run.name: gather_weights(run) for run in runs if run.evaluation is not None or run.model_folders}
    if weights:
        found.plots.append(draw_weights(weights))
    costs = {}
    for run in runs:
        measured = (run.evaluation or {}).get("left_out_families")
        if measured:
            costs[run.name] = measured
        elif run.kind == "run":
            command = f"accent evaluate {run.folder} SHARDS --leave-out-families"
            found.missing.append(f"{run.name}: what leaving a family out costs was not measured; run: {command}")
        elif run.kind == "baselines":
            found.missing.append(lacks_model(run))
        else:
            command = f"accent evaluate {run.folder}/fold-0/seed-{run.folds[0].seed if run.folds else 0} SHARDS"
            found.missing.append(
                f"{run.name}: what leaving a family out costs is measured run by run: {command} --leave-out-families"
            )
    for unit, title in (("utterance", "of an utterance"), ("speaker", "of a speaker")):
        if costs:
            found.plots.append(draw_costs(f"fusion-cost-{unit}", f"Balanced accuracy {title} lost", unit, costs))
    return found


def gather_weights(run: RunFiles) -> Weights:
    """Return the fusion weights of a run's model, or of the models of all folds."""
    if run.evaluation is not None:
        return {name: [weight] for name, weight in run.evaluation["fusion_weights"].items()}
    found: Weights = {}
    for folder in run.model_folders:
        for name, weight in load_model(folder)[0].fusion_weights().items():
            found.setdefault(name, []).append(weight)
    return found


def draw_weights(weights: Mapping[str, Weights]) -> Plot:
    """Draw the weights of all runs; of several models of a run the mean, and the range as an error bar."""
    figures = {
        run: {
            name: {"value": float(np.mean(values)), "interval": [min(values), max(values)] if len(values) > 1 else None}
            for name, values in mine.items()
        }
        for run, mine in weights.items()
    }
    return _draw_bars("fusion-weights", "Fusion weights", "share of the fused stream", figures)


def draw_costs(plot_id: str, title: str, unit: str, costs: Mapping[str, Mapping[str, Any]]) -> Plot:
    """Draw what each family costs when it is left out, with intervals over speakers; the dearest first.

    Args:
        plot_id: the plot's name on the page.
        title: its title.
        unit: "utterance" or "speaker".
        costs: what `launch.evaluation.left_out_families` measured of each run.
    """
    figures = {}
    for run, mine in costs.items():
        of_unit = {name: found[unit]["cost"] for name, found in mine.items()}
        figures[run] = dict(sorted(of_unit.items(), key=lambda one: -one[1]["value"]))
    return _draw_bars(plot_id, title, "balanced accuracy lost", figures)


def _draw_bars(plot_id: str, title: str, axis: str, figures: Mapping[str, Mapping[str, Figures]]) -> Plot:
    """Draw a bar for each family of each run, with an error bar where the figure has an interval."""
    figure = go.Figure()
    for number, (run, mine) in enumerate(figures.items()):
        figure.add_bar(
            y=list(mine),
            x=[one["value"] for one in mine.values()],
            orientation="h",
            name=run,
            marker={"color": colour(number)},
            error_x={**bars(list(mine.values())), "color": NEUTRAL},
            hovertemplate="%{y}: %{x:.3f}<extra>%{fullData.name}</extra>",
        )
    figure.update_layout(xaxis={"title": {"text": axis}}, yaxis={"autorange": "reversed"}, legend={"y": -0.25})
    families = len({name for mine in figures.values() for name in mine})
    return Plot(plot_id, title, figure, height=170 + families * (16 + 14 * len(figures)))
