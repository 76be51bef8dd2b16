"""The part of the encoder's output that the losses need: nothing in it is as long as an utterance.

The reconstruction of every frame, the largest thing an encoder returns, is reduced at once to a sum a family.  A batch
that does not fit in memory can therefore be encoded in chunks, each recomputed in backward:

    parts = [torch.utils.checkpoint.checkpoint(encode, *chunk, use_reentrant=False) for chunk in chunks]
    total, report = objective(join_rows(parts), ...)        # where encode(...) returns row_outputs(encoder(...), ...)

The loss and its gradients are those of the whole batch, for the price of a second forward pass.

Source: Gao et al. 2021, "Scaling deep contrastive learning batch size under memory limited setup" (GradCache), here by
automatic differentiation's own recomputation instead of a cache of the embeddings' gradients.

Shapes: B batch rows, E embedding, A accents, F families, T frames, D columns.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from accent.losses.reconstruction import reconstruction_loss
from accent.model.encoder import EncoderOutput


class RowOutputs(NamedTuple):
    """Encoded rows as the losses see them."""

    embedding_BE: Tensor
    """Unit length, float32 or better."""
    accent_logits_BA: Tensor
    """Of the accent head: scale x cosine."""
    reconstruction_sum_F: Tensor
    """Reconstruction error of each family, summed over the defined values of these rows."""
    reconstruction_count_F: Tensor
    """How many values were summed."""


def row_outputs(output: EncoderOutput, row_valid_B: Tensor) -> RowOutputs:
    """Reduce what the encoder returns to what the losses need.

    Args:
        output: of the encoder, for B rows.
        row_valid_B: false for rows that only fill the batch; their reconstruction counts nothing.

    Returns:
        The rows, in the same order.
    """
    reconstruction = reconstruction_loss(
        output.reconstruction_BTD,
        output.target_BTD,
        output.target_mask_BTD,
        output.family_D,
        len(output.fusion_weights_F),
        row_valid_B,
    )
    return RowOutputs(output.embedding_BE, output.accent_logits_BA, reconstruction.total, reconstruction.counted)


def join_rows(parts: Sequence[RowOutputs]) -> RowOutputs:
    """Put chunks of rows together again.

    Args:
        parts: at least one, in the order of the batch's rows.

    Returns:
        The rows of all parts, one after the other; sums and counts added up.
    """
    embeddings, logits, sums, counts = zip(*parts, strict=True)
    return RowOutputs(
        torch.cat(embeddings), torch.cat(logits), torch.stack(sums).sum(dim=0), torch.stack(counts).sum(dim=0)
    )
