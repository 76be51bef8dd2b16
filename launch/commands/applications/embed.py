"""`accent embed`: embeddings of sound files or of a shard set."""

from pathlib import Path
from typing import Annotated

import typer

from accent.errors import AccentError
from launch.commands.applications.sound_options import AsJson, Inputs, SpeakerFrom


def embed(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a training run, or of an exported model.")],
    inputs: Inputs,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Write one input, or a shard set, to this .npz or .csv file.")
    ] = None,
    speaker_from: SpeakerFrom = None,
    as_json: AsJson = False,
    device: Annotated[str | None, typer.Option(help="cpu, cuda or cuda:N; a GPU if there is one.")] = None,
    workers: Annotated[int, typer.Option(min=1, help="Processes that make features of sound files.")] = 1,
) -> None:
    """Write the accent embeddings of sound files or of a shard set: arrays (.npz), a table (.csv), or JSON lines.

    With --json: one line a recording, or with --speaker-from one a speaker.  Exit status then: 0 if everything was
    embedded, 1 if a part was, 2 if nothing was.

    Example: accent embed runs/l2arctic recordings/ -o embeddings.npz
    """
    if (output is None) != as_json:
        raise AccentError("give either --output FILE or --json")
    if output is None:
        from launch.applications.embed import embed_inputs

        raise typer.Exit(embed_inputs(run, inputs, speaker_from, workers, device or "cpu"))
    from launch.extraction.embed import embed_input

    if len(inputs) > 1 or inputs == ["-"] or speaker_from is not None:
        raise AccentError("--output takes one file, folder or shard set; several inputs, - and --speaker-from: --json")
    embed_input(run, Path(inputs[0]), output, device=device, workers=workers)
