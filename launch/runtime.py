"""What is really running (processes, backend, device, precision), and how a run ends: whole, with a line and a status.

Launchers misunderstand easily: asked for two processes on a CPU, Accelerate may start one, or start two that each
believe to be alone.  `start_accelerator` compares what was asked with what there is, and refuses to train otherwise.
Statuses of a process: 0 done, 2 a fault the user can mend, 128 + number after a signal (130 for Ctrl-C).  The launchers
turn every status but 0 into 1 and print a report of their own below our line; only `python -m launch.train` passes
the status on.  Cost: the imports (seconds), then nothing.
"""

import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from types import FrameType, TracebackType
from typing import NoReturn

import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from accelerate.utils import (
    DistributedDataParallelKwargs,
    DistributedType,
    InitProcessGroupKwargs,
    gather_object,
)

from accent.errors import AccentError

SUPPORTED = (DistributedType.NO, DistributedType.MULTI_CPU, DistributedType.MULTI_GPU)
SECOND_SIGNAL_SECONDS = 2.0
"""A launcher passes Ctrl-C on although the terminal has sent it already; only a later one is a second wish."""


class EveryRankError(AccentError):
    """A fault that all processes raise together with the same line: the first speaks for all."""


class Interrupted(KeyboardInterrupt):
    """Training left at the end of a step because a signal asked it to."""

    def __init__(self, number: int, message: str) -> None:
        super().__init__(message)
        self.number = number
        """The signal: SIGINT for Ctrl-C, SIGTERM from a scheduler."""


def start_accelerator(
    device: str | torch.device | None = None,
    mixed_precision: str | None = None,
    processes: int | None = None,
    timeout_minutes: float = 10.0,
) -> Accelerator:
    """Join the processes the launcher made, and refuse to go on if they are not what was asked for.

    Args:
        device: "cpu" never uses a GPU; "cuda" needs one; None takes what there is.
        mixed_precision: "no", "bf16", "fp16"; None takes the launcher's choice.
        processes: how many processes there must be; None takes what the launcher made.
        timeout_minutes: how long a collective waits for the other processes before this one gives up.

    Returns:
        An accelerator that prepares a module and an optimizer (nothing else).

    Raises:
        AccentError: another number of processes than asked for, a missing GPU, or a parallel mode that the
            training loop does not know.

    Several processes without a GPU talk through gloo: plain torchrun and `accelerate launch --multi_gpu` work on a CPU.
    """
    wanted = None if device is None else torch.device(device)
    world_size = int(os.environ.get("WORLD_SIZE", "1"))
    if wanted is not None and wanted.type == "cuda":
        if not torch.cuda.is_available():
            raise AccentError(f"device {wanted}: this machine has no GPU that torch can use; take device cpu")
        if wanted.index is not None and world_size == 1:
            torch.cuda.set_device(wanted)
    on_cpu = (wanted is not None and wanted.type == "cpu") or (world_size > 1 and not torch.cuda.is_available())
    if AcceleratorState._shared_state and not torch.distributed.is_initialized():
        # Accelerate keeps one state a process, so a second call on another device would silently stay on the first.
        AcceleratorState._reset_state(reset_partial_state=True)
    accelerator = Accelerator(
        cpu=on_cpu,
        mixed_precision=mixed_precision,
        kwargs_handlers=[
            InitProcessGroupKwargs(timeout=timedelta(minutes=timeout_minutes)),
            DistributedDataParallelKwargs(broadcast_buffers=False, gradient_as_bucket_view=True),
        ],
    )
    _check(accelerator, wanted, world_size, processes)
    return accelerator


def _check(accelerator: Accelerator, wanted: torch.device | None, world_size: int, processes: int | None) -> None:
    if accelerator.distributed_type not in SUPPORTED:
        raise AccentError(
            f"the launcher asks for {accelerator.distributed_type.value}; training runs on one process or on several "
            "with a whole copy of the model each: start it with configs/accelerate/cpu.yaml, gpu.yaml or node.yaml"
        )
    if accelerator.num_processes != world_size:
        raise AccentError(
            f"the launcher made {world_size} processes (WORLD_SIZE) but Accelerate joined {accelerator.num_processes}; "
            "unset ACCELERATE_USE_CPU, ACCELERATE_TORCH_DEVICE and LOCAL_RANK, and start it again"
        )
    # `accelerate launch` names a meeting point whenever it was asked for several processes, even if it starts one.
    alone = "WORLD_SIZE" not in os.environ and "ACCELERATE_MIXED_PRECISION" in os.environ
    if alone and "MASTER_PORT" in os.environ and "SLURM_JOB_ID" not in os.environ:
        raise AccentError(
            "accelerate launch was asked for several processes and started one (it does so with --cpu); "
            "use: accelerate launch --config_file configs/accelerate/cpu.yaml --num_processes N -m launch.train ..."
        )
    if processes is not None and accelerator.num_processes != processes:
        raise AccentError(
            f"processes: {processes} asked for, {accelerator.num_processes} running; "
            f"start it with: accelerate launch --num_processes {processes} ..."
        )
    if wanted is not None and accelerator.device.type != wanted.type:
        raise AccentError(f"device {wanted} asked for, Accelerate took {accelerator.device}")


