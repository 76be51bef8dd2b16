"""`accent evaluate`: a run on speakers it never saw."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from launch.commands.options import show


def evaluate(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a training run.")],
    shards: Annotated[Path, typer.Argument(metavar="SHARDS", help="Folder of a shard set.")],
    split: Annotated[Literal["test", "validation"], typer.Option(help="Which held-out speakers to evaluate.")] = "test",
    training_shards: Annotated[
        Path | None,
        typer.Option(help="The shard set the run was trained on, if SHARDS is another corpus and the run has moved."),
    ] = None,
    leave_out_families: Annotated[
        bool, typer.Option("--leave-out-families", help="Measure what leaving each feature family out costs.")
    ] = False,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", help="Folder to write to; RUN/evaluation if left out, in place of what is there."
        ),
    ] = None,
) -> None:
    """Measure a run on speakers it never saw: tables, one JSON, pictures.

    Example: accent evaluate runs/l2arctic runs/shards/l2arctic
    """
    from launch.evaluation.evaluate import evaluate_run

    result = evaluate_run(
        run,
        shards,
        split=split,
        output=output,
        training_shards=training_shards,
        leave_out_families=leave_out_families,
    )
    show(result.table)
    print(f"figures and pictures are in {result.folder}")
