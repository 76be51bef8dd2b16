"""The features as the model predicts them again, beside what they are: for models of the branch `frames`.

Shapes: T frames, D columns.  Cost: a forward pass over three utterances for each run.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import plotly.graph_objects as go
import torch
from plotly.subplots import make_subplots

from accent.features.schema import family_slices
from accent.inference.model_file import load_model
from accent.model.encoder import EnhancedAccentEncoder
from launch.extraction.speaker_statistics import voices_for
from launch.html_report.files import RunFiles
from launch.html_report.look import SEQUENTIAL, colour
from launch.html_report.section import Plot, Section, listed
from launch.html_report.sections.lacking import lacks_model, lacks_shards
from shards.shard_set.manifest import ShardSet
from shards.shard_set.reader import ShardReader
from shards.shard_set.select import select_samples
from shards.splits.split import Split

EXAMPLES = 3
"""Utterances shown, of other accents where there are several."""
MOST_FRAMES = 300
SHOWN = "mel"
"""The family that is drawn; the others are given as a number."""
DIGITS = 2


class Example(NamedTuple):
    """One utterance: features in normalised units, NaN where undefined."""

    key: str
    accent: str
    target_TD: np.ndarray
    predicted_TD: np.ndarray


def section(runs: Sequence[RunFiles]) -> Section:
    """Return the section."""
    found = Section(
        "reconstruction",
        "Reconstruction",
        "The mel spectrum of unseen speakers, normalised as the model sees it, and what its reconstruction head makes "
        "of the transformer's positions. Below, the share of the variance of each family that comes back in these "
        "utterances.",
    )
    explained: dict[str, dict[str, float]] = {}
    for number, run in enumerate(runs):
        examples, line = gather(run)
        if line:
            found.missing.append(line)
        for place, example in enumerate(examples):
            if SHOWN in families_of(run):
                found.plots.append(draw(f"reconstruction-{number}-{place}", run, example))
        if examples:
            explained[run.name] = variance_explained(families_of(run), examples)
    if explained:
        found.plots.append(draw_explained(explained))
    return found


def gather(run: RunFiles) -> tuple[list[Example], str | None]:
    """Return examples of a run, or of the first fold; or a line that says why there are none."""
    if not run.model_folders:
        return [], lacks_model(run)
    folder = run.model_folders[0]
    model, _ = load_model(folder)
    if not isinstance(model, EnhancedAccentEncoder):
        return [], f"{run.name}: models of the branch phones have no reconstruction"
    if run.config is not None and run.config.losses.reconstruction == 0 and run.config.objective == "accent":
        return [], f"{run.name}: trained without reconstruction (losses.reconstruction=0)"
    if run.shard_set is None:
        return [], lacks_shards(run)
    numbers = _unseen(run.shard_set, Split.load(folder / "split.json"))
    return [_example(model, run.shard_set, number) for number in numbers], None


def families_of(run: RunFiles) -> dict[str, slice]:
    """Return where each of a model's families lies among the columns that it predicts."""
    assert run.config is not None
    found, start = {}, 0
    for name in run.config.model.ordered_families:
        width = family_slices()[name].stop - family_slices()[name].start
        found[name] = slice(start, start + width)
        start += width
    return found


def variance_explained(families: dict[str, slice], examples: Sequence[Example]) -> dict[str, float]:
    """Return for each family the share of its variance that the prediction explains, over all examples.

    1 is a perfect copy, 0 as good as the mean of these utterances.
    """
    target_TD = np.concatenate([one.target_TD for one in examples])
    predicted_TD = np.concatenate([one.predicted_TD for one in examples])
    found = {}
    for name, columns in families.items():
        target, predicted = target_TD[:, columns], predicted_TD[:, columns]
        defined = np.isfinite(target)
        count_D = np.maximum(defined.sum(0), 1)
        mean_D = np.where(defined, target, 0).sum(0) / count_D
        spread = np.where(defined, (target - mean_D) ** 2, 0).sum()
        if spread > 0:
            found[name] = float(1 - np.where(defined, (target - predicted) ** 2, 0).sum() / spread)
    return found


def draw(plot_id: str, run: RunFiles, example: Example) -> Plot:
    """Draw the mel spectrum above its reconstruction, on one scale of colours."""
    columns = families_of(run)[SHOWN]
    figure = make_subplots(
        2, 1, shared_xaxes=True, vertical_spacing=0.1, subplot_titles=("what was said", "reconstructed")
    )
    for row, (name, values_TD) in enumerate((("target", example.target_TD), ("predicted", example.predicted_TD))):
        shown_TD = values_TD[:MOST_FRAMES, columns]
        figure.add_trace(
            go.Heatmap(
                z=[listed(band_T, DIGITS) for band_T in shown_TD.T],
                dx=0.01,
                name=name,
                coloraxis="coloraxis",
                hovertemplate="%{x:.2f} s, band %{y}: %{z:.2f}<extra>%{fullData.name}</extra>",
            ),
            row + 1,
            1,
        )
    figure.update_layout(
        coloraxis={"colorscale": SEQUENTIAL, "colorbar": {"thickness": 12}},
        xaxis2={"title": {"text": "seconds"}},
        yaxis={"title": {"text": "mel band"}},
        yaxis2={"title": {"text": "mel band"}},
    )
    return Plot(plot_id, f"{run.name}: {example.key} ({example.accent})", figure, height=460)


def draw_explained(explained: dict[str, dict[str, float]]) -> Plot:
    """Draw the share of the variance of each family that comes back."""
    figure = go.Figure()
    for number, (run, mine) in enumerate(explained.items()):
        figure.add_bar(
            x=list(mine),
            y=list(mine.values()),
            name=run,
            marker={"color": colour(number)},
            hovertemplate="%{x}: %{y:.3f}<extra>%{fullData.name}</extra>",
        )
    figure.update_layout(yaxis={"title": {"text": "share of the variance"}}, showlegend=True)
    return Plot("reconstruction-explained", "Variance that comes back", figure)


def _unseen(shard_set: ShardSet, split: Split) -> list[int]:
    """Return one utterance of a few speakers: unseen ones if the shard set has them, of different accents."""
    accent_of = {one.name: one.accent for one in shard_set.manifest.speakers}
    first_of_accent: dict[str, str] = {}
    for name in (*split.test, *split.validation, *split.train):
        if name in accent_of:
            first_of_accent.setdefault(accent_of[name], name)
    return [int(select_samples(shard_set, [name])[0]) for name in list(first_of_accent.values())[:EXAMPLES]]


@torch.no_grad()
def _example(model: EnhancedAccentEncoder, shard_set: ShardSet, number: int) -> Example:
    reader = ShardReader(shard_set)
    metadata = reader.metadata(number)
    frames_1TD = torch.from_numpy(reader.frames(number).astype(np.float32))[None]
    voices = voices_for(model, shard_set)
    if voices is not None:
        voices = voices.rows(torch.tensor([int(shard_set.index["speaker"][number])]))
    output = model(frames_1TD, torch.ones(frames_1TD.shape[:2], dtype=torch.bool), voices)
    target_TD = torch.where(output.target_mask_BTD, output.target_BTD, torch.nan)[0]
    return Example(metadata["key"], metadata["accent"], target_TD.numpy(), output.reconstruction_BTD[0].float().numpy())
