"""`accent serve`: a model behind HTTP and WebSocket."""

from typing import Annotated

import typer

from launch.commands.applications.sound_options import Device, Model
from launch.start_up import without_collection


def serve(
    run: Model,
    host: Annotated[
        str, typer.Option(help="Address to listen on; the default is reached from this machine only.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65_535, help="0 takes one that is free.")] = 8765,
    device: Device = "cpu",
) -> None:
    """Serve a page that listens to the microphone and draws the accent, and an HTTP and WebSocket interface.

    POST /identify takes a sound file, /listen a stream of samples; both have limits.  There is no encryption and no
    log-in: on another address than the default, put a server in front that has them.  Needs the extra serve.

    Example: accent serve runs/l2arctic
    """
    with without_collection():
        from launch.serving.server import serve as serve_model

    serve_model(run, host, port, device)
