"""`accent measure`: all measures of recordings as a table."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from launch.commands.measurement.analysis_options import (
    FORMANT_CEILING,
    FORMANT_CEILING_MALE,
    FORMANTS,
    MAX_SECONDS,
    PITCH_CEILING,
    PITCH_FLOOR,
    FormantCeiling,
    FormantCeilingMale,
    Formants,
    MaxSeconds,
    PitchCeiling,
    PitchFloor,
    Sex,
    analysis_config,
)


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
    sex: Sex = None,
    pitch_floor: PitchFloor = PITCH_FLOOR,
    pitch_ceiling: PitchCeiling = PITCH_CEILING,
    formant_ceiling: FormantCeiling = FORMANT_CEILING,
    formant_ceiling_male: FormantCeilingMale = FORMANT_CEILING_MALE,
    formants: Formants = FORMANTS,
    settings: Annotated[
        Path | None, typer.Option(help="Table of these settings by speaker or sex: launch/measurement/settings.py.")
    ] = None,
    max_seconds: MaxSeconds = MAX_SECONDS,
    workers: Annotated[int | None, typer.Option(min=1, help="Processes; one for each core by default.")] = None,
) -> None:
    """Write all measures of recordings as a table, with a codebook beside it; undefined values are empty cells.

    The exit status is 0 if everything was measured, 1 if a part was, 2 if nothing was.
    Phones and words come from TextGrids; `accent align` makes them for a corpus with transcripts.

    Example: accent measure recordings/ --out vowels.csv --per phone --columns f1_hz,f2_hz
    """
    import sys

    from launch.measurement.measure import measure as measure_recordings
    from launch.measurement.recordings import list_recordings
    from launch.measurement.settings import naming_settings, read_settings, settings_path, settings_table
    from launch.measurement.table_file import check_table_path, codebook_path, write_codebook, write_table

    check_table_path(out)
    config = analysis_config(pitch_floor, pitch_ceiling, formant_ceiling, formant_ceiling_male, formants, max_seconds)
    recordings, refused = list_recordings(source, sex, alignments)
    wanted = [] if columns is None else columns.split(",")
    rules = () if settings is None else read_settings(settings)
    absent = {rule.speaker for rule in rules} - {one.speaker for one in recordings} - {None}
    for speaker in sorted(absent, key=str):
        print(f"{settings}: no recording of speaker {speaker}", file=sys.stderr)
    used = settings_table(recordings, config, rules)
    measurement = measure_recordings(recordings, per, wanted, config, workers, textgrid, rules)
    for name, reason in (*refused, *measurement.refused):
        print(f"left out: {name}: {reason}", file=sys.stderr)
    write_table(out, measurement.table)
    entries = measurement.codebook
    if rules:
        write_table(settings_path(out), used)
        entries = tuple(naming_settings(entries, settings_path(out)))
    write_codebook(codebook_path(out), entries)
    print(f"{out}: {len(measurement.table)} rows, {len(measurement.codebook)} measures; {codebook_path(out)}")
    if refused or measurement.refused:
        raise typer.Exit(1)
