"""Sums over all pairs of anchors and keys, without a table of all of them: a block of anchors at a time.

A block's table of comparisons has at most rows x tile entries, whatever the number of keys.  Blocks of anchors and not
of keys, so that an anchor sees all its keys at once and a loss is written as it is defined: no running maximum, and
keys can be sorted.

The gradient of a sum is the sum of the gradients, and the gradient of the output is one number.  So each block's
gradient is taken while its table exists, then the table is dropped, and backward only scales.

Cost: rows x tile entries, some times over, while a block is at work; from forward to backward only the gradients, which
are as large as the embeddings.

Shapes: B anchors (rows of this rank), N keys (rows of all ranks), E embedding; b anchors of a block.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from accent.losses.pairs import LabelledEmbeddings
from accent.model.layers import full_precision

PairLoss = Callable[..., tuple[Tensor, Tensor]]
"""(anchors, keys, *parameters) -> the sum over these anchors, shape [], and whole numbers to be added up, any shape."""


def anchor_blocks(anchors: int, keys: int, tile: int) -> list[slice]:
    """Cut the anchors into blocks, each of at most anchors x tile comparisons, but of one anchor at least.

    Example:
        >>> anchor_blocks(anchors=4, keys=8, tile=5)
        [slice(0, 2, None), slice(2, 4, None)]
    """
    size = max(1, anchors * tile // keys)
    return [slice(start, min(start + size, anchors)) for start in range(0, anchors, size)]


def sum_over_blocks(
    loss: PairLoss,
    anchors: LabelledEmbeddings,
    keys: LabelledEmbeddings,
    tile: int,
    parameters: tuple[Tensor, ...] = (),
) -> tuple[Tensor, Tensor]:
    """Sum a loss over this rank's anchors, in float32 or better.

    Args:
        loss: of a block of anchors, a sum of terms that each need one anchor only.
        anchors: B rows of this rank.
        keys: N rows of all ranks.
        tile: a block has at most B x tile comparisons.
        parameters: what else of the loss has gradient.

    Returns:
        The total, shape [], with gradient for both embeddings and the parameters; and the whole numbers, added up.
    """
    with torch.autocast(anchors.embedding_NE.device.type, enabled=False):
        anchors = anchors._replace(embedding_NE=full_precision(anchors.embedding_NE))
        keys = keys._replace(embedding_NE=full_precision(keys.embedding_NE))
        inputs = (anchors.embedding_NE, keys.embedding_NE, *parameters)
        return _SumOverBlocks.apply(loss, anchors, keys, tile, torch.is_grad_enabled(), *inputs)


class _SumOverBlocks(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        loss: PairLoss,
        anchors: LabelledEmbeddings,
        keys: LabelledEmbeddings,
        tile: int,
        learning: bool,
        *inputs: Tensor,
    ) -> tuple[Tensor, Tensor]:
        gradients = [torch.zeros_like(one) for one in inputs] if learning else []
        totals, tallies = [], []
        for block in anchor_blocks(len(anchors.valid_N), len(keys.valid_N), tile):
            leaves = [one.detach().requires_grad_(learning) for one in _of_block(inputs, block)]
            anchor_bE, key_NE, *parameters = leaves
            some_anchors = LabelledEmbeddings(*(part[block] for part in anchors))._replace(embedding_NE=anchor_bE)
            with torch.set_grad_enabled(learning):
                total, tally = loss(some_anchors, keys._replace(embedding_NE=key_NE), *parameters)
            if learning:
                found = torch.autograd.grad(total, leaves, materialize_grads=True)
                for sum_so_far, more in zip(_of_block(gradients, block), found, strict=True):
                    sum_so_far += more
            totals.append(total.detach())
            tallies.append(tally)
        ctx.save_for_backward(*gradients)
        total, tally = torch.stack(totals).sum(), torch.stack(tallies).sum(dim=0)
        ctx.mark_non_differentiable(tally)
        return total, tally

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, from_above: Tensor, _: Tensor) -> tuple[Tensor | None, ...]:
        return None, None, None, None, None, *(from_above * gradient for gradient in ctx.saved_tensors)


def _of_block(inputs: Sequence[Tensor], block: slice) -> list[Tensor]:
    """Anchors come first and are cut; keys and parameters belong to every block."""
    return [inputs[0][block], *inputs[1:]]
