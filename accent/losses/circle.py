"""Circle loss of the accent head: a cosine weighs more the farther it is from its target.

    log(1 + sum_j exp(s (a_j (c_j - m) - a_y (c_y - (1 - m))))),   a_y = max(0, 1 + m - c_y),  a_j = max(0, c_j + m)

with c the cosines to the accents' directions, y the row's accent, j the others.  The weights a have no gradient.

Source: Sun et al. 2020, "Circle loss: a unified perspective of pair similarity optimization", CVPR: the form for
class-level labels.  The paper trains with scales of 80 to 256; ours is the accent head's.  Cost: B x A.

Shapes: B batch rows, A accents.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from accent.losses.cross_entropy import cross_entropy_loss
from accent.losses.pairs import RowLoss
from accent.model.layers import full_precision


def circle_loss(logits_BA: Tensor, accent_B: Tensor, valid_B: Tensor, scale: float, margin: float) -> RowLoss:
    """Sum the loss over this rank's rows.

    Args:
        logits_BA: of the accent head, scale x cosine.
        accent_B: labels, 0 up to A - 1 in valid rows, anything in others.
        valid_B: false for rows that only fill the batch.
        scale: of the logits, s.
        margin: how far from 1 a row's own cosine, and from 0 the others, may end; m.

    Returns:
        Sum and count over the valid rows.
    """
    with torch.autocast(logits_BA.device.type, enabled=False):
        cosine_BA = full_precision(logits_BA) / scale
        own_BA = F.one_hot(torch.where(valid_B, accent_B, 0), cosine_BA.shape[1]).bool()
        distance_BA = torch.where(own_BA, 1 + margin - cosine_BA, cosine_BA + margin)
        weight_BA = distance_BA.detach().clamp(min=0)
        weighted_BA = scale * weight_BA * torch.where(own_BA, cosine_BA - (1 - margin), cosine_BA - margin)
        # The logarithm above is the cross-entropy of these.
        return cross_entropy_loss(weighted_BA, accent_B, valid_B, label_smoothing=0.0)
