"""Semi-hard triplet loss: each positive must be nearer to the anchor than the nearest negative beyond it.

    loss(i, p) = max(0, |z_i - z_p|^2 - |z_i - z_n|^2 + margin),   n the nearest negative with |z_i - z_n| > |z_i - z_p|

for every positive p of every anchor i.  Where no negative is farther than the positive, n is the farthest negative, as
in most implementations of this loss.  Between unit vectors the
squared distance is 2 - 2 cos, so all is linear in cosines.

Source: Schroff, Kalenichenko and Philbin 2015, "FaceNet: a unified embedding for face recognition and clustering".
Cost: rows of this rank x rows of all ranks x E multiplications, three times with the gradient, and a sort of each
anchor's keys; memory for some tables of rows x tile, see `pair_blocks`.

Shapes: B anchors (all of this rank, or a block of them), N keys, E embedding.
"""

from functools import partial

import torch
from torch import Tensor

from accent.losses.pair_blocks import sum_over_blocks
from accent.losses.pairs import LabelledEmbeddings, PairRule, RowLoss, pair_masks


def semi_hard_loss(
    anchors: LabelledEmbeddings, keys: LabelledEmbeddings, margin: float, rule: PairRule, tile: int
) -> tuple[RowLoss, Tensor]:
    """Sum the loss over the pairs of this rank's anchors with their positives.

    Args:
        anchors: rows of this rank, unit vectors.
        keys: rows of all ranks, unit vectors, with gradient.
        margin: in squared Euclidean distance, which is at most 4 between unit vectors.
        rule: which rows of an accent attract each other.
        tile: at most B x tile comparisons at a time.

    Returns:
        Sum and count over the pairs whose anchor has a negative, and how many of them have a loss above 0; shape [].
    """
    total, (counted, active) = sum_over_blocks(partial(_block, rule, margin), anchors, keys, tile)
    return RowLoss(total, counted), active


def _block(
    rule: PairRule, margin: float, anchors: LabelledEmbeddings, keys: LabelledEmbeddings
) -> tuple[Tensor, Tensor]:
    positive_BN, negative_BN = pair_masks(anchors, keys, rule)
    cosine_BN = anchors.embedding_NE @ keys.embedding_NE.T

    # Negatives from the farthest to the nearest, then all other keys.  Before a positive's place among them stand the
    # negatives that are farther than it, the nearest of these last.
    ordered_BN, key_BN = cosine_BN.detach().masked_fill(~negative_BN, torch.inf).sort(dim=1)
    farther_BN = torch.searchsorted(ordered_BN, cosine_BN.detach())
    chosen_BN = key_BN.gather(1, (farther_BN - 1).clamp(min=0))

    pair_BN = positive_BN & negative_BN.any(dim=1, keepdim=True)
    loss_BN = (2 * (cosine_BN.gather(1, chosen_BN) - cosine_BN) + margin).clamp(min=0).masked_fill(~pair_BN, 0.0)
    return loss_BN.sum(), torch.stack([pair_BN.sum(), (loss_BN > 0).sum()])
