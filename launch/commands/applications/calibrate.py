"""`accent calibrate`: what a model's answers are worth, measured and kept beside it."""

from pathlib import Path
from typing import Annotated

import typer


def calibrate(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a training run.")],
    shards: Annotated[
        Path | None,
        typer.Argument(metavar="SHARDS", help="Its shard set; the one it was trained on if left out."),
    ] = None,
    crossval: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            help="A finished accent crossval of the run's configuration; measure the speakers that its folds tested.",
        ),
    ] = None,
    device: Annotated[str | None, typer.Option(help="cpu, cuda or cuda:N; a GPU if there is one.")] = None,
) -> None:
    """Measure what a run's answers are worth, on its validation speakers, and what its accents are like.

    identify, verify, score --target, condition and convert-eval need it.  Without validation speakers the training
    speakers are measured, and the result says so.  A cross-validation measures many speakers that no model heard.

    Example: accent calibrate runs/l2arctic
    """
    from launch.applications.calibrate import calibrate_run
    from launch.reporting.calibration_table import calibration_table
    from launch.terminal import TerminalConsole

    TerminalConsole().print(*calibration_table(calibrate_run(run, shards, device, crossval)))
