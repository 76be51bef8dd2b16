"""What each part of the phonetic encoder is worth: the same cross-validation with and without it.

    accent crossval configs/saa8k.yaml SHARDS --folds configs/protocols/saa8k.json --seeds 0,1,2 -o runs/crossval-saa8k
    python -m tests.benchmarks.ablation SHARDS --whole runs/crossval-saa8k --seeds 0,1,2

The first command trains the whole system; every row here leaves one thing out or puts another in its place, on the
same folds and seeds.  Rows that do not change the phone heads take those of the whole system.  A row is a
cross-validation of its own, so the command can be stopped and continued, and its runs can be looked at.  `difference`
is the row minus the whole system on the same speakers; its interval is a bootstrap over speakers.

Cost: about two minutes a fold and seed on one core for a row that takes the heads, about six for one that trains them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from rich.console import Console
from rich.table import Table

from accent.metrics import classification_over_seeds, confusion_by_speaker
from accent.metrics.classification import scores_of_confusion
from accent.model.config import ModelConfig
from launch.commands.evaluation.fold_options import parse_seeds
from launch.evaluation.crossval import plan_crossval, run_all
from launch.evaluation.fold_run import PREDICTIONS, FoldRun, planned_runs
from launch.evaluation.folds import FoldConfig
from launch.evaluation.group_predictions import GroupPredictions, concatenate

DRAWS = 2_000
"""Bootstrap samples of the speakers."""


@dataclass(frozen=True)
class Row:
    """One change of the configuration."""

    name: str
    words: tuple[str, ...]
    """`key=value` words."""
    trains_heads: bool = False
    """Whether the phone heads change too."""


def _without_views(*names: str) -> str:
    kept = [view for view in ModelConfig().views if view not in names]
    return f"model.views=[{','.join(kept)}]"


ROWS: tuple[Row, ...] = (
    Row("without context", ("model.views=[spectrum,formants,voice,confusion,duration]",)),
    Row("without spectrum", (_without_views("spectrum", "spectrum_in_context"),)),
    Row("without formants", (_without_views("formants_in_context"),)),
    Row("without voice", (_without_views("voice_in_context"),)),
    Row("without confusion", (_without_views("confusion", "confusion_in_context"),)),
    Row("without duration", (_without_views("duration"),)),
    Row("fusion weights fixed", ("optimizer.fusion_lr_factor=1e-6",)),
    Row("cross-entropy alone", ("losses.contrastive=0.0",)),
    Row("with triplet loss", ("losses.triplet=0.5",)),
    Row("angular margin head", ("losses.head=aam",)),
    Row("with a speaker adversary", ("losses.adversary=0.3",)),
    Row("without dropout", ("model.dropout=0.0",)),
    Row("without weight decay", ("optimizer.weight_decay=0.0",)),
    Row("embedding of 64", ("model.embedding_dim=64",)),
    Row("128 directions", ("model.directions=128",)),
    Row("one utterance a row", ("batch.utterances_per_speaker=1", "batch.speakers_per_accent=12")),
    Row("normalised by corpus", ("model.normalisation=corpus",), trains_heads=True),
    Row(
        "phone heads on perturbed speech",
        (
            "augmentation.vocal_tract=0.1",
            "augmentation.equaliser_db=6.0",
            "augmentation.noise_snr_db=15.0",
            "augmentation.time_masks=2",
        ),
        trains_heads=True,
    ),
    Row("phone heads trained a quarter", ("phones.epochs=7",), trains_heads=True),
)


def main(
    shards: Annotated[Path, typer.Argument(help="Shard set of the whole system.")],
    whole: Annotated[Path, typer.Option(help="Folder of the finished cross-validation of the whole system.")],
    config: Annotated[str, typer.Option(help="Its configuration.")] = "configs/saa8k.yaml",
    folds: Annotated[str, typer.Option(help="Its protocol.")] = "configs/protocols/saa8k.json",
    seeds: Annotated[str, typer.Option(help="Seeds, some of its own.")] = "0",
    rows: Annotated[str | None, typer.Option(help="Names of rows, separated by commas; all if left out.")] = None,
    output: Annotated[Path, typer.Option(help="Folder; a row's cross-validation is in one of its name.")] = Path(
        "runs/ablation"
    ),
    jobs: Annotated[int, typer.Option(min=1, help="Runs to train at the same time.")] = 1,
) -> None:
    """Cross-validate every row and print the table."""
    wanted = [row.strip() for row in rows.split(",")] if rows else [row.name for row in ROWS]
    unknown = sorted(set(wanted) - {row.name for row in ROWS})
    if unknown:
        raise typer.BadParameter(f"no row named {unknown[0]}; there are: {', '.join(row.name for row in ROWS)}")
    chosen = parse_seeds(seeds)
    protocol = FoldConfig(folds)
    reference = [run for run in planned_runs(whole) if run.seed in chosen]
    table = Table("change", "speakers", "difference", "utterances", "difference", title="balanced accuracy")
    table.add_row("the whole system", *_cells(reference, reference))
    for row in ROWS:
        if row.name not in wanted:
            continue
        folder = output / row.name.replace(" ", "-")
        heads = None if row.trains_heads else whole
        runs = plan_crossval(config, shards, folder, protocol, chosen, row.words, heads)
        run_all(runs, folder, jobs, partial(print, f"{row.name}:", flush=True))
        table.add_row(row.name, *_cells(runs, reference))
    Console().print(table)


def _cells(runs: Sequence[FoldRun], reference: Sequence[FoldRun]) -> list[str]:
    cells = []
    for of_speakers in (True, False):
        counts_KSAA = _counts(runs, of_speakers)
        figure = classification_over_seeds(counts_KSAA)["balanced_accuracy"]
        assert figure.interval is not None
        low, high = figure.interval
        cells.append(f"{figure.value:.3f} [{low:.2f}, {high:.2f}]")
        if runs is reference:
            cells.append("")
            continue
        low, high = difference_interval(counts_KSAA.sum(0), _counts(reference, of_speakers).sum(0))
        cells.append(f"[{low:+.3f}, {high:+.3f}]")
    return cells


def _counts(runs: Sequence[FoldRun], of_speakers: bool) -> np.ndarray:
    """Return each speaker's decisions by seed, true and told accent, `[K, S, A, A]`."""
    by_seed = []
    for seed in sorted({run.seed for run in runs}):
        rows = concatenate([GroupPredictions.load(run.folder / PREDICTIONS) for run in runs if run.seed == seed])
        rows = rows.rows(rows.whole_G if of_speakers else rows.size_G == 1)
        by_seed.append(confusion_by_speaker(rows.accent_G, rows.told(), rows.speaker_G, len(rows.accents)))
    return np.stack(by_seed)


