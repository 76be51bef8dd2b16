"""What is really running: processes, backend, device, precision, ZeRO stage.

Launchers misunderstand easily: asked for two processes on a CPU, Accelerate may start one, or start two that each
believe to be alone; asked for DeepSpeed without a GPU, it may train without.  `start_runtime` compares what was asked
with what there is, and refuses to train otherwise.  Cost: the imports (seconds), then nothing.
"""

import os
from datetime import timedelta
from typing import cast, get_args

import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from accelerate.utils import (
    DistributedDataParallelKwargs,
    DistributedType,
    InitProcessGroupKwargs,
)

from accent.errors import AccentError
from launch.run_config import TrainingConfig
from launch.runtime.agreement import Runtime
from launch.runtime.arithmetic import is_deterministic, rounds_to_tf32
from launch.runtime.deepspeed_plugin import launched_stage, without_compiled_operator, zero_plugin
from launch.runtime.missing_ranks import sign_in
from launch.runtime.precision import Precision

SUPPORTED = (DistributedType.NO, DistributedType.MULTI_CPU, DistributedType.MULTI_GPU, DistributedType.DEEPSPEED)


def start_runtime(
    device: str | torch.device | None = None,
    mixed_precision: str | None = None,
    processes: int | None = None,
    zero_stage: int | None = None,
    timeout_minutes: float = 10.0,
) -> Runtime:
    """Join the processes the launcher made, and refuse to train if they are not what was asked for.

    Args:
        device: "cpu" never uses a GPU; "cuda" needs one; None takes what there is.
        mixed_precision: "no", "bf16", "fp16"; None takes the launcher's choice.
        processes: how many processes there must be; None takes what the launcher made.
        zero_stage: the ZeRO stage there must be, 0 for none; None takes the launcher's choice.
        timeout_minutes: how long a collective waits for the other processes before this one gives up.

    Returns:
        The processes.

    Raises:
        AccentError: another number of processes or another stage than asked for, a missing GPU, or a parallel mode that
            the training loop does not know.

    Several processes without a GPU talk through gloo: plain torchrun and `accelerate launch --multi_gpu` work on a CPU.
    """
    wanted = None if device is None else torch.device(device)
    world_size = int(os.environ.get("WORLD_SIZE", "1"))
    if wanted is not None and wanted.type == "cuda":
        if not torch.cuda.is_available():
            raise AccentError(f"device {wanted}: this machine has no GPU that torch can use; take device cpu")
        if wanted.index is not None and world_size == 1:
            torch.cuda.set_device(wanted)
    precision = mixed_precision or os.environ.get("ACCELERATE_MIXED_PRECISION", "no")
    if precision not in get_args(Precision):
        raise AccentError(f"mixed_precision: {precision} asked for; allowed: {', '.join(get_args(Precision))}")
    _refuse_other_modes()
    if wanted is None:
        _refuse_gpu_launcher_without_gpu(world_size)
    stage = launched_stage()
    if zero_stage is not None and zero_stage != stage:
        raise AccentError(
            f"zero_stage: {zero_stage} asked for, the launcher started {f'stage {stage}' if stage else 'none'}; "
            f"start it with configs/accelerate/{f'zero{zero_stage}' if zero_stage else 'node'}.yaml"
        )
    if AcceleratorState._shared_state and not torch.distributed.is_initialized():
        # Accelerate keeps one state a process, so a second call on another device would silently stay on the first.
        AcceleratorState._reset_state(reset_partial_state=True)
    accelerator = _join(wanted, world_size, stage, timedelta(minutes=timeout_minutes))
    _check(accelerator, wanted, world_size, processes, stage)
    if accelerator.num_processes > 1:
        sign_in()
    return Runtime(accelerator, cast(Precision, precision), stage, 60 * timeout_minutes)


def _refuse_other_modes() -> None:
    """Refuse what `accelerate launch` may ask for and Accelerate would fail at later, with a traceback."""
    for variable, name in (("ACCELERATE_USE_FSDP", "FSDP"), ("ACCELERATE_USE_MEGATRON_LM", "Megatron-LM")):
        if os.environ.get(variable, "false").lower() == "true":
            raise AccentError(
                f"the launcher asks for {name}; training runs on one process, on several with a copy of the model "
                "each, or under DeepSpeed's ZeRO: start it with a file of configs/accelerate"
            )


