"""`accent crossval`: cross-validate a configuration."""

from pathlib import Path
from typing import Annotated

import typer

from launch.commands.evaluation.fold_options import (
    Folds,
    FoldSeed,
    HeldOutPrompts,
    Seeds,
    Shards,
    TrainingSpeakers,
    ValidationSpeakers,
    parse_seeds,
)


def crossval(
    config: Annotated[
        str, typer.Argument(metavar="CONFIG", help="Configuration of a run, such as configs/saa8k.yaml.")
    ],
    shards: Shards,
    overrides: Annotated[
        list[str] | None,
        typer.Argument(metavar="KEY=VALUE", help="Values that replace those of the configuration.", show_default=False),
    ] = None,
    folds: Folds = "5",
    fold_seed: FoldSeed = 0,
    seeds: Seeds = "0",
    validation_speakers: ValidationSpeakers = 1,
    held_out_prompts: HeldOutPrompts = 0.0,
    training_speakers: TrainingSpeakers = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Folder for all runs and results; runs/crossval-CONFIG if left out."),
    ] = None,
    heads: Annotated[
        Path | None,
        typer.Option(
            help="Folder of a crossval with the same folds and seeds whose phone heads to use, not train; "
            "they may have heard more training speakers."
        ),
    ] = None,
    jobs: Annotated[
        int, typer.Option(min=1, help="Runs to train at the same time; with several GPUs, each run gets its own.")
    ] = 1,
    beside: Annotated[
        Path | None, typer.Option(help="A baselines.json made with the same folds, to show in the same table.")
    ] = None,
    slurm: Annotated[
        bool, typer.Option("--slurm", help="Print the script of a Slurm job array instead of training here.")
    ] = False,
    submit: Annotated[
        bool, typer.Option("--submit", help="Submit the job array with sbatch and print its number.")
    ] = False,
    gpus_per_run: Annotated[int, typer.Option(min=0, max=1, help="GPUs for each run of the job array.")] = 1,
    time: Annotated[
        str, typer.Option(metavar="HH:MM:SS", help="Time limit for each run of the job array.")
    ] = "04:00:00",
    partition: Annotated[str | None, typer.Option(help="Slurm partition; the cluster's default if left out.")] = None,
    account: Annotated[str | None, typer.Option(help="Slurm account; yours if left out.")] = None,
) -> None:
    """Train and test a configuration on every fold and seed: one JSON, one table.

    Each fold and seed is a separate run, tested on speakers it never saw.  The folds replace the configuration's split.
    Rerun the same command to resume: finished runs are skipped.

    Example: accent crossval configs/saa8k.yaml runs/shards/saa8k --folds 5
    """
    from launch.evaluation.crossval import merge_runs, plan_crossval, run_all
    from launch.evaluation.folds import FoldConfig
    from launch.reporting.fold_tables import fold_tables
    from launch.slurm import render_array
    from launch.slurm import submit as submit_script
    from launch.terminal import TerminalConsole

    out = output if output is not None else Path("runs") / f"crossval-{Path(config).stem}"
    protocol = FoldConfig(folds, fold_seed, validation_speakers, held_out_prompts, training_speakers)
    runs = plan_crossval(config, shards, out, protocol, parse_seeds(seeds), overrides or [], heads)
    if slurm or submit:
        numbers = [run.number for run in runs if not run.finished]
        script = render_array(out, numbers, gpus_per_run, time, partition, account)
        print(submit_script(script) if submit else script, end="\n" if submit else "")
        return
    run_all(runs, out, jobs)
    report = merge_runs(runs, out, protocol, beside, title=f"encoder ({Path(config).stem})")
    TerminalConsole().print(*fold_tables(report))
    print(f"figures are in {out / 'crossval.json'}")
