"""`accent config`: every key of a configuration, what it means, and where its value comes from."""

from typing import Annotated

import typer

from launch.commands.options import Overrides, show


def config(
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="CONFIG", help="configs/demo.yaml, configs/corpora/l2arctic.yaml, yours; the defaults if left out."
        ),
    ] = None,
    overrides: Overrides = None,
    corpus: Annotated[bool, typer.Option("--corpus", help="Show the featurizer's keys, not those of a run.")] = False,
) -> None:
    """Print every key with its type, default, meaning and value, and say where the value comes from.

    Without CONFIG the first word may be an override too: accent config optimizer.lr=3e-4.

    Example: accent config configs/l2arctic.yaml optimizer.lr=3e-4
    """
    from launch.config_table import config_table

    words = list(overrides or [])
    if name is not None and "=" in name:
        words.insert(0, name)
        name = None
    show(config_table(name, words, corpus))
