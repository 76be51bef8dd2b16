"""One training step of one preset and precision, measured: `tests.benchmarks.train` has the tables of it.

The real code at work: `TrainingLoader`, `TrainingModule`, an `Engine` and `StepTimer`, in the order of
`launch.training.trainer`. Warm-up, then rounds of steps, of which the fastest counts.  With whole copies on several
processes every round is followed by one whose gradients stay where they are (DDP's `no_sync`), so that both meet the
same noise.  Weights of the processes drift apart in it; nothing here depends on them.

Shapes: B rows of this process, T frames, D columns, E embedding.
"""

import gc
import sys
import time
from dataclasses import dataclass
from functools import cache

import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.profiler import ProfilerActivity, profile
from torch.utils.flop_counter import FlopCounterMode

from accent.features.config import FeatureConfig
from accent.features.schema import N_COLUMNS
from accent.losses.chunks import row_outputs
from accent.losses.gather import all_reduce_sum
from accent.losses.objective import gather_rows
from accent.model.config import ModelConfig
from accent.model.encoder import EnhancedAccentEncoder
from launch.run_config import TrainingConfig
from launch.runtime.agreement import Runtime
from launch.runtime.precision import Precision
from launch.training.agreed import NUMBERS
from launch.training.tasks.accent_task import accent_task
from launch.training.tasks.task import Position
from launch.training.trainer import Trainer
from shards.loading.loader import TrainingLoader
from tests.support.device import forget_peak, out_of_memory, peak_bytes, synchronize

ROUNDS, LR = 3, 1e-4
MOST_WARM_UP = 30
"""Steps after which a scale that still overflows is no matter of warming up."""
ATTENTION = "aten::_scaled_dot_product_"


@dataclass(frozen=True)
class Trial:
    """What is measured."""

    preset: str
    precision: Precision
    compiled: bool

    def __str__(self) -> str:
        precision = {"no": "float32"}.get(self.precision, self.precision)
        return f"{self.preset}, {precision}{', compiled' if self.compiled else ''}"


@dataclass(frozen=True)
class Cost:
    """What a step costs; times in seconds."""

    step: float
    parts: dict[str, float]
    """As `StepTimer` names them."""
    gradients: float | None
    """The all-reduce of the gradients, as far as nothing hides it."""
    loss_collectives: float | None
    memory: int
    """Bytes at the peak."""
    flops: int
    attention: str
    launches: int | None
    left_out: int
    """Measured steps that updated nothing, because of an overflow."""


def attempt(trial: Trial, loader: TrainingLoader, steps: int, warm_up: int, runtime: Runtime) -> Cost | None:
    """Measure, and leave nothing behind.

    Args:
        trial: what.
        loader: this process's batches.
        steps: of each round.
        warm_up: steps before, at least; with fp16 as many more as it takes until one updates.
        runtime: the processes, in the trial's precision.

    Returns:
        The cost; None if it does not fit into memory.  On several processes a lack of memory ends the job instead: the
        others wait in a collective and cannot be told.
    """
    cost = None
    try:
        cost = _measure(trial, loader, steps, warm_up, runtime)
    except RuntimeError as error:
        if not out_of_memory(error) or runtime.world_size > 1:
            raise
    runtime.accelerator.free_memory()
    torch.compiler.reset()
    gc.collect()
    if runtime.device.type == "cuda":
        torch.cuda.empty_cache()
    return cost


def _measure(trial: Trial, loader: TrainingLoader, steps: int, warm_up: int, runtime: Runtime) -> Cost:
    device, on_gpu = runtime.device, runtime.device.type == "cuda"
    stepper = Stepper(make_loop(trial, loader, runtime))
    for number in range(MOST_WARM_UP):
        if stepper.step() and number + 1 >= warm_up:
            break
    with profile(
        activities=[ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if on_gpu else [])], acc_events=True
    ) as seen:
        stepper.step()
    calls = {event.key: event.count for event in seen.key_averages()}
    del seen
    forget_peak(device)
    apart = runtime.world_size > 1 and not runtime.zero_stage
    whole, bare = [], []
    for _ in range(ROUNDS):
        whole.append(stepper.round(steps))
        if apart:
            bare.append(stepper.round(steps, reduce=False)[0])
    step, parts = min(whole, key=lambda timed: timed[0])
    rows = loader.global_batch // runtime.world_size
    return Cost(
        step=step,
        parts=parts,
        gradients=step - min(bare) if apart else None,
        loss_collectives=_time_collectives(rows, trial.preset, runtime) if runtime.world_size > 1 else None,
        memory=int(runtime.all_reduce_max(peak_bytes(device))[0]),
        flops=count_flops(trial.preset, rows, loader.crop_frames),
        attention=attention_kernel(calls),
        launches=kernel_launches(calls) if on_gpu else None,
        left_out=stepper.left_out,
    )


