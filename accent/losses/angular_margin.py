"""Additive angular margin (AAM, ArcFace): cross-entropy after the true accent's angle is enlarged by a margin.

    cross-entropy of  s cos(theta_y + m)  for the accent y,  s cos(theta_j)  for the others

Where theta_y + m exceeds pi, the cosine would rise again and reward the worst rows; s (cos(theta_y) - m sin(m)), which
keeps falling, takes its place there.

Source: Deng et al. 2019, "ArcFace: additive angular margin loss for deep face recognition", and the authors' code for
the angles beyond pi.  Cost: B x A.

Shapes: B batch rows, A accents.
"""

import math

import torch
from torch import Tensor

from accent.losses.cross_entropy import cross_entropy_loss
from accent.losses.pairs import RowLoss
from accent.model.layers import full_precision

LEAST_SINE = 1e-3
"""Sines of the angle below this count as this: at 0 the slope of cos(theta + m) over cos(theta) is infinite, and the
rounding of a float32 cosine leaves nothing of so small a sine anyway."""


def angular_margin_loss(
    logits_BA: Tensor, accent_B: Tensor, valid_B: Tensor, label_smoothing: float, scale: float, margin: float
) -> RowLoss:
    """Sum the loss over this rank's rows.

    Args:
        logits_BA: of the accent head, scale x cosine.
        accent_B: labels, 0 up to A - 1 in valid rows, anything in others.
        valid_B: false for rows that only fill the batch.
        label_smoothing: share of the target probability that is spread evenly over all accents.
        scale: of the logits, s.
        margin: in radians, m.

    Returns:
        Sum and count over the valid rows.
    """
    with torch.autocast(logits_BA.device.type, enabled=False):
        logits_BA = full_precision(logits_BA)
        label_B1 = torch.where(valid_B, accent_B, 0).unsqueeze(1)
        cosine_B1 = logits_BA.gather(1, label_B1) / scale
        # cos(theta + m) by the addition theorem; the arc cosine itself has an infinite slope at both ends.
        sine_B1 = ((1 - cosine_B1) * (1 + cosine_B1)).clamp(min=LEAST_SINE**2).sqrt()
        widened_B1 = cosine_B1 * math.cos(margin) - sine_B1 * math.sin(margin)
        beyond_B1 = cosine_B1 < -math.cos(margin)
        target_B1 = scale * torch.where(beyond_B1, cosine_B1 - margin * math.sin(margin), widened_B1)
        return cross_entropy_loss(logits_BA.scatter(1, label_B1, target_B1), accent_B, valid_B, label_smoothing)
