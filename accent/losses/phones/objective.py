"""The objective of training phone heads: each head's cross-entropy, and CTC where there are only transcripts.

Scaled so that N ranks train as one process would.

Shapes: B rows of this rank, T frames, H heads.
"""

import torch
from torch import Tensor, nn

from accent.losses.gather import all_reduce_sum, world_size
from accent.losses.pairs import RowLoss
from accent.losses.phones.cross_entropy import phone_cross_entropy
from accent.model.phonetic.phone_head import PhoneLogits


class PhoneObjective(nn.Module):
    """Mean over the heads of their losses; holds no weights.

    Args:
        ctc: weight of the CTC losses.
    """

    def __init__(self, ctc: float = 0.0) -> None:
        super().__init__()
        self.ctc = ctc

    def forward(
        self,
        by_head: list[tuple[PhoneLogits, Tensor]],
        phone_U: Tensor,
        ctc_by_head: list[RowLoss] | None = None,
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Compute the objective; a collective, called by every rank at every step.

        Args:
            by_head: for each head, what it believes of its rows, and their labels, state_BT; heads have rows of
                their own, and may have none.
            phone_U: phone of each unit.
            ctc_by_head: each head's CTC loss over its rows with transcripts; None leaves it out, on every rank.

        Returns:
            The scalar to call `backward` on, whose mean over ranks is the loss of the global batch; and by name, the
            same on every rank and without gradient, `total`, `frame_accuracy`, the share of frames whose phone is
            right, and `ctc`, the CTC loss a frame, where it is used.
        """
        losses = [phone_cross_entropy(logits, state_BT, phone_U) for logits, state_BT in by_head]
        total_H = torch.stack([loss.total for loss in losses])
        right = torch.stack([_right(logits, state_BT, phone_U) for logits, state_BT in by_head])
        counted_H = torch.stack([loss.counted for loss in losses]).to(total_H.dtype)
        ctc = ctc_by_head or [RowLoss(total_H.new_zeros(()), total_H.new_zeros(()))] * len(by_head)
        ctc_H = torch.stack([loss.total for loss in ctc]).to(total_H.dtype)
        frames_H = torch.stack([loss.counted for loss in ctc]).to(total_H.dtype)
        local = torch.cat([total_H.detach(), counted_H, right.to(total_H.dtype), ctc_H.detach(), frames_H])
        sum_H, tally_H, right_H, ctc_sum_H, ctc_tally_H = all_reduce_sum(local).chunk(5)
        divisor_H, ctc_divisor_H = (
            tally.clamp(min=1) * (tally > 0).sum().clamp(min=1) for tally in (tally_H, ctc_tally_H)
        )
        report = {"total": (sum_H / divisor_H).sum(), "frame_accuracy": right_H.sum() / tally_H.sum().clamp(min=1)}
        loss = (total_H * (world_size() / divisor_H)).sum()
        if ctc_by_head is not None:
            report["ctc"] = (ctc_sum_H / ctc_divisor_H).sum()
            report["total"] = report["total"] + self.ctc * report["ctc"]
            loss = loss + self.ctc * (ctc_H * (world_size() / ctc_divisor_H)).sum()
        return loss, report


def _right(logits: PhoneLogits, state_BT: Tensor, phone_U: Tensor) -> Tensor:
    said_BT = phone_U[logits.unit_BTU.detach().argmax(-1)]
    return ((said_BT == phone_U[state_BT.clamp(min=0) // 3]) & (state_BT >= 0)).sum()
