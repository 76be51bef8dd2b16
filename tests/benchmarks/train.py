"""What a training step costs on whatever is there, and where its time goes.

    OMP_NUM_THREADS=1 python -m tests.benchmarks.train --presets tiny,base
    accelerate launch --config_file configs/accelerate/node.yaml -m tests.benchmarks.train

The real training code (`tests.benchmarks.step`) on a shard set made on the spot; neither validation nor checkpoints.
A process's rows are those of configs/l2arctic.yaml on a GPU, 6 accents x 2 speakers x 8 utterances = 96, and 12 on a
CPU; with several processes a speaker has as many times more utterances in a batch.  Crops are 300 frames of all
columns, cut from utterances of 2.0 to 5.2 s (3.6 s on average, as in L2-ARCTIC) of random values.

The fastest of three rounds counts: the noise of a shared machine only ever adds.  Parts of a step are timed by
`StepTimer`.  On a GPU that is the time of its stream; `data wait` is the host's and passes beside it.  `rest` is what
the parts leave of the step: the batch's copy, the agreement of the processes, and a stream with nothing to do.

Communication is measured in two ways, and neither is a part beside the others.  `gradients`, with whole copies: the
step's time minus that of the same step under DDP's `no_sync`, so what of the all-reduce is exposed and not hidden
behind backward; waiting for a slower process is in it.  ZeRO cannot leave its reductions out: they lie within backward
and optimizer.  `collectives`: those of the objective (embeddings and their gradients, labels, counts) and the
agreement, timed apart with the same shapes; in a step they lie, unhidden, within loss, backward and rest.

Float32 is without TF32, which is switched off.  GFLOP are those of the encoder's matrices and convolutions, forward and
backward, counted by torch's `FlopCounterMode`.  MFU is their rate over the data sheet's (`tests.support.device`).
`attention` and `launches` (of kernels, a step) are what torch's profiler saw.  Memory is the peak of the rounds.
"""

import dataclasses
import itertools
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, cast

import torch
import typer
from rich.console import Console
from rich.table import Table

from accent.features.schema import N_COLUMNS
from accent.model.config import L2_ARCTIC_ACCENTS, ModelConfig
from launch.runtime.agreement import Runtime
from launch.runtime.precision import Precision
from launch.runtime.start import start_runtime
from shards.loading.config import BatchConfig
from shards.loading.loader import TrainingLoader
from tests.benchmarks.step import ROUNDS, Cost, Trial, attempt
from tests.support.device import device_name, peak_flops
from tests.support.shard_sets.synthetic import make_shard_set

PRECISIONS: tuple[Precision, ...] = ("no", "bf16", "fp16")
SPEAKERS = {accent: [f"{accent}{number}" for number in range(2)] for accent in L2_ARCTIC_ACCENTS}
LENGTHS = (200, 520)
"""Frames of the shortest and of the longest utterance."""
CROP = 300
PARTS = ("data_wait", "forward", "loss", "backward", "optimizer")
Costs = Mapping[Trial, Cost | None]


def main(
    presets: Annotated[
        str | None, typer.Option(help="Some of tiny,base,large.  Without: all; on a CPU no large.")
    ] = None,
    precisions: Annotated[
        str | None, typer.Option(help="Some of no,bf16,fp16.  Without: all; on a CPU no fp16, which crawls there.")
    ] = None,
    compile: Annotated[
        str | None, typer.Option(help="Some of off,on.  Without: both; on a CPU or under ZeRO-3 off.")
    ] = None,
    rows: Annotated[int | None, typer.Option(help="Of a process.  Without: 96; on a CPU 12.")] = None,
    steps: Annotated[int | None, typer.Option(min=1, help=f"Of {ROUNDS} rounds.  Without: 20; on a CPU 2.")] = None,
    warm_up: Annotated[int | None, typer.Option(min=1, help="Steps before.  Without: 5; on a CPU 1.")] = None,
) -> None:
    """Print two tables: how fast, and where the time goes."""
    torch.set_float32_matmul_precision("highest")
    torch.backends.cudnn.allow_tf32 = False
    runtime = start_runtime(mixed_precision="no")
    on_gpu = runtime.device.type == "cuda"
    chosen = [
        words(presets or ("tiny,base,large" if on_gpu else "tiny,base"), ModelConfig.PRESETS),
        words(precisions or ("no,bf16,fp16" if on_gpu else "no,bf16"), PRECISIONS),
        words(compile or ("off,on" if on_gpu and runtime.zero_stage < 3 else "off"), ("off", "on")),
    ]
    console = Console(width=130, quiet=not runtime.is_main)
    with tempfile.TemporaryDirectory() as folder:
        loader = make_loader(Path(folder), rows or (96 if on_gpu else 12), runtime)
        console.print(setting(loader, runtime))
        costs: dict[Trial, Cost | None] = {}
        for preset, precision, switch in itertools.product(*chosen):
            trial = Trial(preset, cast(Precision, precision), switch == "on")
            with console.status(str(trial)):
                costs[trial] = attempt(
                    trial,
                    loader,
                    steps or (20 if on_gpu else 2),
                    warm_up or (5 if on_gpu else 1),
                    dataclasses.replace(runtime, precision=trial.precision),
                )
    console.print(speeds(costs, loader.global_batch, runtime.device))
    console.print(shares(costs, runtime.device))
    runtime.accelerator.end_training()


