"""`accent score`: how well was it pronounced?"""

from pathlib import Path
from typing import Annotated, Literal

import typer

from launch.commands.applications.sound_options import AsJson, Device, Inputs, Model
from launch.start_up import without_collection


def score(
    run: Model,
    inputs: Inputs,
    textgrid: Annotated[
        str | None,
        typer.Option(
            metavar="FOLDER|none",
            help="A folder of TextGrids as accent align writes it, or with SPEAKER/NAME.TextGrid or NAME.TextGrid; or "
            "none: do not use those beside the recordings.",
        ),
    ] = None,
    text: Annotated[
        str | None,
        typer.Option(
            metavar="TEXT|none",
            help="What is said in every recording; or none: do not use transcripts beside the recordings.",
        ),
    ] = None,
    target: Annotated[
        str | None,
        typer.Option(metavar="ACCENT", help="Also tell how far each phone is from this accent's; needs calibration."),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="The .csv, .parquet or .xlsx table to write.")
    ] = None,
    per: Annotated[Literal["phone", "word", "utterance"], typer.Option(help="What a row of the table is.")] = "phone",
    textgrid_out: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Write a TextGrid with the scores of each recording here.")
    ] = None,
    as_json: AsJson = False,
    device: Device = "cpu",
) -> None:
    """Score the pronunciation of recordings by phone, word and recording; needs a model with phone heads.

    What should have been said is read from a TextGrid beside each recording, or in the folder textgrid beside its own.
    Without one, a text is aligned by PocketSphinx: the one given, or NAME.txt beside the recording or in the folder
    transcript.  Without that too, the phones that the model hears are scored.  Goodness 0 is best; a distance of about
    1 is typical of the target accent.

    Exit status: 0 if every recording was answered, 1 if a part was, 2 if none was.

    Example: accent score runs/saa corpus/SPEAKER/wav --target English -o phones.csv --textgrid-out scored
    """
    with without_collection():
        from launch.applications.pronunciation.score import ScoreOptions, score_inputs

    options = ScoreOptions(textgrid, text, target, output, per, textgrid_out, as_json)
    raise typer.Exit(score_inputs(run, inputs, options, device))
