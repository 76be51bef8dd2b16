"""How training scales: what a step sends, as formulas, against the links it goes over; and counted in a real step.

    python -m tests.benchmarks.scaling
    GLOO_SOCKET_IFNAME=lo accelerate launch --config_file configs/accelerate/cpu.yaml -m tests.benchmarks.scaling

One process prints what a step would cost on 8, 64 and 512 GPUs: arithmetic from the assumptions below, none of it
measured.  Several processes do a step of preset tiny under torch's profiler, and print what went through
torch.distributed beside the formulas (with zero1.yaml to zero3.yaml too, given `--num_processes 2`).

B rows a process, W processes, N = W B rows, embeddings of E numbers, P parameters; held by all processes together:

    labels       all-gather of 5 N whole numbers (accent, speaker, prompt, row, valid)
    embeddings   all-gather of N E numbers, in backward reduce-scatter of as many
    counts       all-reduce of 21 numbers; the agreement that ends a step: 4
    gradients    whole copies: all-reduce of P numbers
                 ZeRO-1, 2:    all-reduce of P, all-gather of P (weights)
                 ZeRO-3:       reduce-scatter of P, all-gather of P (weights)

Each process sends (W - 1) / W of that in an all-gather or reduce-scatter, twice as much in an all-reduce (Patarasuk and
Yuan 2009, "Bandwidth optimal all-reduce algorithms for clusters of workstations").  Numbers have 4 bytes, whole ones 8.
ZeRO is as counted: DeepSpeed reduces whole buckets before it shares them out, and keeps what stage 3 gathers in forward
until backward has used it (up to `stage3_max_live_parameters`).

Assumed: nodes of 8 H100, NVLink at 450 GB/s a GPU and direction; between nodes 400 Gb/s adapters, one a GPU (NCCL then
lays a ring through each: 400 GB/s) or one a node (50 GB/s).  A collective runs as fast as its slowest link, and its
first byte takes a ring's hops (1.9 us within a node, 4.0 us between nodes) or, in an all-reduce, a tree's (1.25 and
8.5 us, there and back): NCCL's own constants for its LL128 protocol (src/graph/tuning.cc).  The encoder computes at
30 % of the dense bfloat16 peak, the loss at 30 % of the float32 peak: 8 B N E operations for contrastive and triplet
with their gradients.  The gradients' all-reduce is hidden behind backward (two thirds of the encoder's time) but for
its last bucket (25 MiB, DDP's default) and what exceeds backward; the loss's collectives are never hidden.  Reading,
the optimizer and gaps between kernels are left out: efficiency is one GPU's computing over all of this.
"""

import json
import math
import tempfile
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import torch
import typer
from rich.console import Console
from rich.table import Table
from torch.profiler import ProfilerActivity, profile

from accent.losses.objective import AccentObjective
from accent.model.config import ModelConfig
from accent.model.encoder import EnhancedAccentEncoder
from launch.runtime.agreement import Runtime
from launch.runtime.start import start_runtime
from launch.training.agreed import NUMBERS
from tests.benchmarks.step import Stepper, Trial, count_flops, counted_numbers, make_loop
from tests.benchmarks.train import CROP, make_loader
from tests.support.device import PEAK_FLOPS

ROWS, GPUS, NODE, UTILISATION = 96, (8, 64, 512), 8, 0.3
PEAK = PEAK_FLOPS["NVIDIA H100 80GB HBM3"]
NVLINK, NETWORKS = 450e9, {"GPU": 400e9, "node": 50e9}
"""Bytes a second in one direction; between nodes by whose the adapter is."""
RING_HOPS, TREE_HOPS = (1.9e-6, 4.0e-6), (1.25e-6, 8.5e-6)
"""Seconds within a node, between nodes."""
BUCKET_BYTES = 25 << 20
COUNTED_ROWS = 12
SIZES = {"float": 4, "double": 8, "long int": 8}


