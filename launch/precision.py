"""Arithmetic of the forward pass, and the scale that keeps fp16's small gradients from vanishing.

Weights, gradients and the optimizer stay in float32 in every mode; torch's autocast chooses which operations run in
bfloat16 or float16.  The same for whole copies of the model and for ZeRO, on a GPU and on a CPU.
"""

from contextlib import AbstractContextManager
from typing import Any, Literal

import torch

Precision = Literal["no", "bf16", "fp16"]
DTYPES: dict[str, torch.dtype] = {"no": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


def autocast(precision: Precision, device: torch.device) -> AbstractContextManager[Any]:
    """Return the context in which a forward pass runs."""
    return torch.autocast(device.type, dtype=DTYPES[precision], enabled=precision != "no")


class LossScale:
    """The factor the loss is multiplied by, and the gradients divided by: 1 but for fp16.

    It halves when a gradient overflows, and doubles after `GROWTH_STEPS` steps without.  Plain numbers, because the
    gradients of ZeRO lie with DeepSpeed, where `torch.amp.GradScaler` cannot look; the rule is the scaler's.

    Source: Micikevicius et al. 2018, "Mixed precision training", ICLR, section 3.2.
    """

    START = 2.0**16
    GROWTH_STEPS = 2000

    def __init__(self, precision: Precision) -> None:
        self.dynamic = precision == "fp16"
        """Whether overflows are to be expected."""
        self.value = self.START if self.dynamic else 1.0
        """The factor."""
        self._steps_since_change = 0

    def update(self, overflowed: bool) -> None:
        """Take note of a step: did its gradient overflow?"""
        if not self.dynamic:
            return
        self._steps_since_change = 0 if overflowed else self._steps_since_change + 1
        if overflowed:
            self.value /= 2
        elif self._steps_since_change == self.GROWTH_STEPS:
            self.value, self._steps_since_change = 2 * self.value, 0

    def state(self) -> dict[str, float]:
        """Return what a checkpoint keeps."""
        return {"value": self.value, "steps_since_change": self._steps_since_change}

    def restore(self, state: dict[str, float]) -> None:
        """Take over a checkpoint's state; a run that goes on in another precision begins with a fresh scale."""
        if self.dynamic and state["value"] != 1.0:
            self.value, self._steps_since_change = state["value"], int(state["steps_since_change"])
