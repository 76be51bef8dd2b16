"""Reconstruction loss: smooth absolute error of the predicted features, in normalised units, where they are defined.

Every family counts the same, so that eighty mel bands do not drown three columns of prosody.

Source: Girshick 2015, "Fast R-CNN", for the smooth absolute error (quadratic below 1, linear above: a gross tracking
error pulls no harder than a small one).  Cost: one pass over the features.

Shapes: B batch rows, T frames, D columns, F families.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from accent.losses.pairs import RowLoss
from accent.model.layers import full_precision


def reconstruction_loss(
    reconstruction_BTD: Tensor,
    target_BTD: Tensor,
    target_mask_BTD: Tensor,
    family_D: Tensor,
    families: int,
    valid_B: Tensor,
) -> RowLoss:
    """Sum the error by family over this rank's rows.

    Args:
        reconstruction_BTD: predicted features, normalised.
        target_BTD: the features, normalised.
        target_mask_BTD: true where they are defined.
        family_D: which family a column belongs to.
        families: number of families, F.
        valid_B: false for rows that only fill the batch.

    Returns:
        Sums and counts of values, both of shape [F].
    """
    with torch.autocast(reconstruction_BTD.device.type, enabled=False):
        mask_BTD = target_mask_BTD & valid_B[:, None, None]
        # Left out before the error is computed: after it, NaN would have a gradient of 0 x NaN.
        prediction_BTD = torch.where(mask_BTD, full_precision(reconstruction_BTD), 0.0)
        error_BTD = F.smooth_l1_loss(
            prediction_BTD, torch.where(mask_BTD, target_BTD, 0.0).to(prediction_BTD.dtype), reduction="none"
        )
        sum_D = error_BTD.sum(dim=(0, 1))
        # A product with a 0/1 matrix: on a GPU, index_add sums in another order from run to run.
        ownership_FD = (family_D == torch.arange(families, device=family_D.device)[:, None]).to(sum_D.dtype)
        return RowLoss(ownership_FD @ sum_D, ownership_FD @ mask_BTD.sum(dim=(0, 1)).to(sum_D.dtype))
