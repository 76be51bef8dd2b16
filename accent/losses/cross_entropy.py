"""Cross-entropy of the accent head, with label smoothing.

Source: Szegedy et al. 2016, "Rethinking the Inception architecture", for label smoothing.  Cost: B x A.

Shapes: B batch rows, A accents.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from accent.losses.pairs import RowLoss
from accent.model.layers import full_precision


def cross_entropy_loss(logits_BA: Tensor, accent_B: Tensor, valid_B: Tensor, label_smoothing: float) -> RowLoss:
    """Sum the loss over this rank's rows.

    Args:
        logits_BA: of the accent head.
        accent_B: labels, 0 up to A - 1 in valid rows, anything in others.
        valid_B: false for rows that only fill the batch.
        label_smoothing: share of the target probability that is spread evenly over all accents.

    Returns:
        Sum and count over the valid rows.
    """
    with torch.autocast(logits_BA.device.type, enabled=False):
        label_B = torch.where(valid_B, accent_B, 0)
        loss_B = F.cross_entropy(full_precision(logits_BA), label_B, reduction="none", label_smoothing=label_smoothing)
        return RowLoss(torch.where(valid_B, loss_B, 0.0).sum(), valid_B.sum())
