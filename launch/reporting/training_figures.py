"""Pictures of a validation while a run trains: its confusion matrix, and a map of its embeddings.

Smaller and faster than those of an evaluation (`figures.py`), since a run draws many.  Cost: drawing with matplotlib.

Shape legend: N utterances, A accents, H and W pixels.
"""

from collections.abc import Sequence

import matplotlib
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from launch.reporting.figures import draw_matrix, look

_PLAIN_TEXT = matplotlib.rc_context({"text.parse_math": False})
"""Names are people's own: `A$\\frac B$` is no formula."""


@_PLAIN_TEXT
def confusion_figure(counts_AA: np.ndarray, accents: Sequence[str]) -> Figure:
    """Draw how often the accent head told each accent for each.

    Args:
        counts_AA: utterances by true accent (rows) and accent told.
        accents: their names.
    """
    size = max(4.2, 0.8 * len(accents) + 1.6)
    figure = Figure(figsize=(size, size), layout="constrained")
    axes = figure.subplots()
    draw_matrix(axes, counts_AA, accents)
    right, all_of_them = int(counts_AA.trace()), int(counts_AA.sum())
    axes.set_title(f"{right} of {all_of_them} utterances told right", fontsize=10)
    return figure


@_PLAIN_TEXT
def map_figure(point_N2: np.ndarray, accent_N: Sequence[str]) -> Figure:
    """Draw utterances as points, coloured by accent.

    Args:
        point_N2: where each lies.
        accent_N: the name of each one's accent.
    """
    figure = Figure(figsize=(6, 6), layout="constrained")
    axes = figure.subplots()
    names = np.array(accent_N)
    for number, name in enumerate(sorted(set(accent_N))):
        colour, marker = look(number)
        rows = names == name
        axes.scatter(point_N2[rows, 0], point_N2[rows, 1], s=24, c=colour, marker=marker, alpha=0.8, label=name)
    axes.set_aspect("equal", adjustable="datalim")
    axes.set_title("validation utterances on their two principal axes", fontsize=10)
    axes.tick_params(labelsize=8)
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.05), ncols=3, fontsize=9, frameon=False)
    return figure


def pixels(figure: Figure) -> np.ndarray:
    """Return a figure as an image, uint8 `[H, W, 3]`."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()
