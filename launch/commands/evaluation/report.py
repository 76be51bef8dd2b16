"""`accent report`: one page of runs, with plots that can be searched."""

from pathlib import Path
from typing import Annotated

import typer


def report(
    runs: Annotated[
        list[Path],
        typer.Argument(metavar="RUN...", help="Folders of runs, of accent crossval or of accent baselines."),
    ],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="File to write; RUN/report.html if left out.")
    ] = None,
    shards: Annotated[
        Path | None, typer.Option(help="The shard set, if it is no longer where the runs' configurations say.")
    ] = None,
    umap: Annotated[
        bool, typer.Option("--umap", help="Maps by UMAP too; needs pip install 'accent-embeddings[umap]'.")
    ] = False,
) -> None:
    """Write one HTML page of runs: figures, curves, maps, confusion, configuration; it needs no network."""
    from launch.html_report.report import write_report

    path = write_report(runs, output, shards, umap)
    print(f"{path}: {path.stat().st_size / 1e6:.1f} MB; open it in a browser")
