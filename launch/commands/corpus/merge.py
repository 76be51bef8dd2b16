"""`accent shards merge`: the shards that several machines made, into one set."""

from pathlib import Path
from typing import Annotated

import typer

from launch.commands.options import show


def merge(
    shards: Annotated[Path, typer.Argument(metavar="SHARDS", help="Folder in which every part was made.")],
) -> None:
    """Make the manifest of a shard set whose parts are complete; the same bytes as one machine would write.

    Example: accent shards merge runs/shards/l2arctic
    """
    from shards.shard_set.summary import describe
    from shards.writing.merge import merge as merge_shards

    show(describe(merge_shards(shards), brief=True))
