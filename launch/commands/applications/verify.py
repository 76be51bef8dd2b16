"""`accent verify`: do two speakers share an accent?"""

import sys
from pathlib import Path
from typing import Annotated

import typer

from accent.errors import AccentError
from launch.commands.applications.sound_options import AsJson, Device, Model, Workers
from launch.start_up import without_collection


def verify(
    run: Model,
    pair: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="FIRST SECOND",
            help="A file, a folder of one speaker's recordings, or - (stdin).",
            show_default=False,
        ),
    ] = None,
    trials: Annotated[
        str | None,
        typer.Option(
            help="A list of pairs, one a line, as VoxCeleb's (label first second) or without label; - is stdin."
        ),
    ] = None,
    as_json: AsJson = False,
    workers: Workers = 1,
    device: Device = "cpu",
) -> None:
    """Say whether two speakers share an accent: score, and the threshold at the equal error rate.

    Exit status: 0 if every pair was answered, 1 if a part was, 2 if none was.

    Example: accent verify runs/l2arctic speaker_a/ speaker_b/utterance.wav
    """
    with without_collection():
        from launch.applications.identify import read_pairs, verify_inputs

    if (trials is None) == (not pair) or (pair and len(pair) != 2):
        raise AccentError("give two inputs, FIRST and SECOND, or a list: --trials FILE")
    if trials is None:
        first, second = pair or []
        pairs = [(first, second)]
    else:
        try:
            text = sys.stdin.read() if trials == "-" else Path(trials).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise AccentError(f"{trials}: cannot be read ({error})") from error
        pairs = read_pairs(text.splitlines(), trials)
    raise typer.Exit(verify_inputs(run, pairs, as_json, workers, device))
