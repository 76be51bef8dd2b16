"""Which feature families the model rests on: fusion weights, and what leaving a family out costs.

Cost: reads the model of each fold of a cross-validation.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go

from accent.inference.model_file import load_model
from launch.html_report.files import RunFiles
from launch.html_report.look import colour
from launch.html_report.section import Plot, Section
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
    """Draw the weights of all runs; of several models of a run the mean, and the range as a bar."""
    figure = go.Figure()
    for number, (run, mine) in enumerate(weights.items()):
        mean = [float(np.mean(values)) for values in mine.values()]
        several = any(len(values) > 1 for values in mine.values())
        figure.add_bar(
            y=list(mine),
            x=mean,
            orientation="h",
            name=run,
            marker={"color": colour(number)},
            error_x={
                "type": "data",
                "color": "#808080",
                "symmetric": False,
                "array": [max(values) - middle for values, middle in zip(mine.values(), mean, strict=True)],
                "arrayminus": [middle - min(values) for values, middle in zip(mine.values(), mean, strict=True)],
                "visible": several,
            },
            hovertemplate="%{y}: %{x:.3f}<extra>%{fullData.name}</extra>",
        )
    figure.update_layout(
        xaxis={"title": {"text": "share of the fused stream"}, "rangemode": "tozero"},
        yaxis={"autorange": "reversed"},
        legend={"y": -0.25},
    )
    families = len({name for mine in weights.values() for name in mine})
    return Plot("fusion-weights", "Fusion weights", figure, height=170 + families * (16 + 14 * len(weights)))


def draw_costs(plot_id: str, title: str, unit: str, costs: Mapping[str, Mapping[str, Any]]) -> Plot:
    """Draw what each family costs when it is left out, with intervals over speakers; the dearest first.

    Args:
        plot_id: the plot's name on the page.
        title: its title.
        unit: "utterance" or "speaker".
        costs: what `launch.evaluation.left_out_families` measured of each run.
    """
    figure = go.Figure()
    for number, (run, mine) in enumerate(costs.items()):
        figures = {name: found[unit]["cost"] for name, found in mine.items()}
        names = sorted(figures, key=lambda name: -figures[name]["value"])
        values = [figures[name]["value"] for name in names]
        ends = [figures[name]["interval"] or (figures[name]["value"],) * 2 for name in names]
        figure.add_bar(
            y=names,
            x=values,
            orientation="h",
            name=run,
            marker={"color": colour(number)},
            error_x={
                "type": "data",
                "color": "#808080",
                "symmetric": False,
                "array": [high - value for value, (_, high) in zip(values, ends, strict=True)],
                "arrayminus": [value - low for value, (low, _) in zip(values, ends, strict=True)],
            },
            hovertemplate="without %{y}: %{x:+.3f}<extra>%{fullData.name}</extra>",
        )
    figure.update_layout(
        xaxis={"title": {"text": "balanced accuracy lost"}}, yaxis={"autorange": "reversed"}, legend={"y": -0.25}
    )
    families = max(len(mine) for mine in costs.values())
    return Plot(plot_id, title, figure, height=170 + families * (16 + 14 * len(costs)))