def describe(accelerator: Accelerator, global_batch: int, parameters: int) -> str:
    """Return the line a run starts with: processes, backend, device, precision, global batch, parameters."""
    backend = torch.distributed.get_backend() if torch.distributed.is_initialized() else "none"
    device = accelerator.device
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else f"{torch.get_num_threads()} threads each"
    count = accelerator.num_processes
    precision = {"no": "float32"}.get(accelerator.mixed_precision, accelerator.mixed_precision)
    return (
        f"training on {count} process{'es' if count > 1 else ''}, backend {backend}, device {device.type} ({name}), "
        f"precision {precision}, global batch {global_batch}, {parameters / 1e6:.2f} M parameters"
    )


@contextmanager
def together(accelerator: Accelerator) -> Iterator[None]:
    """Run a block on every process; if it fails with an `AccentError` on any, raise that error on all.

    Without this a process that cannot read its disk would leave the others waiting in their next collective.
    Every process must enter the block.  Cost: one small all-gather.

    Raises:
        EveryRankError: the distinct lines of all processes, joined.
    """
    fault: str | None = None
    try:
        yield
    except EveryRankError:
        raise
    except AccentError as error:
        fault = str(error)
    faults = [fault] if accelerator.num_processes == 1 else gather_object([fault])
    lines = list(dict.fromkeys(line for line in faults if line is not None))
    if lines:
        raise EveryRankError("; ".join(lines))


class StopRequest:
    """Remember a signal instead of dying of it, so that the loop can leave at the end of a step.

    A context manager.  Outside the main thread it catches nothing, because Python delivers signals there only.
    """

    def __init__(self) -> None:
        self.number = 0
        """The signal that came, or 0."""
        self._first = 0.0
        self._before: dict[int, Callable[[int, FrameType | None], object] | int | None] = {}

    def __enter__(self) -> "StopRequest":
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._before[number] = signal.signal(number, self._remember)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _remember(self, number: int, frame: FrameType | None) -> None:
        if self.number == 0:
            self.number, self._first = int(number), time.monotonic()
        elif number == signal.SIGINT and time.monotonic() - self._first > SECOND_SIGNAL_SECONDS:
            raise KeyboardInterrupt


def run_main(job: Callable[[], None], debug: bool) -> int:
    """Run a program's body and turn what ends it into one line and a status.

    Args:
        job: the body.
        debug: also print the traceback of a fault the user can mend.

    Returns:
        0, 2 for an `AccentError`, 128 + number for a signal.  Anything else is our fault and keeps its traceback.
    """
    rank, local_rank = int(os.environ.get("RANK", "0")), int(os.environ.get("LOCAL_RANK", "0"))
    joined = torch.distributed.is_available() and torch.distributed.is_initialized
    try:
        job()
    except EveryRankError as error:
        _say(str(error), debug, rank == 0)
        return 2
    except AccentError as error:
        # Before the processes have met, each finds the same fault; the first of each machine speaks.
        met = bool(joined and joined())
        _say(f"process {rank}: {error}" if met and rank else str(error), debug, met or local_rank == 0)
        return 2
    except Interrupted as stop:
        _say(str(stop), False, rank == 0)
        return 128 + stop.number
    except KeyboardInterrupt:
        _say("interrupted; what was saved before is whole", False, rank == 0)
        return 130
    return 0


def leave(status: int) -> NoReturn:
    """End this process with a status; one of several processes ends at once, without Python's shutdown.

    By then everything is saved and closed.  What is left are threads of torch's process group in C++, and now and then
    the shutdown destroys one that still runs: the process is aborted ("terminate called without an active exception")
    and the launcher calls a finished job failed.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        os._exit(status)
    sys.exit(status)


def _say(line: str, debug: bool, speaks: bool) -> None:
    if debug:
        traceback.print_exc()
    if speaks:
        print(f"accent: {line}", file=sys.stderr, flush=True)
