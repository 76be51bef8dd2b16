"""Batch-hard triplet loss: the farthest positive must be nearer to the anchor than the nearest negative.

    loss(i) = max(0, |z_i - z_p| - |z_i - z_n| + margin),   p the farthest positive, n the nearest negative

Source: Hermans, Beyer and Leibe 2017, "In defense of the triplet loss for person re-identification".  Cost: rows of
this rank x rows of all ranks x E multiplications; only the two chosen keys of each anchor carry gradient.

Shapes: B anchors (all of this rank, or a block of them), N keys, E embedding.
"""

import torch
from torch import Tensor

from accent.losses.pair_blocks import anchor_blocks
from accent.losses.pairs import LabelledEmbeddings, PairRule, RowLoss, pair_masks
from accent.model.layers import full_precision


def triplet_loss(
    anchors: LabelledEmbeddings, keys: LabelledEmbeddings, margin: float, rule: PairRule, tile: int
) -> tuple[RowLoss, Tensor]:
    """Sum the loss over this rank's anchors.

    Args:
        anchors: rows of this rank, unit vectors.
        keys: rows of all ranks, embeddings with gradient.
        margin: in Euclidean distance, which is at most 2 between unit vectors.
        rule: which rows of an accent attract each other.
        tile: at most B x tile comparisons at a time.

    Returns:
        Sum and count over the anchors that have a positive and a negative, and how many of them have a loss above 0;
        shape [].  If that is all of them and the mean loss stays at the margin, the embeddings have collapsed.
    """
    with torch.autocast(anchors.embedding_NE.device.type, enabled=False):
        anchor_BE, key_NE = full_precision(anchors.embedding_NE), full_precision(keys.embedding_NE)
        blocks = anchor_blocks(len(anchor_BE), len(key_NE), tile)
        chosen = [_hardest(LabelledEmbeddings(*(part[block] for part in anchors)), keys, rule) for block in blocks]
        farthest_B, nearest_B, complete_B = (torch.cat(parts) for parts in zip(*chosen, strict=True))
        # Only for the chosen pairs, by subtraction: sqrt(2 - 2 cos) is good to 3e-4 in float32 near 0, and its slope
        # there is infinite.
        apart_B = torch.linalg.vector_norm(anchor_BE - key_NE[farthest_B], dim=1)
        close_B = torch.linalg.vector_norm(anchor_BE - key_NE[nearest_B], dim=1)
        loss_B = torch.where(complete_B, (apart_B - close_B + margin).clamp(min=0), 0.0)
        return RowLoss(loss_B.sum(), complete_B.sum()), (loss_B > 0).sum()


@torch.no_grad()
def _hardest(anchors: LabelledEmbeddings, keys: LabelledEmbeddings, rule: PairRule) -> tuple[Tensor, Tensor, Tensor]:
    """Return each anchor's farthest positive and nearest negative, and whether it has both."""
    positive_BN, negative_BN = pair_masks(anchors, keys, rule)
    # For unit vectors, the smallest cosine is the largest distance.
    cosine_BN = full_precision(anchors.embedding_NE) @ full_precision(keys.embedding_NE).T
    farthest_B = cosine_BN.masked_fill(~positive_BN, torch.inf).argmin(dim=1)
    nearest_B = cosine_BN.masked_fill(~negative_BN, -torch.inf).argmax(dim=1)
    return farthest_B, nearest_B, positive_BN.any(dim=1) & negative_BN.any(dim=1)
