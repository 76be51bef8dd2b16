"""`accent slurm`: the job script of a training run."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from launch.commands.options import Overrides


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

    Example: accent slurm configs/l2arctic.yaml --nodes 2 --gpus-per-node 8
    """
    from accent.configuration import load
    from accent.files import write_text
    from launch.run_config import RunConfig, find_config
    from launch.slurm import check_batch, plan_job, render
    from launch.slurm import submit as submit_script

    job = plan_job(
        config, overrides or [], nodes, gpus_per_node, processes_per_node, launcher, time, partition, account
    )
    for line in check_batch(load(RunConfig, find_config(config), overrides or []), nodes * job.processes_per_node):
        print(f"accent: warning: {line}", file=sys.stderr)
    script = render(job)
    if output is not None:
        write_text(output, script)
    if submit:
        print(submit_script(script))
    elif output is None:
        print(script, end="")
