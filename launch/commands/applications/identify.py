"""`accent identify`: which accent is spoken."""

import typer

from launch.commands.applications.sound_options import AsJson, Device, Inputs, Model, SpeakerFrom, Workers
from launch.start_up import without_collection


def identify(
    run: Model,
    inputs: Inputs,
    speaker_from: SpeakerFrom = None,
    as_json: AsJson = False,
    workers: Workers = 1,
    device: Device = "cpu",
) -> None:
    """Tell the accent of recordings: ranked, with calibrated probabilities, or unknown.

    One answer a recording; with --speaker-from one a speaker.  What is silence, noise or music, or cannot be read, is
    named and left out.  Exit status: 0 if everything was answered, 1 if a part was, 2 if nothing was.

    Example: accent identify runs/l2arctic recordings/ --speaker-from folder --json
    """
    with without_collection():
        from launch.applications.identify import identify_inputs

    raise typer.Exit(identify_inputs(run, inputs, speaker_from, as_json, workers, device))
