"""`accent condition`: vectors to condition a conversion system on."""

from pathlib import Path
from typing import Annotated

import typer

from launch.commands.applications.sound_options import Device, Inputs, Model, SpeakerFrom, Workers


def condition(
    run: Model,
    inputs: Inputs,
    output: Annotated[Path, typer.Option("--output", "-o", help="The .npz or .safetensors file to write.")],
    speaker_from: SpeakerFrom = None,
    interpolate: Annotated[
        tuple[str, str, str] | None,
        typer.Option(
            metavar="ACCENT ACCENT WEIGHTS",
            help="Also write what lies between two accents, and recordings and speakers moved from the first towards "
            "the second: 0 is the first, 1 the second, as in Arabic English 0.25,0.5.",
        ),
    ] = None,
    workers: Workers = 1,
    device: Device = "cpu",
) -> None:
    """Write the vectors of recordings, of their speakers and of the model's accents, with each accent's direction.

    Exit status: 0 if every recording was used, 1 if a part was.

    Example: accent condition runs/l2arctic corpus --speaker-from folder --interpolate Arabic Hindi 0.25,0.5 -o v.npz
    """
    from launch.applications.conversion.condition import Interpolation
    from launch.applications.conversion.condition import condition as write_vectors

    between = None if interpolate is None else Interpolation.parse(*interpolate)
    raise typer.Exit(write_vectors(run, inputs, output, speaker_from, between, workers, device))
