"""What dropout by keys of the rows costs beside `nn.Dropout`: the layer forward and backward, its share of a step.

    OMP_NUM_THREADS=1 python -m tests.benchmarks.dropout

First the layer alone, on the activations that a preset has for so many rows of 300 frames: a residual block's, the
feed-forward network's, attention's probabilities (positions x positions for each head).  Both layers take turns, and
the fastest of some rounds counts.  On a CPU the time is that of the process, all its threads together, so that a
machine shared with others changes little.  Memory is what autograd keeps between forward and backward, counted tensor
by tensor.

Then a training step of the real code (`tests.benchmarks.step`) three times: without dropout, with ours, and with
`nn.Dropout` put in place of every one of our layers, attention's too.  So the last two differ by the layer alone; what
attention costs without a fused kernel is in both.  The share of a step is (with dropout - without) / with.
"""

import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Annotated

import torch
import typer
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn

from accent.augmentation.keyed_uniform import row_keys
from accent.model.config import ModelConfig
from accent.model.keyed_dropout import KeyedDropout, keyed_rows
from launch.runtime.agreement import Runtime
from launch.runtime.precision import DTYPES, Precision
from launch.runtime.start import start_runtime
from tests.benchmarks.step import Stepper, Trial, make_loop
from tests.benchmarks.train import CROP, make_loader
from tests.support.device import device_name, synchronize

SHARE, ROUNDS = 0.1, 15
ON_CPU, ON_GPU = 12, 96
"""Rows of a process."""


def main(
    presets: Annotated[str, typer.Option(help="sizes, separated by commas")] = "tiny,base",
    steps: Annotated[int, typer.Option(help="steps of a round")] = 4,
    precision: Annotated[str, typer.Option(help="no, bf16 or fp16")] = "no",
) -> None:
    """Print what dropout costs."""
    runtime = start_runtime(mixed_precision=precision)
    rows = ON_GPU if runtime.device.type == "cuda" else ON_CPU
    console = Console()
    console.print(
        f"{device_name(runtime.device)}; torch {torch.__version__}; {rows} rows of {CROP} frames, {precision}"
    )
    with tempfile.TemporaryDirectory() as folder:
        for preset in presets.split(","):
            sizes = ModelConfig.from_preset(preset)
            console.print(layer_table(preset, shapes(sizes, rows), runtime))
            console.print(step_table(preset, steps, rows, Path(folder) / preset, runtime))
    runtime.accelerator.end_training()


def shapes(sizes: ModelConfig, rows: int) -> dict[str, tuple[int, ...]]:
    """Return the shapes of the activations that a preset drops from."""
    positions = -(-CROP // sizes.subsampling)
    return {
        "residual block": (rows, CROP, sizes.hidden),
        "feed-forward": (rows, positions, 4 * sizes.hidden),
        "attention": (rows, sizes.heads, positions, positions),
    }


class Plain(nn.Dropout):
    """`nn.Dropout` where a keyed layer stood."""

    @property
    def is_on(self) -> bool:
        """Whether a forward pass drops anything."""
        return self.training and self.p > 0


def layer_table(preset: str, of: dict[str, tuple[int, ...]], runtime: Runtime) -> Table:
    """Measure the layers alone."""
    device, dtype = runtime.device, DTYPES[runtime.precision]
    table = Table(title=f"{preset}: forward and backward of a layer, share {SHARE}")
    for heading in ("activation", "values", "nn.Dropout, ms", "keyed, ms", "times", "kept, bytes a value: nn", "keyed"):
        table.add_column(heading, justify="left" if heading == "activation" else "right")
    for name, shape in of.items():
        x = torch.randn(shape, device=device, dtype=dtype, requires_grad=True)
        gradient = torch.randn_like(x)
        keys_B = row_keys(0, 0, 0, shape[0], device)
        plain, keyed = nn.Dropout(SHARE), KeyedDropout(SHARE)

        def with_keys(x: Tensor, keyed: KeyedDropout = keyed, keys_B: Tensor = keys_B) -> Tensor:
            with keyed_rows(keyed, keys_B):
                made: Tensor = keyed(x)
            return made

        fastest = [float("inf")] * 2
        for _ in range(ROUNDS):
            for which, layer in enumerate((plain, with_keys)):
                work = partial(_pass, layer, x, gradient)
                fastest[which] = min(fastest[which], _seconds(work, device))
        kept = [_kept_bytes(layer, x) / x.numel() for layer in (plain, with_keys)]
        ratio = fastest[1] / fastest[0]
        times = [f"{1e3 * one:.2f}" for one in fastest]
        table.add_row(name, f"{x.numel():,}", *times, f"{ratio:.2f}", *(f"{one:.1f}" for one in kept))
    return table


def _seconds(work: Callable[[], object], device: torch.device) -> float:
    clock = time.perf_counter if device.type == "cuda" else time.process_time
    synchronize(device)
    began = clock()
    work()
    synchronize(device)
    return clock() - began


def _pass(layer: Callable[[Tensor], Tensor], x: Tensor, gradient: Tensor) -> None:
    torch.autograd.grad(layer(x), x, gradient)


def _kept_bytes(layer: Callable[[Tensor], Tensor], x: Tensor) -> int:
    kept: dict[int, int] = {}

    def pack(tensor: Tensor) -> Tensor:
        kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        layer(x)
    return sum(kept.values())


def step_table(preset: str, steps: int, rows: int, folder: Path, runtime: Runtime) -> Table:
    """Measure a step without dropout, with ours, and with torch's."""
    precision: Precision = runtime.precision
    loader = make_loader(folder, rows, runtime)
    steppers = {}
    for name in ("without", "keyed", "nn.Dropout"):
        loop = make_loop(Trial(preset, precision, False), loader, runtime)
        set_dropout(loop.task.encoder, name)
        steppers[name] = Stepper(loop)
        steppers[name].step()
    fastest = dict.fromkeys(steppers, float("inf"))
    for _ in range(3):
        for name, stepper in steppers.items():
            work = partial(stepper.round, steps)
            fastest[name] = min(fastest[name], _seconds(work, runtime.device) / steps)
    table = Table(title=f"{preset}: a training step")
    for heading in ("dropout", "ms", "share of the step"):
        table.add_column(heading, justify="left" if heading == "dropout" else "right")
    for name, seconds in fastest.items():
        table.add_row(name, f"{1e3 * seconds:,.1f}", f"{(seconds - fastest['without']) / seconds:.1%}")
    return table


def set_dropout(encoder: nn.Module, kind: str) -> None:
    """Put another dropout in place of every keyed one: without, keyed (changes nothing), nn.Dropout."""
    for owner in list(encoder.modules()):
        for name, layer in list(owner.named_children()):
            if isinstance(layer, KeyedDropout) and kind == "without":
                layer.share = 0.0
            elif isinstance(layer, KeyedDropout) and kind == "nn.Dropout":
                setattr(owner, name, Plain(layer.share))


if __name__ == "__main__":
    typer.run(main)