def words(given: str, known: Iterable[str]) -> list[str]:
    """Return the words of an option, in the order in which they are known."""
    asked = given.split(",")
    if unknown := sorted(set(asked) - set(known)):
        raise typer.BadParameter(f"{', '.join(unknown)} unknown; allowed: {', '.join(known)}")
    return [word for word in known if word in asked]


def make_loader(folder: Path, rows: int, runtime: Runtime) -> TrainingLoader:
    """Return this process's batches from a new shard set; each process writes its own, and all are the same."""
    speakers = sum(map(len, SPEAKERS.values()))
    utterances, left = divmod(rows * runtime.world_size, speakers)
    if left or utterances < 1:
        raise typer.BadParameter(f"{rows} x {runtime.world_size} processes is no multiple of {speakers} speakers")
    shard_set = make_shard_set(folder / "shards", SPEAKERS, max(32, utterances), lengths=LENGTHS, phones=True)
    config = BatchConfig(speakers_per_accent=2, utterances_per_speaker=utterances, crop_frames=CROP)
    return TrainingLoader(shard_set, None, config, rank=runtime.rank, world_size=runtime.world_size)


def setting(loader: TrainingLoader, runtime: Runtime) -> str:
    """Return what all trials share."""
    shape, processes = loader.config, runtime.world_size
    pinned = next(loader.steps(0, 1)).frames_BTD.is_pinned()
    engine = f"ZeRO stage {runtime.zero_stage}" if runtime.zero_stage else "whole copies"
    backend = f"es through {torch.distributed.get_backend()}, {engine}" if processes > 1 else ""
    return (
        f"{device_name(runtime.device)}; {processes} process{backend}; torch {torch.__version__}; TF32 off; "
        f"host copies {'pinned' if pinned else 'not pinned'}\n"
        f"global batch {loader.global_batch} = {len(loader.accents)} accents x {shape.speakers_per_accent} speakers x "
        f"{shape.utterances_per_speaker} utterances, {loader.global_batch // processes} rows a process; "
        f"{CROP} frames x {N_COLUMNS} columns, {loader.padding:.1%} padding"
    )


def speeds(costs: Costs, global_batch: int, device: torch.device) -> Table:
    """Return the table of throughput, memory and utilisation.

    Args:
        costs: of the trials; None where one did not fit.
        global_batch: rows of a step over all processes.
        device: of this process.
    """
    name = device_name(device)
    memory = "of tensors" if device.type == "cuda" else "of the process, code and libraries included"
    table = Table(title=f"A training step on {name}; MB {memory}")
    table.add_column("trial", no_wrap=True)
    for heading in ("utterances/s", "x float32", "ms", "MB", "GFLOP", "TFLOP/s", "MFU", "attention", "launches"):
        table.add_column(heading, justify="right")
    for trial, cost in costs.items():
        if cost is None:
            table.add_row(str(trial), "does not fit")
            continue
        plain = costs.get(Trial(trial.preset, "no", False))
        rate, peak = cost.flops / cost.step, peak_flops(name, trial.precision)
        table.add_row(
            str(trial),
            f"{global_batch / cost.step:,.1f}",
            "" if plain is None else f"{plain.step / cost.step:.2f}",
            f"{1e3 * cost.step:,.1f}",
            f"{cost.memory / 1e6:,.0f}",
            f"{cost.flops / 1e9:,.1f}",
            f"{rate / 1e12:.3f}",
            "" if peak is None else f"{rate / peak:.1%}",
            cost.attention,
            "" if cost.launches is None else f"{cost.launches:,}",
        )
    left_out = [f"{cost.left_out} of {trial}" for trial, cost in costs.items() if cost is not None and cost.left_out]
    table.caption = f"steps that updated nothing: {'; '.join(left_out)}" if left_out else None
    return table


def shares(costs: Costs, device: torch.device) -> Table:
    """Return the table of a step's parts; arguments as of `speeds`."""
    table = Table(title="Where a step goes, ms; the last two, communication, lie within the parts before them")
    table.add_column("trial", no_wrap=True)
    for heading in ("step", *(part.replace("_", " ") for part in PARTS), "rest", "waits", "gradients", "collectives"):
        table.add_column(heading, justify="right")
    for trial, cost in costs.items():
        if cost is None:
            continue
        waited = cost.parts["data_wait"]
        beside = waited if device.type == "cuda" else 0.0
        times = [cost.step, *(cost.parts[part] for part in PARTS), cost.step - sum(cost.parts.values()) + beside]
        table.add_row(
            str(trial),
            *(f"{1e3 * one:,.1f}" for one in times),
            f"{waited / cost.step:.2%}",
            *("" if one is None else f"{1e3 * one:,.1f}" for one in (cost.gradients, cost.loss_collectives)),
        )
    return table


if __name__ == "__main__":
    typer.run(main)
