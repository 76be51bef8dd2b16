"""The objective of training phone heads: each head's cross-entropy, scaled so that N ranks train as one process would.

Shapes: B rows of this rank, T frames.
"""

import torch
from torch import Tensor, nn

from accent.losses.gather import all_reduce_sum, world_size
from accent.losses.phone_cross_entropy import phone_cross_entropy
from accent.model.phonetic.phone_head import PhoneLogits


class PhoneObjective(nn.Module):
    """Mean over the heads of their losses; holds no weights."""

    def forward(self, by_head: list[tuple[PhoneLogits, Tensor]], phone_U: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Compute the objective; a collective, called by every rank at every step.

        Args:
            by_head: for each head, what it believes of its rows, and their labels, state_BT; heads have rows of
                their own, and may have none.
            phone_U: phone of each unit.

        Returns:
            The scalar to call `backward` on, whose mean over ranks is the loss of the global batch; and by name, the
            same on every rank and without gradient, `total` and `frame_accuracy`, the share of frames whose phone is
            right.
        """
        losses = [phone_cross_entropy(logits, state_BT, phone_U) for logits, state_BT in by_head]
        total_H = torch.stack([loss.total for loss in losses])
        right = torch.stack([_right(logits, state_BT, phone_U) for logits, state_BT in by_head])
        counted_H = torch.stack([loss.counted for loss in losses]).to(total_H.dtype)
        local = torch.cat([total_H.detach(), counted_H, right.to(total_H.dtype)])
        sum_H, tally_H, right_H = all_reduce_sum(local).chunk(3)
        divisor_H = tally_H.clamp(min=1) * (tally_H > 0).sum().clamp(min=1)
        report = {"total": (sum_H / divisor_H).sum(), "frame_accuracy": right_H.sum() / tally_H.sum().clamp(min=1)}
        return (total_H * (world_size() / divisor_H)).sum(), report


def _right(logits: PhoneLogits, state_BT: Tensor, phone_U: Tensor) -> Tensor:
    said_BT = phone_U[logits.unit_BTU.detach().argmax(-1)]
    return ((said_BT == phone_U[state_BT.clamp(min=0) // 3]) & (state_BT >= 0)).sum()
