"""`accent score`: how well was it pronounced?"""

from typing import Annotated

import typer

from launch.commands.applications.sound_options import AsJson, Device, Inputs, Model


def score(
    run: Model,
    inputs: Inputs,
    textgrid: Annotated[
        str | None,
        typer.Option(
            metavar="FOLDER|none",
            help="A folder of TextGrids as accent align writes it, or with SPEAKER/NAME.TextGrid or NAME.TextGrid; or "
            "none: score the phones that the model hears.",
        ),
    ] = None,
    as_json: AsJson = False,
    device: Device = "cpu",
) -> None:
    """Score the pronunciation of recordings by phone, word and recording; needs a model with phone heads.

    What should have been said is read from a TextGrid beside each recording, or in the folder textgrid beside its own;
    without one, the phones that the model hears are scored.  0 is best.  The model need not be calibrated.

    Exit status: 0 if every recording was answered, 1 if a part was, 2 if none was.

    Example: accent score runs/saa corpus/SPEAKER/wav --json
    """
    from launch.applications.score import score_inputs

    raise typer.Exit(score_inputs(run, inputs, textgrid, as_json, device))
