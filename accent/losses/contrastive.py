"""Supervised contrastive loss: an utterance is drawn to others of its accent, away from those of other accents.

    loss(i) = mean over positives p of  log sum_a exp(z_i . z_a / t) - z_i . z_p / t,   a over positives and negatives

Source: Khosla et al. 2020, "Supervised contrastive learning", NeurIPS: the form L_out, with the mean outside the
logarithm.  Cost: rows of this rank x rows of all ranks x E multiplications, three times with the gradient; memory for
some tables of rows x tile, see `pair_blocks`.

Shapes: B anchors (all of this rank, or a block of them), N keys, E embedding.
"""

from functools import partial

import torch
from torch import Tensor

from accent.losses.pair_blocks import sum_over_blocks
from accent.losses.pairs import LabelledEmbeddings, PairRule, RowLoss, pair_masks


def contrastive_loss(
    anchors: LabelledEmbeddings, keys: LabelledEmbeddings, temperature: Tensor, rule: PairRule, tile: int
) -> RowLoss:
    """Sum the loss over this rank's anchors.

    Args:
        anchors: rows of this rank.
        keys: rows of all ranks, embeddings with gradient.
        temperature: positive, shape [1].
        rule: which rows of an accent attract each other.
        tile: at most B x tile comparisons at a time.

    Returns:
        Sum and count over the anchors that have a positive; the others drop out.

    Example:
        >>> labels = torch.tensor([0, 0, 1])
        >>> numbers, valid = torch.arange(3), torch.ones(3, dtype=torch.bool)
        >>> rows = LabelledEmbeddings(torch.eye(3), labels, numbers, labels, numbers, valid)
        >>> contrastive_loss(rows, rows, torch.ones(1), PairRule(), tile=4096).counted
        tensor(2)
    """
    return RowLoss(*sum_over_blocks(partial(_block, rule), anchors, keys, tile, (temperature,)))


def _block(
    rule: PairRule, anchors: LabelledEmbeddings, keys: LabelledEmbeddings, temperature: Tensor
) -> tuple[Tensor, Tensor]:
    positive_BN, negative_BN = pair_masks(anchors, keys, rule)
    positives_B = positive_BN.sum(dim=1)
    # The temperature divides B x E numbers here, not B x N.
    logits_BN = (anchors.embedding_NE / temperature.to(keys.embedding_NE.dtype)) @ keys.embedding_NE.T

    # A row with no key at all gives -inf here, whose gradient logsumexp defines as 0; it is left out below.
    normaliser_B = torch.logsumexp(logits_BN.masked_fill(~(positive_BN | negative_BN), -torch.inf), dim=1)
    attraction_B = logits_BN.masked_fill(~positive_BN, 0.0).sum(dim=1) / positives_B.clamp(min=1)
    loss_B = torch.where(positives_B > 0, normaliser_B - attraction_B, 0.0)
    return loss_B.sum(), (positives_B > 0).sum()
