"""Options that `accent crossval` and `accent baselines` share."""

from pathlib import Path
from typing import Annotated

import typer

from accent.errors import AccentError

Folds = Annotated[
    str,
    typer.Option(
        help="leave-one-speaker-per-accent-out, leave-one-speaker-out, a number of folds dealt by accent and sex, or a "
        "file that assigns speakers to folds (JSON, TSV), such as configs/protocols/saa8k.json."
    ),
]
FoldSeed = Annotated[int, typer.Option(help="Seed of the deal and of the choice of validation speakers.")]
Seeds = Annotated[str, typer.Option(metavar="0,1,2", help="Seeds; figures are means over them.")]
ValidationSpeakers = Annotated[
    int, typer.Option(min=0, help="Training speakers of each accent that choose the settings inside a fold.")
]
HeldOutPrompts = Annotated[
    float, typer.Option(min=0, max=1, help="Share of the prompts that a fold tests on and never trains on.")
]
TrainingSpeakers = Annotated[
    int | None, typer.Option(min=2, help="Train on so many of each fold's speakers only, for a learning curve.")
]
Shards = Annotated[Path, typer.Argument(metavar="SHARDS", help="Folder of a shard set.")]


def parse_seeds(text: str) -> list[int]:
    """Read numbers between commas.

    Raises:
        AccentError: something else, or a number twice.
    """
    try:
        seeds = [int(word) for word in text.split(",")]
    except ValueError:
        raise AccentError(f"--seeds {text}: not numbers between commas, such as 0,1,2") from None
    if len(set(seeds)) < len(seeds) or min(seeds) < 0:
        raise AccentError(f"--seeds {text}: each seed once and none below 0, such as 0,1,2")
    return seeds
