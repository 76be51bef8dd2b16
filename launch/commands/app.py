"""The command `accent`: its commands, in the order of its help page.

To add one: a file in the room it belongs to (README.md), its import and its place in `COMMANDS`.
"""

from importlib.metadata import PackageNotFoundError, version
from typing import Annotated

import typer

from launch.commands.applications.calibrate import calibrate
from launch.commands.applications.condition import condition
from launch.commands.applications.convert_eval import convert_eval
from launch.commands.applications.embed import embed
from launch.commands.applications.export import export
from launch.commands.applications.identify import identify
from launch.commands.applications.rescore import rescore
from launch.commands.applications.score import score
from launch.commands.applications.score_check import score_check
from launch.commands.applications.serve import serve
from launch.commands.applications.stream import stream
from launch.commands.applications.verify import verify
from launch.commands.corpus.align import align
from launch.commands.corpus.featurize import featurize
from launch.commands.corpus.inspect import inspect
from launch.commands.corpus.merge import merge
from launch.commands.demo import demo
from launch.commands.evaluation.baselines import baselines
from launch.commands.evaluation.crossval import crossval
from launch.commands.evaluation.evaluate import evaluate
from launch.commands.evaluation.report import report
from launch.commands.measurement.compare import compare
from launch.commands.measurement.draw import draw
from launch.commands.measurement.measure import measure
from launch.commands.training.average import average
from launch.commands.training.config import config
from launch.commands.training.slurm import slurm
from launch.commands.training.train import train

COMMANDS = (
    align,
    featurize,
    inspect,
    measure,
    compare,
    draw,
    config,
    train,
    slurm,
    average,
    evaluate,
    crossval,
    baselines,
    report,
    calibrate,
    embed,
    identify,
    verify,
    score,
    stream,
    serve,
    score_check,
    condition,
    convert_eval,
    export,
    rescore,
    demo,
)

app = typer.Typer(
    help="Train accent embeddings from scratch: speech to features to tar shards to a distributed encoder.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
shards_app = typer.Typer(help="Work on the shards that several machines make together.", no_args_is_help=True)
shards_app.command()(merge)
app.add_typer(shards_app, name="shards")
for command in COMMANDS:
    app.command()(command)


def _print_version(asked: bool) -> None:
    if asked:
        try:
            print(f"accent {version('accent-embeddings')}")
        except PackageNotFoundError:
            print("accent, not installed: run from its source folder")
        raise typer.Exit


@app.callback()
def _common(
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
    show_version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    # main() takes --debug from anywhere on the command line; it stands here for the help page.
    del debug, show_version
