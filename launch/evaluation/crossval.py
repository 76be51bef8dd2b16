"""`accent crossval`: every fold and seed a run of its own, merged into one JSON and one table.

    OUT/plan.json, config.yaml, folds.json, fold-K.split.json    what is to be done, frozen before anything is trained
    OUT/fold-K/seed-S/                                          a run folder each, with predictions.npz when finished
    OUT/crossval.json                                           figures, when all are finished

Finished runs are skipped and stopped ones are resumed, so the same command brings a cross-validation to its end.  Every
run is a process of its own: nothing is left of one fold when the next begins.  Cost: folds x seeds training runs.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import FrameType
from typing import Any

from accent.configuration import load, to_mapping
from accent.errors import AccentError
from accent.files import writable_folder, write_text
from launch.evaluation.fold_figures import fold_figures
from launch.evaluation.fold_run import CONFIG, PLAN, PREDICTIONS, SUMMARY, FoldRun, planned_runs, run_folder
from launch.evaluation.folds import FoldConfig, check_heads, freeze_folds
from launch.evaluation.group_predictions import GroupPredictions
from launch.run_config import PHONES_FOLDER, RunConfig, find_config, write_config
from launch.runtime.signals import TEMPORARY_FAILURE
from launch.training.identity import what_differs
from shards.shard_set.manifest import ShardSet

LOG = "output.log"
_POLL_SECONDS = 0.2


def plan_crossval(
    config: str,
    shards: Path,
    output: Path,
    folds: FoldConfig,
    seeds: Sequence[int],
    overrides: Sequence[str] = (),
    heads: Path | None = None,
) -> list[FoldRun]:
    """Write down what a cross-validation will do, or check that the folder holds this very one.

    Args:
        config: name of a run's configuration.
        shards: the shard set.
        output: the folder of everything.
        folds: the protocol.
        seeds: one run a fold each.
        overrides: `key=value` words.
        heads: the folder of a cross-validation with the same folds and seeds, whose phone heads are taken; None
            trains them.  They may have heard more training speakers than `folds.training_speakers` lets in.

    Returns:
        The runs.

    Raises:
        AccentError: another cross-validation is in the folder, the configuration or protocol cannot be used, or the
            heads have heard speakers whom a fold holds out.
    """
    settings = load(RunConfig, find_config(config), [*overrides, f"shards={shards}", f"run={output}"])
    if not seeds or len(set(seeds)) < len(seeds):
        raise AccentError("--seeds: each seed once, such as 0,1,2")
    shard_set = ShardSet.open(shards)
    writable_folder(output)
    if (output / CONFIG).is_file():
        differing = what_differs(to_mapping(load(RunConfig, output / CONFIG)), to_mapping(settings))
        if differing:
            raise AccentError(f"{output}: holds another cross-validation ({'; '.join(differing[:3])}); give --output")
    splits = freeze_folds(output, shard_set, folds)
    write_config(settings, output / CONFIG)
    path = output / PLAN
    before = json.loads(path.read_text(encoding="utf-8"))["seeds"] if path.is_file() else []
    # Seeds may be added; the numbers of the runs planned before stay what they are.
    planned = [*before, *(seed for seed in seeds if seed not in before)]
    if heads is not None:
        for fold, split in enumerate(splits):
            for seed in planned:
                check_heads(run_folder(heads, fold, seed) / PHONES_FOLDER, split, fold)
    plan = {"folds": len(splits), "seeds": planned, "heads": None if heads is None else str(heads.resolve())}
    write_text(path, json.dumps(plan) + "\n")
    return planned_runs(output)


def run_all(runs: Sequence[FoldRun], output: Path, jobs: int = 1, say: Callable[[str], None] = print) -> None:
    """Bring the runs to their end, some at a time.

    Args:
        runs: those finished are skipped.
        output: the folder of the cross-validation.
        jobs: processes at a time; with several GPUs each has one of its own.
        say: is told of every run that begins or ends.

    Raises:
        AccentError: a run failed; the line has what it said.  Runs beside it are brought to their end.
        SystemExit: status 75 after SIGTERM, when all runs have saved.
        KeyboardInterrupt: Ctrl-C, likewise.
    """
    waiting = [run for run in runs if not run.finished]
    if len(waiting) < len(runs):
        say(f"{len(runs) - len(waiting)} of {len(runs)} runs are finished already")
    gpus = _gpus()
    active: dict[int, tuple[FoldRun, subprocess.Popen[bytes], float]] = {}
    failed: list[str] = []

    def stop(number: int, frame: FrameType | None) -> None:
        raise SystemExit(TEMPORARY_FAILURE)

    before = signal.signal(signal.SIGTERM, stop)
    try:
        while active or (waiting and not failed):
            while waiting and not failed and len(active) < jobs:
                run = waiting.pop(0)
                slot = next(number for number in range(jobs) if number not in active)
                say(f"{run.name}: begins ({run.folder / LOG})")
                active[slot] = (run, _start(run, output, slot, jobs, gpus), time.monotonic())
            time.sleep(_POLL_SECONDS)
            for slot, (run, process, begin) in list(active.items()):
                status = process.poll()
                if status is None:
                    continue
                del active[slot]
                if status == 0 and run.finished:
                    say(f"{run.name}: finished in {time.monotonic() - begin:.0f} s")
                elif status in (TEMPORARY_FAILURE, 128 + signal.SIGINT):
                    raise KeyboardInterrupt
                else:
                    failed.append(f"{run.name} failed ({_last_line(run.folder / LOG)}); see {run.folder / LOG}")
    finally:
        for _, process, _ in active.values():
            process.terminate()
        for _, process, _ in active.values():
            process.wait()
        signal.signal(signal.SIGTERM, before)
    if failed:
        raise AccentError("; ".join(failed))


def merge_runs(
    runs: Sequence[FoldRun], output: Path, folds: FoldConfig, beside: Path | None = None, title: str = "encoder"
) -> dict[str, Any]:
    """Pool the predictions of all runs into figures, and write `crossval.json`.

    Args:
        runs: all of them.
        output: the folder of the cross-validation.
        folds: the protocol.
        beside: a `baselines.json` of the same folds, whose systems are put into the same report.
        title: what the table calls the encoder.

    Returns:
        The report.

    Raises:
        AccentError: a run is not finished, or the baselines were tested on other speakers.
    """
    missing = [run.name for run in runs if not run.finished]
    if missing:
        raise AccentError(f"{output}: {len(missing)} of {len(runs)} runs are not finished ({missing[0]}, ...)")
    seeds = sorted({run.seed for run in runs})
    predictions = [
        [GroupPredictions.load(run.folder / PREDICTIONS) for run in runs if run.seed == seed] for seed in seeds
    ]
    trained = [json.loads((run.folder / SUMMARY).read_text(encoding="utf-8")) for run in runs]
    encoder = {"title": title, **fold_figures(predictions), "runs": trained}
    report = {
        "format_version": 1,
        "shards": load(RunConfig, output / CONFIG).shards,
        "protocol": folds.describe(),
        "seeds": seeds,
        "systems": {**_baselines(beside, encoder, output), "encoder": encoder},
    }
    write_text(output / "crossval.json", json.dumps(report, indent=2, ensure_ascii=False, allow_nan=False) + "\n")
    return report


def _baselines(beside: Path | None, encoder: Mapping[str, Any], output: Path) -> dict[str, Any]:
    if beside is None:
        return {}
    try:
        report = json.loads(beside.read_text(encoding="utf-8"))
        theirs = json.loads((beside.parent / "folds.json").read_text(encoding="utf-8"))["folds"]
    except (OSError, ValueError) as error:
        raise AccentError(f"{beside}: no report of accent baselines ({error})") from error
    ours = json.loads((output / "folds.json").read_text(encoding="utf-8"))["folds"]
    if [fold["test"] for fold in theirs] != [fold["test"] for fold in ours]:
        raise AccentError(f"{beside}: made with other folds; run accent baselines with the same --folds")
    return report["systems"]


def _start(run: FoldRun, output: Path, slot: int, jobs: int, gpus: Sequence[str]) -> subprocess.Popen[bytes]:
    environment = dict(os.environ)
    environment.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // jobs)))
    if len(gpus) > 1 and jobs > 1:
        environment["CUDA_VISIBLE_DEVICES"] = gpus[slot % len(gpus)]
    run.folder.mkdir(parents=True, exist_ok=True)
    with (run.folder / LOG).open("ab") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "launch.evaluation.fold_run", str(output), str(run.number)],
            stdout=log,
            stderr=subprocess.STDOUT,
            env=environment,
        )


def _gpus() -> list[str]:
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return [name for name in visible.split(",") if name]
    import torch

    return [str(number) for number in range(torch.cuda.device_count())]


def _last_line(path: Path) -> str:
    lines = path.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return lines[-1].removeprefix("accent: ") if lines else "it said nothing"
