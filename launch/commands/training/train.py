"""`accent train`: the training program, in one process or in several."""

import os
import runpy
import sys
from typing import Annotated

import typer

from launch.commands.options import Overrides


def train(
    config: Annotated[
        str, typer.Argument(metavar="CONFIG", help="A run's configuration, such as configs/l2arctic.yaml.")
    ],
    overrides: Overrides = None,
    launcher: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="Start it by accelerate launch with this file, such as configs/accelerate/node.yaml.",
        ),
    ] = None,
    processes: Annotated[
        int | None, typer.Option(min=1, help="Processes on this machine, in place of the number in FILE.")
    ] = None,
) -> None:
    """Train as a configuration says; rerun the same command to resume.

    It is `python -m launch.train`, or with --launcher `accelerate launch -m launch.train`, but for the ending: one line
    and a status that says what happened (2 a fault to mend, 75 preempted, 130 Ctrl-C).

    Example: accent train configs/l2arctic.yaml --launcher configs/accelerate/node.yaml
    """
    from accent.errors import AccentError

    words = [config, *(overrides or []), *(["--debug"] if "--debug" in sys.argv else [])]
    if launcher is not None:
        from launch.run_config import find_config
        from launch.runtime.launcher import launch_training

        status = launch_training(words, find_config(launcher, "accelerate"), processes)
        # The training has said how it ended; a SystemExit of 130 would say it again.
        sys.stdout.flush()
        os._exit(status)
    if processes is not None:
        raise AccentError("--processes: give --launcher too, such as configs/accelerate/cpu.yaml")
    sys.argv = ["launch.train", *words]
    runpy.run_module("launch.train", run_name="__main__", alter_sys=True)
