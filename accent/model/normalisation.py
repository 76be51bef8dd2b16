"""From physical units with gaps to numbers around zero without gaps, and a mask that says where the gaps were.

Undefined values are replaced before any arithmetic: NaN x 0 is NaN, also in gradients.  The statistics are buffers, so
they travel with the weights.  Cost: a few passes over the batch.

Shapes: B batch rows, T frames, D columns.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

LIMIT = 10.0
"""Standard deviations from the mean at which a value is cut off: a gross tracking error must not rule the gradient."""


class Normalisation(nn.Module):
    """Mean and standard deviation of every column, and their use.

    The statistics stay in float32 or better when the model is cast to half precision: formant frequencies in bfloat16
    would be off by tens of Hz.
    """

    def __init__(self, columns: int) -> None:
        super().__init__()
        self.mean_D: Tensor
        self.std_D: Tensor
        self.register_buffer("mean_D", torch.zeros(columns))
        self.register_buffer("std_D", torch.ones(columns))

    def set(self, mean_D: Any, std_D: Any) -> None:
        """Take over statistics of the training speakers.

        Args:
            mean_D: mean of each column, in its unit: a tensor or an array.
            std_D: standard deviation of each column.  A column that never varies or was never defined (0 or NaN) is
                only centred.

        Raises:
            ValueError: another number of columns.
        """
        mean = torch.as_tensor(mean_D).to(self.mean_D)
        std = torch.as_tensor(std_D).to(self.std_D)
        if mean.shape != self.mean_D.shape or std.shape != self.std_D.shape:
            raise ValueError(
                f"normalisation: statistics of {tuple(mean.shape)} and {tuple(std.shape)} columns given; "
                f"the schema has {len(self.mean_D)}"
            )
        self.mean_D.copy_(torch.where(mean.isfinite(), mean, 0.0))
        self.std_D.copy_(torch.where(std.isfinite() & (std > 0), std, 1.0))

    def forward(self, frames_BTD: Tensor, valid_BT: Tensor) -> tuple[Tensor, Tensor]:
        """Normalise a batch.

        Args:
            frames_BTD: features in physical units, NaN where undefined; anything in padding.
            valid_BT: true for real frames.

        Returns:
            values_BTD: normalised, at most `LIMIT` from zero; 0, the mean, where undefined and in padding.
            defined_BTD: true where a real frame has a value.
        """
        with torch.autocast(frames_BTD.device.type, enabled=False):
            frames_BTD = frames_BTD.to(self.mean_D.dtype)
            defined_BTD = frames_BTD.isfinite() & valid_BT.unsqueeze(-1)
            filled_BTD = torch.where(defined_BTD, frames_BTD, self.mean_D)
            values_BTD = ((filled_BTD - self.mean_D) / self.std_D).clamp(-LIMIT, LIMIT)
        return values_BTD, defined_BTD

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> "Normalisation":
        mean_D, std_D = self.mean_D, self.std_D
        super()._apply(fn, recurse)
        if self.mean_D.dtype in (torch.float16, torch.bfloat16):
            self.mean_D = mean_D.to(self.mean_D.device)
            self.std_D = std_D.to(self.std_D.device)
        return self
