"""Rows that losses compare, and which pairs of them attract, repel or are left alone.

Pairs are decided from labels alone, so that a loss can look at any slice of the keys without the rest.

Shapes: B anchors (rows of this rank), N keys (rows of all ranks), E embedding.
"""

from typing import Literal, NamedTuple

import torch
from torch import Tensor


class LabelledEmbeddings(NamedTuple):
    """Embeddings with what is known about each."""

    embedding_NE: Tensor
    """Unit vectors."""
    accent_N: Tensor
    """Label of the accent."""
    speaker_N: Tensor
    """Label of the speaker."""
    prompt_N: Tensor
    """Label of the text that was read; an utterance whose text is not known has a label of its own."""
    number_N: Tensor
    """Position of the row in the global batch, by which an anchor knows itself among the keys."""
    valid_N: Tensor
    """False for rows that only fill the batch."""


def only_valid(values_BX: Tensor, valid_B: Tensor) -> Tensor:
    """Return rows with zeros in place of those that only fill the batch.

    By choosing, not by multiplying: an invalid row may hold NaN or infinity, and 0 x NaN in the loss or in its backward
    pass is NaN in every gradient.

    >>> only_valid(torch.tensor([[1.0], [torch.nan]]), torch.tensor([True, False])).tolist()
    [[1.0], [0.0]]
    """
    return torch.where(valid_B.unsqueeze(1), values_BX, 0.0)


class RowLoss(NamedTuple):
    """A loss over the rows of one rank, before it is divided by the count over all ranks."""

    total: Tensor
    """Sum over this rank's rows, with gradient; shape [], or [F] for a loss of F parts that count the same."""
    counted: Tensor
    """Rows (or values) that entered it, on this rank; the same shape."""


class PairRule(NamedTuple):
    """Which rows of one accent attract each other; fields as in `LossConfig`."""

    positives: Literal["any", "other_speaker"] = "any"
    same_prompt: bool = False


def pair_masks(anchors: LabelledEmbeddings, keys: LabelledEmbeddings, rule: PairRule) -> tuple[Tensor, Tensor]:
    """Return which keys attract and which repel each anchor.

    Two rows of one accent attract each other.  Under `other_speaker`, two rows of one accent and one speaker do
    neither: drawing them together would teach the voice, and driving them apart would split the accent.  Under
    `same_prompt`, two rows of one accent and different prompts do neither: what differs between them is what was said.
    Rows of different accents repel.  An anchor is no key of its own; invalid rows are nobody's anchor and nobody's key.

    Args:
        anchors: B rows of this rank, or some of them.
        keys: N rows of all ranks, or some of them.
        rule: for rows of one accent.

    Returns:
        positive_BN, negative_BN: boolean, never both true.
    """
    usable_BN = anchors.valid_N[:, None] & keys.valid_N[None, :]
    usable_BN = usable_BN & (anchors.number_N[:, None] != keys.number_N[None, :])
    same_accent_BN = anchors.accent_N[:, None] == keys.accent_N[None, :]
    attracts_BN = same_accent_BN
    if rule.positives == "other_speaker":
        attracts_BN = attracts_BN & (anchors.speaker_N[:, None] != keys.speaker_N[None, :])
    if rule.same_prompt:
        attracts_BN = attracts_BN & (anchors.prompt_N[:, None] == keys.prompt_N[None, :])
    return usable_BN & attracts_BN, usable_BN & ~same_accent_BN
