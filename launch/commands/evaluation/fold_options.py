"""Options that `accent crossval` and `accent baselines` share."""

from pathlib import Path
from typing import Annotated

import typer

from accent.errors import AccentError

Folds = Annotated[
    str,
    typer.Option(
        help="How to divide the speakers: a number of folds, balanced by accent and sex; leave-one-speaker-out; "
        "leave-one-speaker-per-accent-out; or a file (JSON, TSV) with the fold of each speaker, such as "
        "configs/protocols/saa8k.json."
    ),
]
FoldSeed = Annotated[int, typer.Option(help="Random seed for dividing the speakers and choosing validation speakers.")]
Seeds = Annotated[
    str,
    typer.Option(
        metavar="0,1,2", help="Training seeds: one run for each fold and seed; figures are averaged over seeds."
    ),
]
ValidationSpeakers = Annotated[
    int,
    typer.Option(
        min=0,
        help="Speakers of each accent to take from a fold's training speakers for choosing the model and settings.",
    ),
]
HeldOutPrompts = Annotated[
    float, typer.Option(min=0, max=1, help="Share of the prompts that a fold keeps for testing and never trains on.")
]
TrainingSpeakers = Annotated[
    int | None,
    typer.Option(min=2, help="Train on only this many of each fold's speakers, for a learning curve; all if left out."),
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
