"""`accent average`: one model of a run's best checkpoints."""

from pathlib import Path
from typing import Annotated

import typer


def average(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a training run.")],
    best: Annotated[int, typer.Option(min=2, help="How many of its best checkpoints, by validation.")],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="OUT", help="Folder to make; RUN/average if left out.")
    ] = None,
) -> None:
    """Average the weights of a run's best checkpoints into a model that other commands take like a run.

    Example: accent average runs/l2arctic --best 5
    """
    from launch.training.average import average_run

    folder = run / "average" if output is None else output
    made = average_run(run, best, folder)
    steps = ", ".join(f"{step} ({score:.3f})" for step, score in made.scores.items())
    print(f"{folder}: the mean of the checkpoints at steps {steps}, by {made.metric}")
