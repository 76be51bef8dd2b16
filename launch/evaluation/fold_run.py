"""One fold with one seed of a cross-validation: train, then answer for the test speakers.

    python -m launch.evaluation.fold_run OUT NUMBER

`accent crossval` starts one such process for each fold and seed; a Slurm job array starts them with its task's number.
OUT holds the plan.  A run that was stopped continues from its newest checkpoint; one whose predictions are there ends
at once.  Statuses are those of `launch.train`.  Cost: a training run; then a forward pass over the tested utterances.
"""

import argparse
import dataclasses
import json
import os
import signal
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from accent.configuration import load
from accent.errors import AccentError
from accent.files import write_text
from launch.run_config import PHONES_FOLDER, RunConfig
from launch.runtime.signals import StopRequest
from shards.splits.split import Split, SplitConfig

CONFIG = "config.yaml"
PLAN = "plan.json"
PREDICTIONS = "predictions.npz"
SUMMARY = "summary.json"


@dataclass(frozen=True)
class FoldRun:
    """One fold with one seed."""

    number: int
    """Position in the plan: the task's number of a job array."""
    fold: int
    seed: int
    folder: Path
    """The run folder: OUT/fold-K/seed-S."""
    split: Path
    """The fold."""
    heads: Path | None = None
    """The run whose phone heads it begins with."""

    @property
    def finished(self) -> bool:
        """Whether its predictions are there."""
        return (self.folder / PREDICTIONS).is_file()

    @property
    def name(self) -> str:
        """What people call it."""
        return f"fold {self.fold}, seed {self.seed}"


def planned_runs(output: Path) -> list[FoldRun]:
    """Return the runs of a cross-validation in the order of their numbers.

    Raises:
        AccentError: the folder holds no plan.
    """
    path = output / PLAN
    if not path.is_file():
        raise AccentError(f"{path}: no such plan; make it with accent crossval CONFIG SHARDS --output {output}")
    plan = json.loads(path.read_text(encoding="utf-8"))
    pairs = [(fold, seed) for seed in plan["seeds"] for fold in range(plan["folds"])]
    return [
        FoldRun(
            number,
            fold,
            seed,
            run_folder(output, fold, seed),
            output / f"fold-{fold}.split.json",
            run_folder(Path(plan["heads"]), fold, seed) / PHONES_FOLDER if plan.get("heads") else None,
        )
        for number, (fold, seed) in enumerate(pairs)
    ]


def run_folder(output: Path, fold: int, seed: int) -> Path:
    """Return the folder of one fold with one seed."""
    return output / f"fold-{fold}" / f"seed-{seed}"


def run_fold(output: Path, number: int) -> None:
    """Train one fold with one seed, and write its predictions.

    Args:
        output: the folder of the cross-validation.
        number: which of the planned runs.

    Raises:
        AccentError: no such run, or something of the training that the user can mend.
        Interrupted: a signal; the training has saved.
    """
    from launch.training.run import train_run

    runs = planned_runs(output)
    if not 0 <= number < len(runs):
        raise AccentError(f"{output}: no run {number}; the plan has runs 0 to {len(runs) - 1}")
    run = runs[number]
    if run.finished:
        return
    base = load(RunConfig, output / CONFIG)
    config = dataclasses.replace(
        base,
        run=str(run.folder),
        seed=run.seed,
        split=dataclasses.replace(SplitConfig(), file=str(run.split)),
        init=base.init if run.heads is None else str(run.heads),
    )
    begin = time.monotonic()
    result = train_run(config)
    if int(os.environ.get("RANK", "0")) != 0:
        return
    trained = time.monotonic() - begin
    _answer(Path(base.shards), run, base.device)
    summary = {"steps": result.step, "best": result.best, "best_step": result.best_step, "seconds": trained}
    write_text(run.folder / SUMMARY, json.dumps(summary, indent=2) + "\n")


def _answer(shards: Path, run: FoldRun, device: str) -> None:
    """Embed the test speakers' utterances with the run's best model, and write its answers."""
    from accent.inference.model_file import load_model
    from launch.evaluation.encoder_groups import encoder_groups
    from launch.evaluation.group_predictions import predict_groups
    from launch.evaluation.utterances import Utterances
    from launch.extraction.extract import usable_device
    from shards.shard_set.manifest import ShardSet

    shard_set = ShardSet.open(shards)
    utterances = Utterances.of(shard_set)
    split = Split.load(run.split)
    model, _ = load_model(run.folder, usable_device(None if device == "auto" else device))
    validation = np.flatnonzero(np.isin(utterances.speaker_N, split.validation))
    tested = utterances.tested(split)
    answer = encoder_groups(model, utterances, tested, validation)
    predict_groups(answer, utterances, tested).save(run.folder / PREDICTIONS)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what the command line names.

    Returns:
        The status to exit with.
    """
    from launch.runtime.exit_status import ExitStatus

    parser = argparse.ArgumentParser(prog="launch.evaluation.fold_run", description="Train and test one fold.")
    parser.add_argument("output", type=Path, help="folder of the cross-validation")
    parser.add_argument("number", type=int, help="number of the run in its plan, from 0")
    words = parser.parse_args(arguments)
    with ExitStatus(os.environ.get("ACCENT_DEBUG", "") not in ("", "0")) as status:
        run_fold(words.output, words.number)
    return status.code


if __name__ == "__main__":
    with StopRequest((signal.SIGTERM,)):
        sys.exit(main())
