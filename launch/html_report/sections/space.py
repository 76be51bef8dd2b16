"""Maps of the embedding space: recordings by accent, by speaker, by sex; speakers; a point plays its sound.

The plane is that of the two principal components of the embeddings: a linear view, in which distances mean something.
UMAP (McInnes et al., 2018) shows neighbourhoods instead; the distances between far groups mean nothing in it.  Folds of
a cross-validation have embeddings in spaces of their own, so each has a map of its own.

Shapes: N recordings, S speakers, E embedding.  Cost: milliseconds; UMAP of 1,500 recordings takes 3 s of one core, and
14 s more to compile.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import plotly.graph_objects as go
from sklearn.decomposition import PCA

from accent.metrics.estimate import thin
from launch.html_report.files import RunFiles
from launch.html_report.look import colour, symbol
from launch.html_report.section import Plot, Section, add_buttons, listed
from launch.html_report.sections.lacking import lacks_evaluation, lacks_model

MOST_POINTS = 750
"""Recordings drawn of the unseen and of the training speakers each; evenly over speakers."""
FAINT = 0.35
HINT = "<br>click to hear"


class Axes(NamedTuple):
    """What the two coordinates are."""

    x: str
    y: str


@dataclass(frozen=True, eq=False)
class Space:
    """Recordings in the plane."""

    name: str
    """Of the run, or of its fold."""
    point_N2: np.ndarray
    axes: Axes
    key_N: np.ndarray
    speaker_N: np.ndarray
    accent_N: np.ndarray
    """Names."""
    sex_N: np.ndarray
    """Names; "" where unknown."""
    unseen_N: np.ndarray
    heard_N: np.ndarray
    """Whether the page has the sound."""
    accents: list[str]


Project = Callable[[np.ndarray], tuple[np.ndarray, Axes]]
"""Embeddings [N, E] -> points [N, 2]."""


def section(runs: Sequence[RunFiles], heard: Collection[str] = (), umap: bool = False, seed: int = 0) -> Section:
    """Return the section.

    Args:
        runs: what is shown.
        heard: keys of the recordings that the page has the sound of.
        umap: whether UMAP's maps come beside those of the principal components.
        seed: of the recordings drawn and of UMAP.
    """
    found = Section(
        "space",
        "Maps of accents and speakers",
        "Unseen speakers are strong, training speakers faint. The buttons colour the same points by accent, by "
        "speaker or by sex. A click on an entry of the legend hides it, a double click shows it alone. "
        "A click on a point plays its recording, where the page has sound.",
    )
    projections: list[tuple[str, Project]] = [("pca", principal_components)]
    if umap:
        projections.append(("umap", lambda embeddings_NE: neighbourhoods(embeddings_NE, seed)))
    for number, run in enumerate(runs):
        for name, project in projections:
            spaces = gather(run, project, heard, seed)
            if not spaces:
                found.missing.append(lacks_model(run) if run.kind == "baselines" else lacks_evaluation(run))
                break
            if run.kind == "run":
                found.plots.append(draw_recordings(f"space-{name}-recordings-{number}", spaces[0]))
                found.plots.append(draw_speakers(f"space-{name}-speakers-{number}", spaces[0]))
            else:
                found.plots.append(draw_folds(f"space-{name}-folds-{number}", f"{run.name}: unseen recordings", spaces))
    return found


def gather(run: RunFiles, project: Project, heard: Collection[str] = (), seed: int = 0) -> list[Space]:
    """Project a run's recordings, or those of each fold; none where nothing was embedded."""
    if run.embeddings is not None:
        training, unseen, accents = run.embeddings
        kept = [thin(part.speaker_N, MOST_POINTS, seed) for part in (training, unseen)]
        parts = list(zip((training, unseen), kept, strict=True))

        def joined(field: str) -> np.ndarray:
            return np.concatenate([getattr(part, field)[rows] for part, rows in parts])

        point_N2, axes = project(joined("embedding_NE"))
        return [
            Space(
                run.name,
                point_N2,
                axes,
                joined("key_N"),
                joined("speaker_N"),
                np.array(accents)[joined("accent_N")],
                joined("sex_N"),
                np.arange(len(point_N2)) >= len(kept[0]),
                np.isin(joined("key_N"), list(heard)),
                accents,
            )
        ]
    spaces = []
    for fold, predictions in run.predictions:
        singles = predictions.rows(predictions.size_G == 1)
        rows = thin(singles.speaker_G, MOST_POINTS, seed)
        point_N2, axes = project(singles.embedding_GE[rows])
        accents = singles.accents.tolist()
        spaces.append(
            Space(
                fold.name,
                point_N2,
                axes,
                singles.key_G[rows],
                singles.speaker_G[rows],
                singles.accents[singles.accent_G[rows]],
                np.full(len(point_N2), ""),
                np.ones(len(point_N2), dtype=bool),
                np.isin(singles.key_G[rows], list(heard)),
                accents,
            )
        )
    return spaces


def principal_components(embeddings_NE: np.ndarray) -> tuple[np.ndarray, Axes]:
    """Project on the two directions of the largest variance."""
    analysis = PCA(2, svd_solver="full").fit(embeddings_NE)
    shares = analysis.explained_variance_ratio_
    axes = Axes(*(f"component {n + 1} ({share:.0%} of the variance)" for n, share in enumerate(shares)))
    return analysis.transform(embeddings_NE), axes


def neighbourhoods(embeddings_NE: np.ndarray, seed: int) -> tuple[np.ndarray, Axes]:
    """Project by UMAP of cosine distances."""
    from umap import UMAP

    neighbours = min(15, len(embeddings_NE) - 1)
    reducer = UMAP(n_neighbors=neighbours, metric="cosine", random_state=seed, n_jobs=1)
    return reducer.fit_transform(embeddings_NE), Axes("UMAP 1", "UMAP 2")


