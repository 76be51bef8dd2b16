"""Where the map to the embedding begins: at the ridge regression of the training speakers' accents.

With few speakers, gradient descent from random weights finds a worse map than this closed form; with many it ends in
the same place from either.  The regression's scores of A accents, less their mean, have A - 1 dimensions: the first
dimensions of the embedding are these, in the order of how much they vary, and the head's directions are the accents'
places among them.  Dimensions beyond those begin near zero, and at zero in the head.

Cost: one system of Q equations.

Shapes: G speakers, Q principal directions, A accents, K dimensions set, E embedding.
"""

import torch
from torch import Tensor

from accent.model.heads import AccentHead
from accent.model.phonetic.embedding import PhoneticEmbedding

RIDGE = 1.0
"""Penalty, in mean variances of a principal direction."""
LENGTH = 1.0
"""Mean length of the training speakers' embeddings before they are brought to unit length."""
BEYOND = 0.1
"""Factor of the random weights of dimensions that the regression leaves free."""


@torch.no_grad()
def begin_at_ridge(embedding: PhoneticEmbedding, head: AccentHead, fused_GQ: Tensor, accent_G: Tensor) -> None:
    """Set the map and the accent head; both stay random where the training speakers have one accent.

    Args:
        embedding: whose directions are measured; its map is set.
        head: of the same encoder; its directions are set.
        fused_GQ: whole training speakers on the principal directions, views summed.
        accent_G: their accents, as the head counts them.

    Source: Hoerl and Kennard 1970, "Ridge Regression"; speakers weigh so that all accents weigh the same.
    """
    accents = len(head.direction_AE)
    count_A = torch.bincount(accent_G, minlength=accents).double()
    heard = int((count_A > 0).sum())
    if heard < 2:
        return
    weight_G1 = (1 / (heard * count_A[accent_G])).unsqueeze(1)
    target_GA = torch.nn.functional.one_hot(accent_G, accents).double()
    fused_GQ = fused_GQ.double()
    mean_Q, mean_A = (weight_G1 * fused_GQ).sum(0), (weight_G1 * target_GA).sum(0)
    centred_GQ = fused_GQ - mean_Q
    moment_QQ = centred_GQ.T @ (weight_G1 * centred_GQ)
    moment_QQ.diagonal().add_(RIDGE * moment_QQ.diagonal().mean())
    weight_QA = torch.linalg.solve(moment_QQ, centred_GQ.T @ (weight_G1 * (target_GA - mean_A)))

    # Scores less their mean over accents, along the axes on which training speakers differ most.
    score_GA = centred_GQ @ weight_QA
    score_GA -= score_GA.mean(1, keepdim=True)
    axis_AK = torch.linalg.svd(score_GA, full_matrices=False).Vh.T
    axis_AK = axis_AK[:, : min(heard - 1, len(embedding.map.weight), axis_AK.shape[1])]
    axis_AK = axis_AK * axis_AK.gather(0, axis_AK.abs().argmax(0, keepdim=True)).sign()
    factor = LENGTH / (score_GA @ axis_AK).norm(dim=1).mean().clamp(min=1e-12)
    map_KQ = factor * (weight_QA @ axis_AK).T

    set_by_ridge = len(map_KQ)
    embedding.map.weight.mul_(BEYOND)
    embedding.map.bias.mul_(BEYOND)
    embedding.map.weight[:set_by_ridge] = map_KQ.to(embedding.map.weight)
    embedding.map.bias[:set_by_ridge] = -(map_KQ @ mean_Q).to(embedding.map.bias)
    known_A = count_A > 0
    head.direction_AE[known_A] = 0.0
    head.direction_AE[known_A, :set_by_ridge] = axis_AK[known_A].to(head.direction_AE)
