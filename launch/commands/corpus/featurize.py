"""`accent featurize`: a corpus to tar shards of features."""

import logging
from pathlib import Path
from typing import Annotated

import typer

from accent.errors import AccentError
from launch.commands.options import Overrides, show


def featurize(
    corpus: Annotated[Path, typer.Argument(metavar="CORPUS", help="A corpus folder, or a table (.tsv, .csv, .jsonl).")],
    out: Annotated[
        Path, typer.Argument(metavar="SHARDS", help="Folder of the shard set; an unfinished set is resumed.")
    ],
    overrides: Overrides = None,
    config: Annotated[
        str | None,
        typer.Option(help="A featurizer configuration, such as configs/corpora/l2arctic.yaml."),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(min=1, help="Processes; as many as this machine has cores by default."),
    ] = None,
    part: Annotated[
        str | None,
        typer.Option(metavar="K/N", help="Make part K of N (from 1) only; other machines make the others."),
    ] = None,
) -> None:
    """Turn a corpus into tar shards of features: parallel, resumable, the same bytes whatever the workers.

    With --part, several machines fill one folder that all of them see; then `accent shards merge SHARDS`.

    Example: accent featurize corpus runs/shards/corpus
    """
    from accent.configuration import load
    from launch.run_config import find_config
    from launch.terminal import TerminalConsole
    from shards.shard_set.files import MANIFEST_NAME
    from shards.shard_set.summary import describe, refused_table
    from shards.writing.processor import FeatureProcessor, FeaturizeConfig, Partition

    # Where there is no terminal for a progress bar, the processor logs a line at the start and one at the end.
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    settings = load(FeaturizeConfig, None if config is None else find_config(config, "corpora"), overrides or [])
    try:
        share = None if part is None else Partition.parse(part)
    except ValueError as error:
        raise AccentError(f"--part {part}: {error}") from error
    processor = FeatureProcessor(corpus, out, settings, workers=workers)
    if share is None:
        shard_set = processor.process_dataset()
        if shard_set.manifest.refused:
            TerminalConsole(stderr=True).print(refused_table(shard_set.manifest.refused))
        show(describe(shard_set, brief=True))
        return
    missing = processor.process_part(share)
    if missing:
        print(f"part {share} is finished; {missing} shards of other parts are still missing")
    elif (out / MANIFEST_NAME).exists():
        print(f"part {share} is finished, and the set is merged: accent inspect {out}")
    else:
        print(f"part {share} is finished, and all shards are there: accent shards merge {out}")
