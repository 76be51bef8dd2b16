"""How much of the speaker is left in the embedding, and how much of the accent a channel alone tells.

Cost: milliseconds.
"""

from collections.abc import Sequence

import plotly.graph_objects as go

from launch.html_report.files import RunFiles
from launch.html_report.look import colour, symbol
from launch.html_report.section import Plot, Section
from launch.html_report.sections.columns import LEAKAGE, SPEAKERS, UTTERANCES, VERIFICATION, Column, columns_of
from launch.html_report.sections.intervals import bars, chance_marks, draw_group
from launch.html_report.sections.lacking import lacks_evaluation

_MEASURED = (
    ("an utterance", (UTTERANCES, "accent head, balanced accuracy")),
    ("a speaker", (SPEAKERS, "all recordings, balanced accuracy")),
)


def section(runs: Sequence[RunFiles]) -> Section:
    """Return the section."""
    found = Section(
        "leakage",
        "Leakage and channel",
        "A speaker probe above chance finds the voice in the embedding; a speaker error rate far below the accent's "
        "says that the embedding tells voices better than accents. The controls know only pauses and level, or only "
        "the long-term spectrum: where they are above chance, recordings of different accents were made differently, "
        "and a part of every other figure may be that.",
    )
    columns = [column for run in runs for column in columns_of(run)]
    found.missing = [lacks_evaluation(run) for run in runs if not columns_of(run)]
    for plot_id, group in (("leakage-probe", LEAKAGE), ("leakage-verification", VERIFICATION)):
        plot = draw_group(plot_id, group, columns)
        if plot is not None:
            found.plots.append(plot)
    if any(column.is_control for column in columns):
        found.plots.append(draw_controls(columns))
    else:
        found.missing.append(
            "no channel controls: run accent baselines SHARDS -o BASE --only silence_only --only long_term_spectrum, "
            "and name BASE beside the runs"
        )
    return found


def draw_controls(columns: Sequence[Column]) -> Plot:
    """Draw what controls reach beside the other systems: balanced accuracy of utterances and of speakers."""
    figure = go.Figure()
    chances: dict[str, float] = {}
    for number, (unit, key) in enumerate(_MEASURED):
        known = [(column.name, column.figures[key]) for column in columns if key in column.figures]
        chances |= {name: figure["chance"] for name, figure in known}
        figure.add_scatter(
            x=[one["value"] for _, one in known],
            y=[name for name, _ in known],
            error_x=bars([one for _, one in known]),
            name=unit,
            mode="markers",
            marker={"color": colour(number), "symbol": symbol(number), "size": 10},
            hovertemplate="%{y}, %{fullData.name}: %{x:.3f}<extra></extra>",
        )
    figure.add_trace(chance_marks(list(chances.items())))
    figure.update_layout(
        xaxis={"title": {"text": "balanced accuracy"}, "range": [0, 1.02]},
        yaxis={"autorange": "reversed"},
        legend={"y": -0.25},
    )
    return Plot("leakage-controls", "Controls beside the systems", figure, height=170 + 34 * len(columns))
