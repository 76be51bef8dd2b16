"""Supervised contrastive loss: an utterance is drawn to others of its accent, away from those of other accents.

    loss(i) = mean over positives p of  log sum_a exp(z_i . z_a / t) - z_i . z_p / t,   a over positives and negatives

Source: Khosla et al. 2020, "Supervised contrastive learning", NeurIPS: the form L_out, with the mean outside the
logarithm.  Cost: rows of this rank x rows of all ranks x E multiplications, and memory for some matrices B x N.

Shapes: B anchors, N keys, E embedding.
"""

from typing import Literal

import torch
from torch import Tensor

from accent.losses.rows import RowLoss, Rows, pair_masks
from accent.model.blocks import full_precision


def contrastive_loss(
    anchors: Rows, keys: Rows, temperature: Tensor, positives: Literal["any", "other_speaker"]
) -> RowLoss:
    """Sum the loss over this rank's anchors.

    Args:
        anchors: rows of this rank.
        keys: rows of all ranks, embeddings with gradient.
        temperature: positive, shape [1].
        positives: which rows of an accent attract each other, see `pair_masks`.

    Returns:
        Sum and count over the anchors that have a positive; the others drop out.

    Example:
        >>> labels = torch.tensor([0, 0, 1])
        >>> rows = Rows(torch.eye(3), labels, torch.arange(3), labels, torch.arange(3), torch.ones(3, dtype=torch.bool))
        >>> contrastive_loss(rows, rows, torch.ones(1), "any").counted
        tensor(2)
    """
    with torch.autocast(anchors.embedding_NE.device.type, enabled=False):
        positive_BN, negative_BN = pair_masks(anchors, keys, positives)
        has_positive_B = positive_BN.any(dim=1)
        logits_BN = full_precision(anchors.embedding_NE) @ full_precision(keys.embedding_NE).T / temperature

        # A row with no key at all gives -inf here, whose gradient logsumexp defines as 0; it is left out below.
        candidate_BN = positive_BN | negative_BN
        normaliser_B = torch.logsumexp(logits_BN.masked_fill(~candidate_BN, -torch.inf), dim=1)
        attraction_B = (logits_BN * positive_BN).sum(dim=1) / positive_BN.sum(dim=1).clamp(min=1)
        loss_B = torch.where(has_positive_B, normaliser_B - attraction_B, 0.0)
        return RowLoss(loss_B.sum(), has_positive_B.sum())