class Collective(NamedTuple):
    """One operation of all processes."""

    kind: str
    held_bytes: int
    """What the processes hold together: the whole result of an all-gather, else the argument."""

    def sent_bytes(self, processes: int) -> float:
        """Return what each process sends."""
        return (2 if self.kind == "all_reduce" else 1) * (processes - 1) / processes * self.held_bytes

    def seconds(self, processes: int, bytes_a_second: float) -> float:
        """Return how long it takes on nodes of `NODE` processes."""
        nodes = processes // NODE
        if self.kind == "all_reduce":
            first = 2 * ((NODE - 1) * TREE_HOPS[0] + math.log2(nodes) * TREE_HOPS[1])
        else:
            first = nodes * (NODE - 1) * RING_HOPS[0] + (nodes if nodes > 1 else 0) * RING_HOPS[1]
        return first + self.sent_bytes(processes) / bytes_a_second


def loss_collectives(processes: int, rows: int, embedding_dim: int) -> list[Collective]:
    """Return those of the objective, backward included, and of the agreement that ends a step."""
    everywhere = processes * rows
    return [
        Collective("all_gather", everywhere * 5 * SIZES["long int"]),
        Collective("all_gather", everywhere * embedding_dim * 4),
        Collective("all_reduce", counted_numbers() * 4),
        Collective("reduce_scatter", everywhere * embedding_dim * 4),
        Collective("all_reduce", NUMBERS * 4),
    ]


def gradient_collectives(parameters: int, zero_stage: int) -> list[Collective]:
    """Return those that bring the gradients together and, under ZeRO, hand the weights out again."""
    if zero_stage == 0:
        return [Collective("all_reduce", 4 * parameters)]
    reduction = "reduce_scatter" if zero_stage == 3 else "all_reduce"
    return [Collective(reduction, 4 * parameters), Collective("all_gather", 4 * parameters)]


def count_parameters(preset: str) -> int:
    """Return how many numbers training adapts: the encoder's, and the temperature."""
    with torch.device("meta"):
        modules = (EnhancedAccentEncoder(ModelConfig.from_preset(preset)), AccentObjective())
    return sum(parameter.numel() for module in modules for parameter in module.parameters())


def sent(presets: Iterable[str] = ("base", "large")) -> Table:
    """Return the table of what each GPU sends in a step."""
    table = Table(title=f"MB that each GPU sends in a step of {ROWS} rows a GPU")
    table.add_column("preset")
    for heading in ("GPUs", "rows of all", "loss", "whole copies", "ZeRO-1, 2", "ZeRO-3"):
        table.add_column(heading, justify="right")
    for preset in presets:
        parameters, embedding_dim = count_parameters(preset), ModelConfig.from_preset(preset).embedding_dim
        for gpus in GPUS:
            purposes = [loss_collectives(gpus, ROWS, embedding_dim)]
            purposes += [gradient_collectives(parameters, stage) for stage in (0, 2, 3)]
            megabytes = [sum(one.sent_bytes(gpus) for one in collectives) / 1e6 for collectives in purposes]
            table.add_row(preset, str(gpus), f"{gpus * ROWS:,}", *(f"{one:,.1f}" for one in megabytes))
        table.add_section()
    return table


def predicted(presets: Iterable[str] = ("base", "large")) -> Table:
    """Return the table of what a step would take with whole copies."""
    table = Table(title="ms of that step, whole copies: computing, sending, and what of the sending nothing hides")
    table.add_column("preset")
    headings = ("encoder", "loss", "sends for loss", "for gradients", "exposed", "efficiency")
    for heading in ("GPUs", "adapter a", *headings):
        table.add_column(heading, justify="right")
    for preset in presets:
        for gpus in GPUS:
            for name, bytes_a_second in ({"": NVLINK} if gpus == NODE else NETWORKS).items():
                times_s, efficiency = prediction(preset, gpus, bytes_a_second)
                milliseconds = (f"{1e3 * one:.2f}" for one in times_s)
                table.add_row(preset, str(gpus), name, *milliseconds, f"{efficiency:.0%}")
        table.add_section()
    return table