def make_loop(trial: Trial, loader: TrainingLoader, runtime: Runtime) -> Trainer:
    """Return a training loop of which only parts are used here: the engine with its module, and the clock."""
    torch.manual_seed(0)
    encoder = EnhancedAccentEncoder(ModelConfig.from_preset(trial.preset, accents=tuple(loader.accents)))
    statistics = loader.statistics
    encoder.set_normalisation(statistics.mean_D, statistics.std_D)
    training = TrainingConfig(epochs=1, compile=trial.compiled)
    task = accent_task(encoder, loader, training, runtime)
    loop = Trainer(task, loader, None, training, runtime, None, FeatureConfig(), {}, {}, [])
    loop.engine.module.train()
    return loop


class Stepper:
    """Does training steps one after the other, as `launch.training.trainer` does them."""

    def __init__(self, loop: Trainer) -> None:
        self.loop = loop
        self.left_out = 0
        """Steps of the rounds that updated nothing."""
        self._batches = loop.train_loader.steps(0, sys.maxsize)
        self._batch = next(self._batches)
        self._done = 0
        loop.engine.warm_up(self._batch.to(loop.runtime.device))

    def step(self, reduce: bool = True) -> bool:
        """Do one step; return whether it updated the weights.

        Args:
            reduce: bring the gradients of the processes together.
        """
        runtime, engine = self.loop.runtime, self.loop.engine
        batch = self._batch.to(runtime.device, non_blocking=True)
        batch = self.loop.task.prepare(batch, Position(self._done, 0.0))
        output = engine.accumulate(batch, last=reduce)
        began = time.perf_counter()
        self._batch = next(self._batches)
        self.loop.clock.add("data_wait", time.perf_counter() - began)
        runtime.all_reduce_max(~torch.isfinite(output.loss.detach()), *[0.0] * (NUMBERS - 1))
        self._done += 1
        return engine.step(LR).applied

    def round(self, steps: int, reduce: bool = True) -> tuple[float, dict[str, float]]:
        """Do a round of steps; return the seconds of one, and of each of its parts."""
        device, clock = self.loop.runtime.device, self.loop.clock
        synchronize(device)
        clock.take()
        began = time.perf_counter()
        self.left_out += sum(not self.step(reduce) for _ in range(steps))
        synchronize(device)
        step = (time.perf_counter() - began) / steps
        return step, {name: seconds / steps for name, seconds in clock.take().items()}


def _time_collectives(rows: int, preset: str, runtime: Runtime) -> float:
    """Return the seconds of a step's collectives but for the gradients', timed apart; the fastest of 20."""
    embedding_dim = ModelConfig.from_preset(preset).embedding_dim
    embedding_BE = torch.randn(rows, embedding_dim, device=runtime.device, requires_grad=True)
    label_B = torch.zeros(rows, dtype=torch.long, device=runtime.device)
    counts = torch.zeros(counted_numbers(), device=runtime.device)
    fastest = float("inf")
    for _ in range(20):
        # The agreement at the end waits for the device.
        began = time.perf_counter()
        _, keys = gather_rows(embedding_BE, label_B, label_B, label_B, label_B == 0)
        torch.autograd.grad(keys.embedding_NE.sum(), embedding_BE)
        all_reduce_sum(counts)
        runtime.all_reduce_max(*[0.0] * NUMBERS)
        fastest = min(fastest, time.perf_counter() - began)
    return fastest


def counted_numbers() -> int:
    """Return the length of the vector in which the objective adds up its sums and counts over the processes."""
    families = len(ModelConfig().families)
    # Sum and count of contrastive, triplet and cross-entropy, and of each family's reconstruction; active triplets,
    # right rows.
    return 2 * (3 + families) + 2


@cache
def count_flops(preset: str, rows: int, frames: int) -> int:
    """Return the operations of the encoder's matrices and convolutions, forward and backward; computes nothing."""
    with FakeTensorMode():
        encoder = EnhancedAccentEncoder(ModelConfig.from_preset(preset))
        frames_BTD, valid_BT = torch.zeros(rows, frames, N_COLUMNS), torch.ones(rows, frames, dtype=torch.bool)
        with FlopCounterMode(display=False) as counter:
            outputs = row_outputs(encoder(frames_BTD, valid_BT), valid_BT[:, 0])
            torch.stack([part.sum() for part in outputs]).sum().backward()
    return int(counter.get_total_flops())


def attention_kernel(calls: dict[str, int]) -> str:
    """Return which of torch's implementations of attention ran, from the operators that a step called.

    torch.compile may have taken attention apart into matrix products; then there is none.
    """
    ran = {name.removeprefix(ATTENTION) for name in calls if name.startswith(ATTENTION) and "backward" not in name}
    return ", ".join(sorted(name.replace("_attention", "").replace("attention_", "") for name in ran)) or "matrices"


def kernel_launches(calls: dict[str, int]) -> int:
    """Return how many kernels a step told a GPU to run."""
    return sum(count for name, count in calls.items() if name.startswith(("cudaLaunchKernel", "cuLaunchKernel")))
