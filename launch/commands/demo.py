"""`accent demo`: the whole system on one machine."""

from pathlib import Path
from typing import Annotated

import typer


def demo(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="Folder for everything the demo makes.")] = Path(
        "demo"
    ),
) -> None:
    """Run the whole system on this machine, on speech it synthesises itself; a few minutes on two cores.

    Example: accent demo demo
    """
    from launch.demo import run_demo

    run_demo(folder)
