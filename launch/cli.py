"""The command `accent`: featurize, shards, inspect, slurm, evaluate, embed, demo, crossval, baselines.

Each command parses its words and calls one function elsewhere; heavy imports wait until a command needs them.  A fault
the user can mend is one line on stderr and status 2 (the traceback only with --debug), Ctrl-C is status 130.
"""

import logging
import sys
import traceback
from pathlib import Path
from typing import Annotated, Literal

import typer

from accent.errors import AccentError
from launch.commands.baselines import baselines
from launch.commands.crossval import crossval

INTERRUPTED = 130

app = typer.Typer(
    help="Train accent embeddings from scratch: speech to features to tar shards to a distributed encoder.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
shards_app = typer.Typer(help="Work on the shards that several machines make together.", no_args_is_help=True)
app.add_typer(shards_app, name="shards")

Overrides = Annotated[
    list[str] | None,
    typer.Argument(metavar="KEY=VALUE", help="Values that replace those of the configuration.", show_default=False),
]

app.command()(crossval)
app.command()(baselines)


@app.callback()
def _common(debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False) -> None:
    # main() takes --debug from anywhere on the command line; it stands here for the help page.
    del debug


@app.command()
def featurize(
    corpus: Annotated[Path, typer.Argument(metavar="CORPUS", help="A corpus folder, or a table (.tsv, .csv, .jsonl).")],
    out: Annotated[
        Path, typer.Argument(metavar="SHARDS", help="Folder of the shard set; an unfinished one is gone on with.")
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
    """
    from rich.console import Console

    from accent.configuration import load
    from launch.run_config import find_config
    from shards.shard_set.manifest import MANIFEST_NAME
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
            Console(stderr=True).print(refused_table(shard_set.manifest.refused))
        _show(describe(shard_set, brief=True))
        return
    missing = processor.process_part(share)
    if missing:
        print(f"part {share} is finished; {missing} shards of other parts are still missing")
    elif (out / MANIFEST_NAME).exists():
        print(f"part {share} is finished, and the set is merged: accent inspect {out}")
    else:
        print(f"part {share} is finished, and all shards are there: accent shards merge {out}")


@shards_app.command()
def merge(
    shards: Annotated[Path, typer.Argument(metavar="SHARDS", help="Folder in which every part was made.")],
) -> None:
    """Make the manifest of a shard set whose parts are all there; the same bytes as one machine would write."""
    from shards.shard_set.summary import describe
    from shards.writing.merge import merge as merge_shards

    _show(describe(merge_shards(shards), brief=True))


@app.command()
def inspect(
    shards: Annotated[Path, typer.Argument(metavar="SHARDS", help="Folder of a shard set.")],
    verify: Annotated[bool, typer.Option("--verify", help="Read every shard and check its sha256.")] = False,
) -> None:
    """Print what is in a shard set: counts, hours, speakers by accent, columns, refused inputs."""
    from shards.shard_set.manifest import ShardSet
    from shards.shard_set.summary import describe
    from shards.shard_set.summary import verify as check

    shard_set = ShardSet.open(shards)
    _show(describe(shard_set))
    if verify:
        check(shard_set)
        print(f"every shard of {shards} has the sha256 of its manifest")


@app.command()
def slurm(
    config: Annotated[str, typer.Argument(metavar="CONFIG", help="Configuration of a run: configs/l2arctic.yaml.")],
    nodes: Annotated[int, typer.Option(min=1, help="Machines.")],
    gpus_per_node: Annotated[int, typer.Option(min=0, help="GPUs of each, one process a GPU; 0 trains on CPUs.")],
    overrides: Overrides = None,
    processes_per_node: Annotated[
        int | None, typer.Option(min=1, help="Processes on each machine without GPUs; 1 if left out.")
    ] = None,
    time: Annotated[
        str, typer.Option(metavar="HH:MM:SS", help="Time limit; then the job saves and goes back to the queue.")
    ] = "24:00:00",
    partition: Annotated[str | None, typer.Option(help="The cluster's default if left out.")] = None,
    account: Annotated[str | None, typer.Option(help="Yours if left out.")] = None,
    launcher: Annotated[
        str | None,
        typer.Option(help="Accelerate's configuration; nodes.yaml or, without GPUs, cpu.yaml of configs/accelerate."),
    ] = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Write the script to this file.")] = None,
    submit: Annotated[
        bool, typer.Option("--submit", help="Hand the script to sbatch; print the job's number.")
    ] = False,
) -> None:
    """Print the job script of a training run for a Slurm cluster, or submit it.

    It is configs/slurm/train.sbatch, filled in; that folder has job scripts of featurizing and evaluation too.
    """
    from accent.files import write_text
    from launch.slurm import plan_job, render
    from launch.slurm import submit as submit_script

    job = plan_job(
        config, overrides or [], nodes, gpus_per_node, processes_per_node, launcher, time, partition, account
    )
    script = render(job)
    if output is not None:
        write_text(output, script)
    if submit:
        print(submit_script(script))
    elif output is None:
        print(script, end="")


@app.command()
def evaluate(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a training run.")],
    shards: Annotated[Path, typer.Argument(metavar="SHARDS", help="Folder of a shard set.")],
    split: Annotated[
        Literal["test", "validation"], typer.Option(help="Which speakers that the model never saw.")
    ] = "test",
    training_shards: Annotated[
        Path | None,
        typer.Option(help="The shard set the run was trained on, if SHARDS is another corpus and the run has moved."),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", help="Folder to write to; RUN/evaluation if left out, in place of what is there."
        ),
    ] = None,
) -> None:
    """Measure a run on speakers it never saw: tables, one JSON, pictures."""
    from launch.evaluation.evaluate import evaluate_run

    result = evaluate_run(run, shards, split=split, output=output, training_shards=training_shards)
    _show(result.table)
    print(f"figures and pictures are in {result.folder}")


@app.command()
def embed(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a training run, or of an exported model.")],
    source: Annotated[Path, typer.Argument(metavar="INPUT", help="A sound file, a folder of them, or a shard set.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="The .npz file to write.")],
) -> None:
    """Write the accent embeddings of sound files or of a shard set to an .npz file."""
    from launch.extraction.embed import embed_input

    embed_input(run, source, output)


@app.command()
def demo(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="Folder for everything the demo makes.")] = Path(
        "demo"
    ),
) -> None:
    """Run the whole system on this machine, on speech it synthesises itself; a few minutes on two cores."""
    from launch.demo import run_demo

    run_demo(folder)


def _show(*renderables: object) -> None:
    from rich.console import Console

    Console().print(*renderables)


def main() -> None:
    """Run `accent` with the words of the command line, and leave with its status."""
    words = [word for word in sys.argv[1:] if word != "--debug"]
    try:
        app(words)
    except AccentError as error:
        if len(words) < len(sys.argv) - 1:
            traceback.print_exc()
        print(f"accent: {error}", file=sys.stderr)
        sys.exit(2)
    except SystemExit as leaving:
        if leaving.code == INTERRUPTED:
            print("accent: interrupted; what was finished before is whole, run it again to go on", file=sys.stderr)
        raise


if __name__ == "__main__":
    main()
