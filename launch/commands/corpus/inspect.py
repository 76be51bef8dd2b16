"""`accent inspect`: what is in a shard set."""

from pathlib import Path
from typing import Annotated

import typer

from launch.commands.options import show


def inspect(
    shards: Annotated[Path, typer.Argument(metavar="SHARDS", help="Folder of a shard set.")],
    verify: Annotated[bool, typer.Option("--verify", help="Read every shard and check its sha256.")] = False,
) -> None:
    """Print what is in a shard set: counts, hours, speakers by accent, columns, refused inputs.

    Example: accent inspect runs/shards/l2arctic --verify
    """
    from shards.shard_set.manifest import ShardSet
    from shards.shard_set.summary import describe
    from shards.shard_set.summary import verify as check

    shard_set = ShardSet.open(shards)
    show(describe(shard_set))
    if verify:
        check(shard_set)
        print(f"every shard of {shards} has the sha256 of its manifest")
