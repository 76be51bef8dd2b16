"""`accent report`: one HTML page of runs."""

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
    corpus: Annotated[
        Path | None,
        typer.Option(help="The corpus folder with the sound files: points of the maps then play their recordings."),
    ] = None,
    shards: Annotated[
        Path | None, typer.Option(help="The shard set, if it is no longer where the runs' configurations say.")
    ] = None,
    umap: Annotated[
        bool, typer.Option("--umap", help="Maps by UMAP too; needs pip install 'accent-embeddings[umap]'.")
    ] = False,
) -> None:
    """Write one HTML page of runs, with plots to hover over and filter; it needs no network.

    Figures, curves, maps, confusion, reliability, feature families, leakage, phones, vowels, melody, rhythm,
    reconstruction and configuration. What a run lacks is said in its place, with the command that makes it.

    Example: accent report runs/l2arctic -o report.html
    """
    from launch.html_report.report import write_report

    path = write_report(runs, output, corpus, shards, umap)
    print(f"{path}: {path.stat().st_size / 1e6:.1f} MB; open it in a browser")