def prediction(preset: str, gpus: int, bytes_a_second: float) -> tuple[tuple[float, ...], float]:
    """Return the seconds of computing (encoder, loss), of sending (loss, gradients, exposed), and the efficiency."""
    embedding_dim = ModelConfig.from_preset(preset).embedding_dim
    encoder_s = count_flops(preset, ROWS, CROP) / (UTILISATION * PEAK["bf16"])
    alone_s = loss_flops(ROWS, ROWS, embedding_dim) / (UTILISATION * PEAK["no"])
    collectives = loss_collectives(gpus, ROWS, embedding_dim)
    loss_sends_s = sum(one.seconds(gpus, bytes_a_second) for one in collectives)
    (gradients,) = gradient_collectives(count_parameters(preset), zero_stage=0)
    gradients_s = gradients.seconds(gpus, bytes_a_second)
    last = gradients._replace(held_bytes=min(BUCKET_BYTES, gradients.held_bytes))
    exposed_s = loss_sends_s + max(last.seconds(gpus, bytes_a_second), gradients_s - encoder_s * 2 / 3)
    efficiency = (encoder_s + alone_s) / (encoder_s + gpus * alone_s + exposed_s)
    return (encoder_s, gpus * alone_s, loss_sends_s, gradients_s, exposed_s), efficiency


def loss_flops(rows: int, keys: int, embedding_dim: int) -> int:
    """Return the operations of the losses over pairs on one process, forward and backward.

    The contrastive loss multiplies its table of similarities and, in backward, both gradients; the triplet loss mines a
    table and goes back through the few pairs it has chosen.
    """
    return (3 + 1) * 2 * rows * keys * embedding_dim


def counted(runtime: Runtime) -> tuple[Counter[str], Counter[str]]:
    """Return how many collectives of each kind a step of preset tiny does, and the bytes held, as profiled.

    An all-reduce leaves no type in the trace; ours are all float32.  Those of a single number are left out: DeepSpeed's
    norm and overflow.
    """
    operations, held = Counter[str](), Counter[str]()
    with tempfile.TemporaryDirectory() as folder:
        loader = make_loader(Path(folder), COUNTED_ROWS, runtime)
        stepper = Stepper(make_loop(Trial("tiny", "no", False), loader, runtime))
        for _ in range(3):
            # DeepSpeed learns the order of the parameters in its first steps.
            stepper.step()
        with profile(activities=[ProfilerActivity.CPU], record_shapes=True, acc_events=True) as seen:
            stepper.step()
        trace = Path(folder, "trace.json")
        seen.export_chrome_trace(str(trace))
        events = json.loads(trace.read_text())["traceEvents"]
    for event in events:
        name, arguments = event.get("name", ""), event.get("args", {})
        match name, arguments.get("Input Dims"), arguments.get("Input type"):
            case "c10d::allreduce_", [[[]], *_], _:
                continue
            case "c10d::allreduce_", [tensors, *_], _:
                kind, size = "all_reduce", sum(4 * math.prod(shape) for shape in tensors)
            case "c10d::_allgather_base_", [everything, *_], [number, *_]:
                kind, size = "all_gather", SIZES[number] * math.prod(everything)
            case "c10d::_reduce_scatter_base_", [_, everything, *_], [number, *_]:
                kind, size = "reduce_scatter", SIZES[number] * math.prod(everything)
            case str(), _, _ if name.startswith("c10d::"):
                kind, size = name, 0
            case _:
                continue
        operations[kind] += 1
        held[kind] += size
    return operations, held


def comparison(runtime: Runtime) -> Table:
    """Return the table of counted bytes beside the formulas'."""
    formula = Counter[str]()
    for one in (
        *loss_collectives(runtime.world_size, COUNTED_ROWS, ModelConfig.from_preset("tiny").embedding_dim),
        *gradient_collectives(count_parameters("tiny"), runtime.zero_stage),
    ):
        formula[one.kind] += one.held_bytes
    operations, held = counted(runtime)
    engine = f"ZeRO stage {runtime.zero_stage}" if runtime.zero_stage else "whole copies"
    table = Table(title=f"A step's collectives: tiny, {runtime.world_size} processes of {COUNTED_ROWS} rows, {engine}")
    table.add_column("collective")
    for heading in ("operations", "bytes counted", "by the formulas"):
        table.add_column(heading, justify="right")
    for kind in sorted({*held, *formula}):
        table.add_row(kind, f"{operations[kind]:,}", f"{held[kind]:,}", f"{formula[kind]:,}")
    return table


def main() -> None:
    """Print the cost model, or with several processes what it is compared with."""
    runtime = start_runtime(mixed_precision="no")
    console = Console(width=118, quiet=not runtime.is_main)
    for table in (sent(), predicted()) if runtime.world_size == 1 else (comparison(runtime),):
        console.print(table)
    runtime.accelerator.end_training()


if __name__ == "__main__":
    typer.run(main)
