"""Are the model's probabilities true: reliability diagrams, calibration error, Cllr, permutation test.

Shapes: N answers, A accents.  Cost: milliseconds.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import plotly.graph_objects as go
from scipy.special import softmax

from accent.metrics import Reliability, reliability
from launch.evaluation.group_predictions import concatenate
from launch.html_report.files import RunFiles
from launch.html_report.look import NEUTRAL, colour, symbol
from launch.html_report.section import Plot, Section, Table
from launch.html_report.sections.lacking import lacks_evaluation, lacks_model

UNITS = {"utterance": "Single utterances", "speaker": "Speakers, all recordings heard"}


class Diagram(NamedTuple):
    """The reliability of a run's answers, or of one seed's in a cross-validation."""

    name: str
    unit: str
    """"utterance" or "speaker"."""
    bins: Reliability


def section(runs: Sequence[RunFiles]) -> Section:
    """Return the section."""
    found = Section(
        "calibration",
        "Reliability",
        "How often answers of the accent head are right, by how sure they are. A point on the dashed line tells the "
        "truth; below it the model is too sure of itself. A larger point stands for more answers.",
    )
    diagrams: list[Diagram] = []
    for run in runs:
        mine = gather(run)
        diagrams += mine
        if not mine:
            found.missing.append(lacks_model(run) if run.kind == "baselines" else lacks_evaluation(run))
    names = list(dict.fromkeys(one.name for one in diagrams))
    for unit, title in UNITS.items():
        chosen = {names.index(one.name): one for one in diagrams if one.unit == unit}
        if chosen:
            found.plots.append(draw(f"calibration-{unit}", title, chosen))
    found.tables += [table(runs)] if diagrams else []
    return found


def gather(run: RunFiles) -> list[Diagram]:
    """Return the diagrams of a run (its unseen recordings), or of each seed over all folds."""
    if run.embeddings is not None:
        _, unseen, _ = run.embeddings
        return [Diagram(run.name, "utterance", reliability(unseen.probability_NA, unseen.accent_N))]
    diagrams = []
    seeds = sorted({fold.seed for fold, _ in run.predictions})
    for seed in seeds:
        pooled = concatenate([answers for fold, answers in run.predictions if fold.seed == seed])
        name = run.name if len(seeds) == 1 else f"{run.name}, seed {seed}"
        for unit, rows in (("utterance", pooled.size_G == 1), ("speaker", pooled.whole_G)):
            chosen = pooled.rows(rows)
            bins = reliability(softmax(chosen.logits_GA, axis=1), chosen.accent_G)
            diagrams.append(Diagram(name, unit, bins))
    return diagrams


def draw(plot_id: str, title: str, diagrams: Mapping[int, Diagram]) -> Plot:
    """Draw diagrams of one unit over one another; a number, which gives the look, for each."""
    figure = go.Figure()
    figure.add_scatter(
        x=[0, 1], y=[0, 1], name="true", mode="lines", line={"color": NEUTRAL, "dash": "dash"}, hoverinfo="skip"
    )
    for number, (name, _, bins) in diagrams.items():
        filled_B = bins.count_B > 0
        count_b = bins.count_B[filled_B]
        figure.add_scatter(
            x=bins.confidence_B[filled_B].tolist(),
            y=bins.accuracy_B[filled_B].tolist(),
            text=count_b.tolist(),
            name=name,
            mode="lines+markers",
            line={"color": colour(number)},
            marker={
                "color": colour(number),
                "symbol": symbol(number),
                "size": (6 + 14 * np.sqrt(count_b / count_b.max())).round(1).tolist(),
            },
            hovertemplate="sure %{x:.2f}, right %{y:.2f}, %{text} answers<extra>%{fullData.name}</extra>",
        )
    figure.update_layout(
        xaxis={"title": {"text": "mean probability of the accent told"}, "range": [0, 1.03]},
        yaxis={"title": {"text": "share that is right"}, "range": [0, 1.05]},
    )
    return Plot(plot_id, title, figure, height=480)


def table(runs: Sequence[RunFiles]) -> Table:
    """Return calibration error, Cllr and permutation test of each run."""
    rows = []
    for run in runs:
        if run.evaluation is not None:
            measured = [("utterance", run.evaluation["calibration"])]
            permutation = run.evaluation["permutation"]
        elif "encoder" in run.systems:
            encoder = run.systems["encoder"]
            measured, permutation = list(encoder["calibration"].items()), encoder["permutation"]
        else:
            continue
        for unit, figures in measured:
            cllr = "-" if figures["cllr"] is None else f"{figures['cllr']:.3f}"
            rows.append([run.name, unit, f"{figures['ece']:.3f}", cllr, f"{permutation['p_value']:.4f}"])
    columns = ["run", "unit", "calibration error", "Cllr in bits (1: says nothing)", "permutation test of speakers, p"]
    return Table(columns, rows, "Calibration")
