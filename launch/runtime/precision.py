"""Arithmetic of the forward pass, and the scale that keeps fp16's small gradients from vanishing.

Weights, gradients and the optimizer stay in float32 in every mode; torch's autocast chooses which operations run in
bfloat16 or float16.  The same for whole copies of the model and for ZeRO, on a GPU and on a CPU.
"""

from contextlib import AbstractContextManager
from typing import Any, Literal, TypedDict

import torch

Precision = Literal["no", "bf16", "fp16"]
DTYPES: dict[str, torch.dtype] = {"no": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


def autocast(precision: Precision, device: torch.device) -> AbstractContextManager[Any]:
    """Return the context in which a forward pass runs."""
    return torch.autocast(device.type, dtype=DTYPES[precision], enabled=precision != "no")


class ScaleState(TypedDict):
    """What a checkpoint keeps of fp16's loss scale."""

    value: float
    steps_since_change: int


class LossScale:
    """The factor the loss is multiplied by, and the gradients divided by: 1 but for fp16.

    Args:
        precision: arithmetic of the forward pass.
        processes: how many share the global batch.

    It halves when a gradient overflows, and doubles after `GROWTH_STEPS` steps without.  Plain numbers, because the
    gradients of ZeRO lie with DeepSpeed, where `torch.amp.GradScaler` cannot look; the rule is the scaler's.

    Source: Micikevicius et al. 2018, "Mixed precision training", ICLR, section 3.2.
    """

    START = 2.0**16
    GROWTH_STEPS = 2000

    def __init__(self, precision: Precision, processes: int = 1) -> None:
        self._processes = processes
        self.dynamic = precision == "fp16"
        """Whether overflows are to be expected."""
        self.value = self.START if self.dynamic else 1.0
        """The factor of the global batch's mean loss."""
        self._steps_since_change = 0

    @property
    def factor(self) -> float:
        """What a process multiplies its loss by, and gradients are divided by after they were averaged.

        A process's loss counts its rows as many times as there are processes, so that the mean of gradients is right:
        without dividing here, the more processes the sooner fp16 would overflow.
        """
        return self.value / self._processes if self.dynamic else 1.0

    def update(self, overflowed: bool) -> None:
        """Record a step: did its gradient overflow?"""
        if not self.dynamic:
            return
        self._steps_since_change = 0 if overflowed else self._steps_since_change + 1
        if overflowed:
            self.value /= 2
        elif self._steps_since_change == self.GROWTH_STEPS:
            self.value, self._steps_since_change = 2 * self.value, 0

    def state(self) -> ScaleState | None:
        """Return what a checkpoint keeps; nothing but for fp16."""
        return {"value": self.value, "steps_since_change": self._steps_since_change} if self.dynamic else None

    def restore(self, state: ScaleState | None) -> None:
        """Take over a checkpoint's state; a run resumed in another precision begins with a fresh scale."""
        if self.dynamic and state is not None:
            self.value, self._steps_since_change = state["value"], state["steps_since_change"]
