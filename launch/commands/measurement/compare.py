"""`accent compare`: groups of speakers, measure by measure."""

from pathlib import Path
from typing import Annotated

import typer


def compare(
    source: Annotated[Path, typer.Argument(metavar="TABLE", help="What accent measure wrote.")],
    by: Annotated[str, typer.Option(help="Column whose values are the groups.")] = "accent",
    columns: Annotated[str | None, typer.Option(help="Only these measures, with commas: mid_f1_hz,mid_f2_hz.")] = None,
    within: Annotated[
        str | None,
        typer.Option(
            help="Compare each value of these columns on its own: phone,sex.  Default: the phones "
            "or words of the table."
        ),
    ] = None,
    against: Annotated[str | None, typer.Option(help="Compare all groups with this one only.")] = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Every comparison, as .csv, .parquet or .xlsx.")
    ] = None,
    long: Annotated[Path | None, typer.Option(help="The table with one value a row, for mixed models.")] = None,
) -> None:
    """Compare groups of speakers: means, Cohen's d with intervals over speakers, p corrected for many tests.

    Values are averaged by speaker first.  The terminal shows the largest effects, --out has every comparison.

    Example: accent compare vowels.csv --against English --out effects.csv
    """
    from rich.console import Console

    from launch.measurement.compare import compare as compare_groups
    from launch.measurement.compare import default_within, measures_of, speaker_means
    from launch.measurement.long_table import long_table
    from launch.measurement.table_file import check_table_path, read_table, write_table
    from launch.reporting.comparison_table import comparison_table, speakers_line

    for path in (out, long):
        if path is not None:
            check_table_path(path)
    table = read_table(source)
    measures = measures_of(table, by, [] if columns is None else columns.split(","))
    apart = default_within(table, by) if within is None else within.split(",")
    comparisons = compare_groups(speaker_means(table, by, apart, measures), by, apart, measures, against)
    console = Console()
    console.print(speakers_line(table, by), highlight=False)
    console.print(comparison_table(comparisons, apart))
    if out is not None:
        write_table(out, comparisons)
        print(f"{out}: {len(comparisons)} comparisons")
    if long is not None:
        values = long_table(table, measures)
        write_table(long, values)
        print(f"{long}: {len(values)} values")
