"""The loss of the speaker head behind the reversed gradient, over the training speakers of a run.

The head is asked for a recording's speaker among the training speakers of the same accent.  A row of a speaker who does
not train, or of the only training speaker of an accent, has nothing to be told from and does not count.

Source: Ganin and Lempitsky 2015, see `accent.model.adversary`.  Cost: two small linear maps a row.

Shapes: B batch rows, E embedding, S training speakers, N numbers that speakers have in batches.
"""

from collections.abc import Mapping
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from accent.losses.pairs import RowLoss
from accent.model.adversary import SpeakerAdversary, reversal_scale


class AdversaryOutput(NamedTuple):
    """What the head makes of this rank's rows."""

    loss: RowLoss
    """Cross-entropy of the speaker within its accent."""
    right: Tensor
    """Rows that count whose speaker is told right."""


class AdversaryLoss(nn.Module):
    """Speaker head and its loss; it belongs inside the module that is wrapped for training.

    Args:
        embedding_dim: length of the embedding.
        accent_of: accent of each training speaker, both by the numbers that batches hold.
        weight: what the scale of the reversed gradient tends to.

    Raises:
        ValueError: no accent has two training speakers.
    """

    def __init__(self, embedding_dim: int, accent_of: Mapping[int, int], weight: float) -> None:
        super().__init__()
        speakers = sorted(accent_of)
        accents = torch.tensor([accent_of[speaker] for speaker in speakers], dtype=torch.int64)
        company_S = (accents[:, None] == accents).sum(1)
        if not (company_S > 1).any():
            raise ValueError("no accent has two training speakers; there is nobody to tell apart")
        self.head = SpeakerAdversary(embedding_dim, accents.tolist())
        self.weight = weight
        self.progress = 0.0
        """Share of the training steps that are done; whoever trains sets it before each batch."""
        self.class_N: Tensor
        class_N = torch.full((speakers[-1] + 1,), -1)
        known_S = torch.tensor(speakers)[company_S > 1]
        class_N[known_S] = torch.arange(len(speakers))[company_S > 1]
        # The shard set says who trains; it is no part of what a checkpoint holds.
        self.register_buffer("class_N", class_N, persistent=False)

    def forward(self, embedding_BE: Tensor, speaker_B: Tensor, valid_B: Tensor) -> AdversaryOutput:
        """Sum the loss over this rank's rows.

        Args:
            embedding_BE: embeddings; the gradient that goes back to them is reversed and scaled.
            speaker_B: numbers of the speakers.
            valid_B: false for rows that only fill the batch.

        Returns:
            Sum, count, and how many are right.
        """
        inside_B = speaker_B < len(self.class_N)
        class_B = torch.where(inside_B, self.class_N[torch.where(inside_B, speaker_B, 0)], -1)
        counted_B = valid_B & (class_B >= 0)
        some_class_B = class_B.clamp(min=0)
        accent_B = self.head.accent_S[some_class_B]
        logits_BS = self.head(embedding_BE, accent_B, reversal_scale(self.progress, self.weight))
        loss_B = F.cross_entropy(logits_BS, some_class_B, reduction="none")
        right_B = (logits_BS.detach().argmax(1) == class_B) & counted_B
        return AdversaryOutput(RowLoss(torch.where(counted_B, loss_B, 0.0).sum(), counted_B.sum()), right_B.sum())
