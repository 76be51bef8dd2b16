"""`accent baselines`: what simpler systems reach in the same folds."""

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


def baselines(
    shards: Shards,
    folds: Folds = "5",
    fold_seed: FoldSeed = 0,
    seeds: Seeds = "0",
    validation_speakers: ValidationSpeakers = 1,
    held_out_prompts: HeldOutPrompts = 0.0,
    training_speakers: TrainingSpeakers = None,
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for all results.")] = Path("runs/baselines"),
    sound: Annotated[
        Path | None, typer.Option(metavar="CORPUS", help="The corpus folder with the sound files, for eGeMAPS.")
    ] = None,
    heads: Annotated[
        Path | None,
        typer.Option(
            metavar="CROSSVAL",
            help="Folder of accent crossval with the same folds; its phone heads decode phones without the text.",
        ),
    ] = None,
    only: Annotated[
        list[str] | None, typer.Option(help="Run only this baseline; repeat the option to run several.")
    ] = None,
) -> None:
    """Run simpler systems and controls on the same folds as the encoder: one JSON, one table.

    Rerun the same command to resume: finished folds are kept.

    Example: accent baselines runs/shards/saa8k --folds configs/protocols/saa8k.json
    """
    from accent.files import write_text
    from launch.evaluation.baselines.run import run_baselines
    from launch.evaluation.folds import FoldConfig
    from launch.reporting.fold_tables import fold_tables, markdown
    from launch.terminal import TerminalConsole

    protocol = FoldConfig(folds, fold_seed, validation_speakers, held_out_prompts, training_speakers)
    report = run_baselines(shards, output, protocol, parse_seeds(seeds), sound, heads, only or ())
    TerminalConsole().print(*fold_tables(report))
    write_text(output / "baselines.md", markdown(report))
    print(f"figures are in {output / 'baselines.json'}")
