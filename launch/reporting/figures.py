"""Pictures of an evaluation: the embedding space, confusion matrices, fusion weights, unknown accents.

Matplotlib is used through its objects, without pyplot's global state.  Shapes: N recordings, E embedding, A accents.
Cost: t-SNE of 1,500 recordings takes about 15 s on one core.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from sklearn.manifold import TSNE

from accent.files import replacing
from accent.metrics.estimate import thin, unit_length
from launch.extraction.recordings import Recordings
from launch.reporting.tables import TITLES

PALETTE = ("#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9", "#000000", "#882255")
"""Colours that people with any common colour vision tell apart, after Okabe & Ito, Color Universal Design, 2008; a
wine red stands for their yellow, which white swallows."""
MARKERS = ("o", "^", "s", "D", "v", "P", "X", "*")
MOST_POINTS = 1_500
MOST_NAMES = 24
FAINT = 0.4
_PLAIN_TEXT = matplotlib.rc_context({"text.parse_math": False})
"""Names are people's own: `A$\\frac B$` is no formula."""


@_PLAIN_TEXT
def draw_space(path: Path, training: Recordings, tested: Recordings, accents: Sequence[str], seed: int = 0) -> Path:
    """Draw the embedding space in two dimensions, by accent and by speaker, side by side.

    t-SNE (van der Maaten & Hinton, JMLR 9, 2008) of cosine distances: near points are near in the embedding space; the
    distances between far groups mean nothing.  Training speakers are faint, unseen ones strong.

    Args:
        path: the PNG to write.
        training: recordings of the training speakers.
        tested: recordings of the unseen speakers.
        accents: names of the accents.
        seed: of t-SNE, and of the recordings drawn above 1,500.

    Returns:
        The path.
    """
    kept_training = thin(training.speaker_N, MOST_POINTS // 2, seed)
    kept_tested = thin(tested.speaker_N, MOST_POINTS // 2, seed)
    embeddings = np.concatenate([training.embedding_NE[kept_training], tested.embedding_NE[kept_tested]])
    accent_N = np.concatenate([training.accent_N[kept_training], tested.accent_N[kept_tested]])
    speaker_N = np.concatenate([training.speaker_N[kept_training], tested.speaker_N[kept_tested]])
    unseen_N = np.arange(len(embeddings)) >= len(kept_training)
    point_N2 = _two_dimensions(embeddings, seed)

    figure = Figure(figsize=(14.5, 7), layout="constrained")
    by_accent, by_speaker = figure.subplots(1, 2)
    n_training, n_tested = len(set(training.speaker_N)), len(set(tested.speaker_N))
    figure.suptitle(
        f"Embedding space (t-SNE of cosine distances): {int(unseen_N.sum())} recordings of {n_tested} unseen speakers "
        f"among {int((~unseen_N).sum())} of {n_training} training speakers",
        fontsize=13,
    )
    _scatter_accents(by_accent, point_N2, accent_N, unseen_N, accents)
    _scatter_speakers(by_speaker, point_N2, accent_N, speaker_N, unseen_N, accents)
    for axes in (by_accent, by_speaker):
        axes.set_xticks([])
        axes.set_yticks([])
        axes.margins(0.04)
    return _write(figure, path)


@_PLAIN_TEXT
def draw_confusion(path: Path, report: Mapping[str, Any], accents: Sequence[str]) -> Path:
    """Draw a confusion matrix for each classifier: rows are true accents, cells give counts and the row's share.

    Args:
        path: the PNG to write.
        report: what `launch.evaluation.measures.measure` returns.
        accents: names of the accents, in label order.

    Returns:
        The path.
    """
    confusion = report["confusion"]
    size = max(4.6, 0.95 * len(accents) + 1.8)
    figure = Figure(figsize=(2 * size + 0.6, -(-len(confusion) // 2) * size), layout="constrained")
    grid = figure.subplots(-(-len(confusion) // 2), 2, squeeze=False).ravel()
    for axes, (classifier, counts) in zip(grid, confusion.items(), strict=False):
        accuracy = report["classification"][classifier]["accuracy"]
        draw_matrix(axes, np.array(counts), accents)
        axes.set_title(f"{TITLES[classifier]}: accuracy {accuracy['value']:.2f}, chance {accuracy['chance']:.2f}")
    for axes in grid[len(confusion) :]:
        axes.set_axis_off()
    basis = report["classification"]["linear_probe"]["accuracy"]["basis"]
    figure.suptitle(f"Accents told for unseen speakers ({basis})", fontsize=13)
    figure.colorbar(grid[0].images[0], ax=list(grid), label="share of the true accent's recordings", shrink=0.6)
    return _write(figure, path)


@_PLAIN_TEXT
def draw_fusion(path: Path, weights: Mapping[str, float]) -> Path:
    """Draw how much each feature family weighs in the model's fusion.

    Args:
        path: the PNG to write.
        weights: family -> weight.

    Returns:
        The path.
    """
    names = sorted(weights, key=lambda name: weights[name])
    values = [weights[name] for name in names]
    figure = Figure(figsize=(7, 0.45 * len(names) + 1.4), layout="constrained")
    axes = figure.subplots()
    axes.barh([f"{name}  {weights[name]:.3f}" for name in names], values, color=PALETTE[0])
    axes.axvline(1 / len(names), color="black", linestyle="--", linewidth=1)
    axes.set_title(f"Fusion weights of {len(names)} feature families (dashed: equal weights)")
    axes.set_xlabel("share of the fused stream")
    axes.spines[["top", "right"]].set_visible(False)
    return _write(figure, path)


@_PLAIN_TEXT
def draw_unknown(path: Path, section: Mapping[str, Any]) -> Path:
    """Draw the ROC of noticing accents never trained on, and where the threshold lies.

    Args:
        path: the PNG to write.
        section: what `launch.evaluation.unknown_accents.measure_unknown` returns, with "accents".

    Returns:
        The path.
    """
    figure = Figure(figsize=(5.5, 5.5), layout="constrained")
    axes = figure.subplots()
    axes.plot([0, 1], [0, 1], color="black", linestyle="--", linewidth=1)
    for number, unit in enumerate(("recordings", "speakers")):
        found = section[unit]
        label = f"{unit}, area {found['auroc']['value']:.3f}"
        axes.plot(found["false_unknown_curve"], found["detected_curve"], color=PALETTE[number], label=label)
        for mark, rates in zip(MARKERS, found["thresholds"].values(), strict=False):
            axes.plot(rates["false_unknown"], rates["detected"], color=PALETTE[number], marker=mark)
    axes.set_title("Unknown accents (o: threshold of the training speakers, ^: of the validation speakers)", fontsize=9)
    axes.set_xlabel("known accents called unknown")
    axes.set_ylabel("unknown accents noticed")
    axes.legend(loc="lower right", frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    return _write(figure, path)


def _two_dimensions(embeddings_NE: np.ndarray, seed: int) -> np.ndarray:
    embeddings = unit_length(embeddings_NE)
    # Van der Maaten & Hinton advise 5 to 50 neighbours; many of few points would blur them into one cloud.
    perplexity = min(30.0, max(5.0, len(embeddings) / 8), (len(embeddings) - 1) / 3)
    return TSNE(metric="cosine", init="random", perplexity=perplexity, random_state=seed).fit_transform(embeddings)


def look(number: int) -> tuple[str, str]:
    """Return colour and marker of the n-th name; after eight, the same colours come back with other markers."""
    turn = number // len(PALETTE)
    return PALETTE[number % len(PALETTE)], MARKERS[(number + turn) % len(MARKERS)]


def _scatter_accents(
    axes: Axes, point_N2: np.ndarray, accent_N: np.ndarray, unseen_N: np.ndarray, accents: Sequence[str]
) -> None:
    entries = []
    for number, name in enumerate(accents):
        colour, marker = look(number)
        for unseen in (False, True):
            rows = (accent_N == number) & (unseen_N == unseen)
            _points(axes, point_N2[rows], colour, marker, unseen)
        n_unseen, n_training = ((accent_N == number) & unseen_N).sum(), ((accent_N == number) & ~unseen_N).sum()
        entries.append(_entry(f"{name} ({n_unseen} unseen, {n_training} training)", colour, marker))
    axes.set_title("by accent (strong: unseen speakers, faint: training speakers)", fontsize=11)
    _legend(axes, entries)


def _scatter_speakers(
    axes: Axes,
    point_N2: np.ndarray,
    accent_N: np.ndarray,
    speaker_N: np.ndarray,
    unseen_N: np.ndarray,
    accents: Sequence[str],
) -> None:
    _points(axes, point_N2[~unseen_N], "#777777", "o", unseen=False)
    entries = []
    names = sorted(set(speaker_N[unseen_N]), key=lambda name: (int(accent_N[speaker_N == name][0]), name))
    for number, name in enumerate(names):
        colour, marker = look(number)
        rows = unseen_N & (speaker_N == name)
        _points(axes, point_N2[rows], colour, marker, unseen=True)
        entries.append(_entry(f"{name} ({accents[int(accent_N[rows][0])]}, {rows.sum()})", colour, marker))
    if len(entries) > MOST_NAMES:
        entries[MOST_NAMES:] = [_entry(f"and {len(entries) - MOST_NAMES} more", "none", "o")]
    entries.append(_entry(f"training speakers ({(~unseen_N).sum()})", "#BBBBBB", "o"))
    axes.set_title("by speaker (unseen speakers coloured)", fontsize=11)
    _legend(axes, entries)


def _points(axes: Axes, point_n2: np.ndarray, colour: str, marker: str, unseen: bool) -> None:
    axes.scatter(
        point_n2[:, 0],
        point_n2[:, 1],
        s=44 if unseen else 20,
        c=colour,
        marker=marker,
        alpha=0.95 if unseen else FAINT,
        linewidths=0.6 if unseen else 0,
        edgecolors="white",
        zorder=3 if unseen else 2,
    )


def _entry(label: str, colour: str, marker: str) -> Line2D:
    return Line2D([], [], linestyle="", marker=marker, color=colour, markersize=7, label=label)


def _legend(axes: Axes, entries: Sequence[Line2D]) -> None:
    axes.legend(
        handles=list(entries), loc="upper center", bbox_to_anchor=(0.5, -0.01), ncols=3, fontsize=9, frameon=False
    )


def draw_matrix(axes: Axes, counts_AA: np.ndarray, accents: Sequence[str]) -> None:
    """Draw counts by true accent (rows) and accent told, shaded by the row's share."""
    of_accent_A1 = counts_AA.sum(1, keepdims=True)
    share_AA = counts_AA / np.maximum(of_accent_A1, 1)
    axes.imshow(share_AA, cmap="Blues", vmin=0, vmax=1)
    for row, column in zip(*np.nonzero(counts_AA), strict=True):
        share = share_AA[row, column]
        text = f"{counts_AA[row, column]}\n{share:.0%}"
        colour = "white" if share > 0.55 else "black"
        axes.text(column, row, text, ha="center", va="center", fontsize=9, color=colour)
    for label in range(len(accents)):
        axes.add_patch(Rectangle((label - 0.5, label - 0.5), 1, 1, fill=False, edgecolor="#555555", linewidth=1.2))
    axes.set_xticks(range(len(accents)), accents, rotation=35, ha="right", rotation_mode="anchor")
    axes.set_yticks(range(len(accents)), [f"{name} ({n})" for name, n in zip(accents, of_accent_A1[:, 0], strict=True)])
    axes.set_xlabel("told")
    axes.set_ylabel("true (recordings)")


def _write(figure: Figure, path: Path) -> Path:
    FigureCanvasAgg(figure)
    with replacing(path) as file:
        figure.savefig(file, format="png", dpi=130)
    return path