def _refuse_gpu_launcher_without_gpu(world_size: int) -> None:
    """Refuse a launcher's file for GPUs on a machine without, instead of training on the CPU for days."""
    by_accelerate = "ACCELERATE_MIXED_PRECISION" in os.environ
    for_gpus = world_size > 1 or os.environ.get("ACCELERATE_MIXED_PRECISION") != "no"
    # configs/accelerate/cpu.yaml hides every GPU.
    hidden = "-1" in os.environ.get("CUDA_VISIBLE_DEVICES", "")
    if by_accelerate and for_gpus and not hidden and not torch.cuda.is_available():
        raise AccentError(
            "the launcher is set up for GPUs, and this machine has none that torch can use; "
            "start it with configs/accelerate/cpu.yaml, or add device=cpu"
        )


def _join(wanted: torch.device | None, world_size: int, stage: int, timeout: timedelta) -> Accelerator:
    without_gpu = not torch.cuda.is_available()
    if stage:
        # Accelerate's cpu=True would silently drop DeepSpeed; without a backend's name it would make each process
        # alone.  DeepSpeed decides by the variable what it runs on.
        if without_gpu:
            os.environ.setdefault("DS_ACCELERATOR", "cpu")
            without_compiled_operator()
        backend = "gloo" if without_gpu else "nccl"
        return Accelerator(
            mixed_precision="no",
            deepspeed_plugin=zero_plugin(stage),
            kwargs_handlers=[InitProcessGroupKwargs(backend=backend, timeout=timeout)],
        )
    return Accelerator(
        cpu=(wanted is not None and wanted.type == "cpu") or (world_size > 1 and without_gpu),
        mixed_precision="no",
        kwargs_handlers=[
            InitProcessGroupKwargs(timeout=timeout),
            DistributedDataParallelKwargs(broadcast_buffers=False, gradient_as_bucket_view=True),
        ],
    )


def _check(
    accelerator: Accelerator, wanted: torch.device | None, world_size: int, processes: int | None, stage: int
) -> None:
    if accelerator.distributed_type not in SUPPORTED:
        raise AccentError(
            f"the launcher asks for {accelerator.distributed_type.value}; training runs on one process, on several "
            "with a whole copy of the model each, or under DeepSpeed's ZeRO: start it with a file of configs/accelerate"
        )
    if bool(stage) != (accelerator.distributed_type == DistributedType.DEEPSPEED):
        raise AccentError(
            f"ZeRO stage {stage} asked for, Accelerate runs {accelerator.distributed_type.value}; "
            "unset ACCELERATE_USE_CPU and start it again"
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


def describe(runtime: Runtime, training: TrainingConfig, rows: int, parameters: int) -> str:
    """Return the line a run starts with.

    Args:
        runtime: the processes.
        training: how to train.
        rows: of a batch on one process.
        parameters: of the model.
    """
    device, count = runtime.device, runtime.world_size
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else f"{torch.get_num_threads()} threads each"
    machines = count // int(os.environ.get("LOCAL_WORLD_SIZE", count))
    batch = f"global batch {rows * count}" + (f" = {rows} rows x {count} processes" if count > 1 else "")
    if training.gradient_accumulation_steps > 1:
        batch += f", {training.gradient_accumulation_steps} of them a step"
    if training.chunk_rows is not None and training.chunk_rows < rows:
        batch += f", encoded {training.chunk_rows} rows at a time"
    return ", ".join(
        (
            f"training on {count} process{'es' if count > 1 else ''}" + (f" on {machines} machines" * (machines > 1)),
            f"backend {runtime.backend}",
            f"device {device.type} ({name})",
            f"precision {runtime.precision_name}",
            f"TF32 {'on' if rounds_to_tf32() else 'off'}",
            f"deterministic algorithms {'on' if is_deterministic() else 'off'}",
            f"ZeRO {f'stage {runtime.zero_stage}' if runtime.zero_stage else 'off'}",
            batch,
            f"{parameters / 1e6:.2f} M parameters",
        )
    )
