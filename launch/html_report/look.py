"""Colours, markers and the two themes of the page.  Cost: none."""

from typing import Any

PALETTE = ("#0072B2", "#D98C00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9", "#808080", "#AA4499")
"""Colours that people with any common colour vision tell apart, after Okabe & Ito, Color Universal Design, 2008; their
black and yellow are replaced: one is lost on a dark page, the other on a light one."""
SYMBOLS = ("circle", "triangle-up", "square", "diamond", "triangle-down", "cross", "x", "star")
DASHES = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot")
SEQUENTIAL = "Viridis"
NEUTRAL = "#808080"
"""Of chance, and of error bars that lie on coloured bars."""


def colour(number: int) -> str:
    """Return the colour of the n-th name; after eight they come back, with other markers."""
    return PALETTE[number % len(PALETTE)]


def symbol(number: int) -> str:
    """Return the marker of the n-th name; with the colour it is another for each of 64 names."""
    return SYMBOLS[(number + number // len(PALETTE)) % len(SYMBOLS)]


def faint(number: int, share: float = 0.2) -> str:
    """Return the colour of the n-th name, transparent: for bands."""
    red, green, blue = (int(colour(number)[at : at + 2], 16) for at in (1, 3, 5))
    return f"rgba({red},{green},{blue},{share})"


def dash(number: int) -> str:
    """Return the line style of the n-th run."""
    return DASHES[number % len(DASHES)]


def themes() -> dict[str, dict[str, Any]]:
    """Return plotly's templates of the light and of the dark page, by name."""
    return {
        "light": _theme("#1f2328", "#d8dee4", "#ffffff", [[0, "#f6f8fa"], [1, "#0072B2"]]),
        "dark": _theme("#e6edf3", "#3d444d", "#1c2128", [[0, "#151b23"], [1, "#56B4E9"]]),
    }


def _theme(text: str, grid: str, box: str, shares: list[list[Any]]) -> dict[str, Any]:
    """Return a template; `shares` is the scale of heatmaps that name none, from the colour of the page to a strong one.

    Plotly chooses the colour of text on a cell by the cell's colour, so no colour of the scale is transparent.
    """
    axis = {
        "gridcolor": grid,
        "linecolor": grid,
        "zerolinecolor": grid,
        "automargin": True,
        "title": {"standoff": 8},
        "ticks": "",
    }
    return {
        "data": {"heatmap": [{"colorscale": shares}]},
        "layout": {
            "paper_bgcolor": "rgba(0,0,0,0)",
            "plot_bgcolor": "rgba(0,0,0,0)",
            "font": {"color": text, "family": "system-ui, sans-serif", "size": 13},
            "xaxis": axis,
            "yaxis": axis,
            "colorway": list(PALETTE),
            "legend": {"orientation": "h", "y": -0.18, "yanchor": "top", "x": 0},
            "margin": {"l": 48, "r": 16, "t": 44, "b": 48},
            "hoverlabel": {"bgcolor": box, "font": {"color": text}},
            "updatemenudefaults": {"bgcolor": box, "bordercolor": grid, "font": {"color": text}},
            "hovermode": "closest",
            "modebar": {"bgcolor": "rgba(0,0,0,0)", "color": grid, "activecolor": text},
        },
    }
