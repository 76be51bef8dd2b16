"""Options of the commands that ask a trained model about sound."""

from pathlib import Path
from typing import Annotated

import typer

Model = Annotated[
    Path, typer.Argument(metavar="RUN", help="Folder of a training run, or of an exported model; calibrated.")
]
Inputs = Annotated[
    list[str],
    typer.Argument(metavar="INPUT...", help="Sound files, folders of them, or - for one sound file on stdin."),
]
SpeakerFrom = Annotated[
    str | None,
    typer.Option(
        metavar="folder|name|TABLE",
        help="Who speaks: the folder's name, what comes first in the file's name (up to - _ or .), or a table with the "
        "columns path and speaker.",
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object a line.")]
Workers = Annotated[int, typer.Option(min=1, help="Processes that make the features.")]
Device = Annotated[str, typer.Option(help="cpu, cuda or cuda:N.")]
