"""`accent convert-eval`: did a conversion change the accent, and keep speaker and words?"""

from pathlib import Path
from typing import Annotated

import typer

from launch.commands.applications.sound_options import AsJson, Device, Model


def convert_eval(
    run: Model,
    source: Annotated[Path, typer.Argument(help="The recordings that were converted: a folder, or one file.")],
    converted: Annotated[Path, typer.Argument(help="What came out, under the same names.")],
    target: Annotated[str, typer.Argument(help="An accent that the model knows, or a folder of recordings of it.")],
    own: Annotated[
        str | None, typer.Option(metavar="ACCENT", help="The source's accent; by default what the model hears.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="A .csv, .parquet or .xlsx table with a row a recording.")
    ] = None,
    as_json: AsJson = False,
    device: Device = "cpu",
) -> None:
    """Judge accent conversion: how far did recordings move towards an accent, and did speaker and words stay?

    Exit status: 0 if every recording was judged, 1 if a part was.

    Example: accent convert-eval runs/l2arctic source converted Hindi -o conversion.csv
    """
    import sys
    from dataclasses import asdict

    from launch.applications.conversion.evaluate import evaluate_conversion, figures_of
    from launch.measurement.table_file import check_table_path

    if output is not None:
        check_table_path(output)
    report = evaluate_conversion(run, source, converted, target, own, device)
    for name, reason in report.refused:
        print(f"refused: {name}: {reason}", file=sys.stderr)
    if as_json:
        import json

        for one in report.conversions:
            print(json.dumps(asdict(one), ensure_ascii=False))
    else:
        from launch.commands.options import show
        from launch.reporting.check_table import check_table

        show(
            check_table(
                f"{len(report.conversions)} recordings from {report.own} to {report.target}", figures_of(report)
            )
        )
    if output is not None:
        import pandas as pd

        from launch.measurement.table_file import write_table

        write_table(output, pd.DataFrame([asdict(one) for one in report.conversions]))
    if report.refused:
        raise typer.Exit(1)
