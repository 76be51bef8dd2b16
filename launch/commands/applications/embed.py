"""`accent embed`: embeddings of sound files or of a shard set."""

from pathlib import Path
from typing import Annotated

import typer


def embed(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a training run, or of an exported model.")],
    source: Annotated[Path, typer.Argument(metavar="INPUT", help="A sound file, a folder of them, or a shard set.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="The .npz or .csv file to write.")],
    device: Annotated[str | None, typer.Option(help="cpu, cuda or cuda:N; a GPU if there is one.")] = None,
    workers: Annotated[int, typer.Option(min=1, help="Processes that make features of sound files.")] = 1,
) -> None:
    """Write the accent embeddings of sound files or of a shard set: arrays (.npz) or a table (.csv)."""
    from launch.extraction.embed import embed_input

    embed_input(run, source, output, device=device, workers=workers)