def draw_recordings(plot_id: str, space: Space) -> Plot:
    """Draw all recordings; buttons colour them by accent, by speaker or by sex."""
    sexes = [sex for sex in ("female", "male") if (space.sex_N == sex).any()]
    ways = [("by accent", by_accent(space)), ("by speaker", by_speaker(space))]
    if sexes:
        ways.append(
            ("by sex", [trace for n, sex in enumerate(sexes) for trace in _both(space, space.sex_N == sex, sex, n)])
        )
    figure = _switched(space.axes, ways)
    n_unseen, n_training = (len(set(space.speaker_N[rows])) for rows in (space.unseen_N, ~space.unseen_N))
    title = f"{space.name}: recordings of {n_unseen} unseen and {n_training} training speakers"
    return Plot(plot_id, title, figure, height=560)


def draw_speakers(plot_id: str, space: Space) -> Plot:
    """Draw a point for each speaker, the mean of their recordings, in the same plane."""
    figure = go.Figure()
    for number, accent in enumerate(space.accents):
        for unseen in (True, False):
            rows = (space.accent_N == accent) & (space.unseen_N == unseen)
            names = sorted(set(space.speaker_N[rows]))
            if not names:
                continue
            mean_S2 = np.stack([space.point_N2[rows & (space.speaker_N == name)].mean(0) for name in names])
            sexes = [space.sex_N[space.speaker_N == name][0] for name in names]
            first_heard = [next(iter(space.key_N[(space.speaker_N == name) & space.heard_N]), "") for name in names]
            figure.add_scatter(
                x=listed(mean_S2[:, 0]),
                y=listed(mean_S2[:, 1]),
                text=names,
                customdata=[
                    [str(key), accent, str(sex), HINT if key else ""]
                    for key, sex in zip(first_heard, sexes, strict=True)
                ],
                textposition="top center",
                name=accent if unseen else f"{accent}, training",
                mode="markers+text" if unseen and len(names) <= 12 else "markers",
                marker=_marker(number, unseen, 12),
                hovertemplate="%{text} (%{customdata[1]}) %{customdata[2]}%{customdata[3]}<extra></extra>",
            )
    _label(figure, space.axes)
    return Plot(plot_id, f"{space.name}: speakers (means of their recordings)", figure, height=560)


def draw_folds(plot_id: str, title: str, spaces: Sequence[Space]) -> Plot:
    """Draw the recordings of each fold by accent; buttons choose the fold."""
    figure = _switched(spaces[0].axes, [(space.name, by_accent(space)) for space in spaces])
    return Plot(plot_id, title, figure, "Each fold has a space of its own.", height=560)


def by_accent(space: Space) -> list[go.Scatter]:
    """Return two traces for each accent: unseen and training speakers."""
    return [
        trace
        for number, accent in enumerate(space.accents)
        for trace in _both(space, space.accent_N == accent, accent, number)
    ]


def by_speaker(space: Space) -> list[go.Scatter]:
    """Return a trace for each unseen speaker, and one for all training speakers."""
    training = _trace(space, ~space.unseen_N, "training speakers", 6, False)
    order = {accent: number for number, accent in enumerate(space.accents)}
    accent_of = dict(zip(space.speaker_N, space.accent_N, strict=True))
    names = sorted(set(space.speaker_N[space.unseen_N]), key=lambda name: (order[accent_of[name]], name))
    unseen = [
        _trace(space, space.unseen_N & (space.speaker_N == name), f"{name} ({accent_of[name]})", number, True)
        for number, name in enumerate(names)
    ]
    return [*unseen, *([training] if len(training.x) else [])]


def _both(space: Space, rows_N: np.ndarray, name: str, number: int) -> list[go.Scatter]:
    traces = [
        _trace(space, rows_N & space.unseen_N, name, number, True),
        _trace(space, rows_N & ~space.unseen_N, f"{name}, training", number, False),
    ]
    return [trace for trace in traces if len(trace.x)]


def _trace(space: Space, rows_N: np.ndarray, name: str, number: int, unseen: bool) -> go.Scatter:
    return go.Scatter(
        x=listed(space.point_N2[rows_N, 0]),
        y=listed(space.point_N2[rows_N, 1]),
        customdata=np.stack([space.key_N, space.accent_N, space.speaker_N, _hints(space)], axis=1)[rows_N].tolist(),
        name=name,
        mode="markers",
        marker=_marker(number, unseen, 9),
        hovertemplate="%{customdata[0]}<br>%{customdata[2]} (%{customdata[1]})%{customdata[3]}<extra></extra>",
    )


def _hints(space: Space) -> np.ndarray:
    return np.where(space.heard_N, HINT, "")


def _marker(number: int, unseen: bool, size: int) -> dict[str, object]:
    return {
        "color": colour(number),
        "symbol": symbol(number),
        "size": size if unseen else size - 3,
        "opacity": 0.95 if unseen else FAINT,
    }


def _switched(axes: Axes, ways: Sequence[tuple[str, list[go.Scatter]]]) -> go.Figure:
    """Put several sets of traces into one figure, with a button for each."""
    figure = go.Figure([trace for _, traces in ways for trace in traces])
    way_of_trace = [way for way, (_, traces) in enumerate(ways) for _ in traces]
    _label(figure, axes)
    add_buttons(figure, [name for name, _ in ways], way_of_trace)
    return figure


def _label(figure: go.Figure, axes: Axes) -> None:
    figure.update_layout(
        xaxis={"title": {"text": axes.x}, "zeroline": False, "scaleanchor": "y", "constrain": "domain"},
        yaxis={"title": {"text": axes.y}, "zeroline": False},
    )