def difference_interval(one_SAA: np.ndarray, other_SAA: np.ndarray, seed: int = 0) -> tuple[float, float]:
    """Return the 95 % interval of a difference in balanced accuracy between systems tested on the same speakers.

    Args:
        one_SAA: decisions of one system by speaker, true and told accent.
        other_SAA: those of the other, speakers in the same order.
        seed: of the bootstrap.

    >>> told = np.stack([np.eye(2)[[0, 0]] * [[1], [0]], np.eye(2)[[1, 1]] * [[0], [1]]] * 3)
    >>> difference_interval(told, told)
    (0.0, 0.0)
    """
    rng = np.random.default_rng(seed)
    speakers = len(one_SAA)
    accent_S = one_SAA.sum(2).argmax(1)
    # Drawn within accents, so that no draw lacks one.
    weights_RS = np.zeros((DRAWS, speakers))
    for accent in np.unique(accent_S):
        members = np.flatnonzero(accent_S == accent)
        weights_RS[:, members] = rng.multinomial(len(members), np.full(len(members), 1 / len(members)), DRAWS)
    by_system = [
        scores_of_confusion(np.tensordot(weights_RS, counts_SAA, axes=1))["balanced_accuracy"]
        for counts_SAA in (one_SAA, other_SAA)
    ]
    low, high = np.quantile(by_system[0] - by_system[1], [0.025, 0.975])
    return float(low), float(high)


if __name__ == "__main__":
    typer.run(main)
