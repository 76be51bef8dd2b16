"""`accent measure`: all measures of recordings as a table."""

from pathlib import Path
from typing import Annotated, Literal

import typer


def measure(
    source: Annotated[Path, typer.Argument(metavar="INPUT", help="A sound file, a folder of them, or a corpus.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="The .csv, .parquet or .xlsx file to write.")],
    per: Annotated[
        Literal["frame", "phone", "word", "utterance", "speaker"], typer.Option(help="What a row is.")
    ] = "utterance",
    columns: Annotated[str | None, typer.Option(help="Only these, with commas: f0_hz,f1_hz,f2_hz.")] = None,
    alignments: Annotated[str | None, typer.Option(help="Folder that accent align wrote, for a corpus.")] = None,
    textgrid: Annotated[
        Path | None, typer.Option(help="Folder for the tracks as Praat's tiers, beside each recording's TextGrid.")
    ] = None,
    sex: Annotated[
        Literal["female", "male"] | None, typer.Option(help="Of speakers whose sex the corpus does not say.")
    ] = None,
    pitch_floor: Annotated[float, typer.Option(help="Hz, as in Praat's pitch settings.")] = 75.0,
    pitch_ceiling: Annotated[float, typer.Option(help="Hz, as in Praat's pitch settings.")] = 600.0,
    formant_ceiling: Annotated[float, typer.Option(help="Hz, of women and of speakers of unknown sex.")] = 5500.0,
    formant_ceiling_male: Annotated[float, typer.Option(help="Hz, of men.")] = 5000.0,
    formants: Annotated[int, typer.Option(help="Number of formants below the ceiling; four are kept.")] = 5,
    max_seconds: Annotated[float, typer.Option(help="Longer recordings are left out, with a line.")] = 3600.0,
    workers: Annotated[int | None, typer.Option(min=1, help="Processes; one for each core by default.")] = None,
) -> None:
    """Write all measures of recordings as a table, with a codebook beside it; undefined values are empty cells.

    The exit status is 0 if everything was measured, 1 if a part was, 2 if nothing was.
    Phones and words come from TextGrids; `accent align` makes them for a corpus with transcripts.
    """
    import sys

    from accent.audio.prepare import AudioConfig
    from accent.errors import AccentError
    from accent.features.config import FeatureConfig
    from launch.measurement.measure import measure as measure_recordings
    from launch.measurement.recordings import list_recordings
    from launch.measurement.table_file import check_table_path, codebook_path, write_codebook, write_table

    check_table_path(out)
    try:
        config = FeatureConfig(
            audio=AudioConfig(max_seconds=max_seconds),
            pitch_floor_hz=pitch_floor,
            pitch_ceiling_hz=pitch_ceiling,
            formant_ceiling_hz=formant_ceiling,
            formant_ceiling_male_hz=formant_ceiling_male,
            formants_below_ceiling=formants,
        )
    except ValueError as error:
        raise AccentError(f"accent measure: {error}") from error
    recordings, refused = list_recordings(source, sex, alignments)
    wanted = [] if columns is None else columns.split(",")
    measurement = measure_recordings(recordings, per, wanted, config, workers, textgrid)
    for name, reason in (*refused, *measurement.refused):
        print(f"left out: {name}: {reason}", file=sys.stderr)
    write_table(out, measurement.table)
    write_codebook(codebook_path(out), measurement.codebook)
    print(f"{out}: {len(measurement.table)} rows, {len(measurement.codebook)} measures; {codebook_path(out)}")
    if refused or measurement.refused:
        raise typer.Exit(1)
