"""`accent stream`: the accent while somebody speaks."""

from typing import Annotated

import typer

from accent.errors import AccentError
from launch.commands.applications.sound_options import AsJson, Device, Model
from launch.start_up import without_collection


def stream(
    run: Model,
    source: Annotated[
        str | None,
        typer.Argument(metavar="FILE|-", help="A sound file, or - for raw PCM on stdin: 16 bits, little-endian."),
    ] = None,
    microphone: Annotated[
        bool, typer.Option("--microphone", help="Listen to the default microphone; needs the extra microphone.")
    ] = False,
    rate: Annotated[int, typer.Option(help="Samples a second on stdin.")] = 16_000,
    channels: Annotated[int, typer.Option(min=1, max=64, help="Channels on stdin, interleaved.")] = 1,
    hop: Annotated[float, typer.Option(help="Seconds from one answer to the next.")] = 0.5,
    last: Annotated[
        float | None, typer.Option(help="Answer for the speech of the last so many seconds; for all if left out.")
    ] = None,
    as_json: AsJson = False,
    device: Device = "cpu",
) -> None:
    """Tell the accent of one speaker while they speak: an answer every half second, and one at the end.

    With --json each line has the probabilities and the embedding.  Ctrl-C ends stdin and the microphone.

    Exit status: 0 if an accent was told, 2 if not.

    Example: arecord -t raw -f S16_LE -r 16000 | accent stream runs/l2arctic - --json
    """
    with without_collection():
        from launch.applications.listen import listen

    if (source is None) != microphone:
        raise AccentError("give one source: a file, - for stdin, or --microphone")
    raise typer.Exit(listen(run, source, rate, channels, hop, last, as_json, device))
