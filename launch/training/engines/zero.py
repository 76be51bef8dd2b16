"""DeepSpeed's ZeRO: optimizer (stage 1), gradients (2) and weights (3) are shared out among the processes.

Only where they lie differs: weights are float32 and the forward pass runs under torch's autocast, as with whole copies,
so that a step computes the same.  DeepSpeed's configuration is generated here from ours, with nothing left to "auto".
DeepSpeed itself leaves a step out, on all processes, if the gradient's norm is not finite.  It would load its files
with Python's own unpickler, which runs what they say; here they are loaded by `known_pickles`.

Cost: Adam's moments, half of a float32 model's training state, shrink by the number of processes from stage 1 on.
In stage 3 each process sends as many bytes a step as under DistributedDataParallel, though in many small pieces; in
stages 1 and 2 half as many again (counted by `tests.benchmarks.scaling`).

Source: Rajbhandari et al. 2020, "ZeRO: Memory optimizations toward training trillion parameter models", SC20.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import nn

from launch.run_config import TrainingConfig
from launch.runtime.agreement import Runtime, raise_on_all_ranks
from launch.training.engines.engine import WEIGHTS, Engine, StepResult, nan_if_not_finite, to_host
from launch.training.engines.known_pickles import load_known, refuse_unknown
from launch.training.module import TrainingOutput
from launch.training.optimizer import build_optimizer, set_learning_rate
from launch.training.step_timer import StepTimer
from shards.loading.batch import Batch

SHARES = "zero"
"""Folder of DeepSpeed's own files in a checkpoint."""


def zero_configuration(
    stage: int, rows: int, gradient_accumulation_steps: int, grad_clip: float, processes: int
) -> dict[str, Any]:
    """Return DeepSpeed's configuration of a run.

    Args:
        stage: 1, 2 or 3.
        rows: of a batch on one process.
        gradient_accumulation_steps: batches a step.
        grad_clip: largest norm of the gradient.
        processes: how many.
    """
    return {
        "train_micro_batch_size_per_gpu": rows,
        "gradient_accumulation_steps": gradient_accumulation_steps,
        "train_batch_size": rows * gradient_accumulation_steps * processes,
        "gradient_clipping": grad_clip,
        "zero_optimization": {"stage": stage, "overlap_comm": stage > 1 and torch.cuda.is_available()},
    }


class ZeroEngine(Engine):
    """The model under DeepSpeed's ZeRO.

    Args:
        module: the training module.
        training: the optimizer, and how many batches make one step.
        runtime: its `zero_stage` is 1, 2 or 3.
        clock: told of the parts `backward` and `optimizer`.
        rows: of a batch on this process.
    """

    # Every process writes, and they have to meet: training would have to wait anyway.
    in_background = False

    def __init__(
        self,
        module: nn.Module,
        training: TrainingConfig,
        runtime: Runtime,
        clock: StepTimer,
        rows: int,
    ) -> None:
        super().__init__(module, training, runtime, clock)
        accelerator = runtime.accelerator
        accelerator.state.deepspeed_plugin.deepspeed_config.update(
            zero_configuration(
                runtime.zero_stage,
                rows,
                training.gradient_accumulation_steps,
                training.optimizer.grad_clip,
                runtime.world_size,
            )
        )
        accelerator.gradient_accumulation_steps = training.gradient_accumulation_steps
        optimizer = build_optimizer(module, training.optimizer)
        self.wrapped, self.optimizer = accelerator.prepare(module, optimizer)
        self._set_scale()

    def accumulate(self, batch: Batch, last: bool) -> TrainingOutput:
        """Add the gradient of one batch; DeepSpeed divides by the number of batches accumulated."""
        self.wrapped.set_gradient_accumulation_boundary(last)
        output: TrainingOutput = self.wrapped(batch)
        with self.clock.part("backward"):
            self.wrapped.backward(nan_if_not_finite(output.loss))
        return output

    def gradients(self) -> Iterator[tuple[str, torch.Tensor]]:
        """Yield nothing: the shares would have to be brought together, parameter by parameter, by all processes."""
        return iter(())

    def step(self, lr: float) -> StepResult:
        """Let DeepSpeed clip and update, or leave the step out."""
        with self.clock.part("optimizer"):
            set_learning_rate(self.optimizer, lr)
            self.wrapped.step()
        applied = not self.optimizer.step_was_skipped
        self.loss_scale.update(overflowed=not applied)
        self._set_scale()
        return StepResult(float(self.wrapped.get_global_grad_norm()), applied)

    def warm_up(self, batch: Batch) -> None:
        """Do nothing: DeepSpeed's order is that of the parameters, from the first step on."""

    def snapshot(self) -> Callable[[Path], None] | None:
        """Bring the whole weights to the first process; the shares are written from where they lie."""
        with self.whole_weights():
            weights = to_host(self.module.state_dict()) if self.runtime.is_main else {}

        def write(folder: Path) -> None:
            if self.runtime.is_main:
                save_file(weights, folder / WEIGHTS)
            self.wrapped.save_checkpoint(str(folder), tag=SHARES, save_latest=False)
            if self.runtime.is_main:
                # DeepSpeed's scripts that make whole weights of its files; they lie beside them already.
                for script in folder.glob("zero_to_*.py"):
                    script.unlink()

        return write

    def whole_weights(self) -> AbstractContextManager[Any]:
        """Gather what stage 3 has shared out; see `Engine.whole_weights`."""
        if self.runtime.zero_stage < 3:
            return nullcontext()
        # Imported here: it takes seconds, and only ZeRO needs it.
        import deepspeed

        gathered: AbstractContextManager[Any] = deepspeed.zero.GatheredParameters(list(self.module.parameters()))
        return gathered

    def load(self, folder: Path) -> None:
        """Take over this process's share of weights and moments."""
        known = _deepspeed_classes()
        # Looked through before DeepSpeed begins, because a process that fails amid its collectives fails alone.
        with raise_on_all_ranks(self.runtime):
            files = sorted((folder / SHARES).glob("*.pt"))
            for file in files[self.runtime.rank :: self.runtime.world_size]:
                refuse_unknown(file, known)
        self.wrapped.checkpoint_engine.load = lambda path, map_location=None: load_known(path, known)
        where, _ = self.wrapped.load_checkpoint(str(folder), tag=SHARES, load_lr_scheduler_states=False)
        if where is None:
            raise OSError(f"{folder / SHARES} is incomplete")
        self._set_scale()

    def _set_scale(self) -> None:
        if self.loss_scale.dynamic:
            self.optimizer.optimizer.override_loss_scale(self.loss_scale.factor)


def _deepspeed_classes() -> list[type]:
    """Return the classes of which DeepSpeed keeps objects in its files; none does anything when it is made."""
    from deepspeed.runtime.fp16.loss_scaler import LossScaler
    from deepspeed.runtime.zero.config import ZeroStageEnum
    from deepspeed.utils.tensor_fragment import fragment_address

    return [LossScaler, ZeroStageEnum, fragment_address]
