"""The command `accent`: its commands, in the order of its help page.

To add one: a file beside this one, and a line below.
"""

from importlib.metadata import PackageNotFoundError, version
from typing import Annotated

import typer

from launch.commands.align import align
from launch.commands.baselines import baselines
from launch.commands.calibrate import calibrate
from launch.commands.config import config
from launch.commands.crossval import crossval
from launch.commands.demo import demo
from launch.commands.embed import embed
from launch.commands.evaluate import evaluate
from launch.commands.export import export
from launch.commands.featurize import featurize
from launch.commands.identify import identify
from launch.commands.inspect import inspect
from launch.commands.measure import measure
from launch.commands.merge import merge
from launch.commands.rescore import rescore
from launch.commands.score import score
from launch.commands.slurm import slurm
from launch.commands.verify import verify

COMMANDS = (
    align,
    featurize,
    inspect,
    measure,
    config,
    slurm,
    evaluate,
    crossval,
    baselines,
    calibrate,
    embed,
    identify,
    verify,
    score,
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
