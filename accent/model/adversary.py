"""A speaker classifier behind a reversed gradient: it learns to tell speakers, the embedding learns to hide them.

A speaker has one accent, so hiding the speaker among all speakers would hide the accent too.  Therefore a recording's
speaker is only told from the training speakers of the same accent, and only differences between voices within an accent
are unlearnt.  An accent with one speaker contributes nothing.

Source: Ganin and Lempitsky, "Unsupervised domain adaptation by backpropagation", ICML 2015, for the reversal and its
ramp.

Cost: two small linear maps a recording.

Shapes: B batch rows, E embedding, S training speakers.
"""

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from accent.model.layers import full_precision

RAMP = 10.0
"""How steeply the reversal sets in; Ganin and Lempitsky's."""


class _ReverseGradient(torch.autograd.Function):
    """Identity whose gradient is multiplied by a negative number."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, scale: float) -> Tensor:
        ctx.scale = scale
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        return -ctx.scale * gradients[0], None


def reverse_gradient(x: Tensor, scale: float) -> Tensor:
    """Return the same values; a gradient that comes back through them is multiplied by -scale.

    >>> x = torch.tensor([3.0], requires_grad=True)
    >>> reverse_gradient(x, 0.5).backward()
    >>> x.grad
    tensor([-0.5000])
    """
    reversed_x: Tensor = _ReverseGradient.apply(x, scale)
    return reversed_x


def reversal_scale(progress: float, largest: float) -> float:
    """Return how strongly the gradient is reversed: from 0 at the start, when the classifier knows nothing, upwards.

    Args:
        progress: share of the training steps that are done, 0 to 1.
        largest: what the scale tends to.
    """
    return largest * math.tanh(RAMP * progress / 2)


class SpeakerAdversary(nn.Module):
    """A perceptron that tells the training speakers of an accent apart, behind a reversed gradient.

    Args:
        embedding_dim: length of the embedding.
        accents: for each training speaker, the number of its accent; positions in it are the speakers' classes.
        hidden: units of the hidden layer.

    Raises:
        ValueError: no speaker is given.

    Example:
        >>> adversary = SpeakerAdversary(embedding_dim=64, accents=[0, 0, 1, 1, 1])
        >>> logits_BS = adversary(torch.randn(2, 64), torch.tensor([0, 1]), scale=0.1)
        >>> logits_BS.isfinite().tolist()
        [[True, True, False, False, False], [False, False, True, True, True]]
    """

    def __init__(self, embedding_dim: int, accents: Sequence[int], hidden: int = 128) -> None:
        super().__init__()
        if not accents:
            raise ValueError("accents: no training speaker is given; there is nobody to tell apart")
        self.hidden = nn.Linear(embedding_dim, hidden)
        self.speakers = nn.Linear(hidden, len(accents))
        self.accent_S: Tensor
        # The shard set says whose accent is whose; it is no part of a saved model.
        self.register_buffer("accent_S", torch.tensor(list(accents), dtype=torch.int64), persistent=False)

    def forward(self, embedding_BE: Tensor, accent_B: Tensor, scale: float) -> Tensor:
        """Classify.

        Args:
            embedding_BE: embeddings, to which the reversed gradient goes back.
            accent_B: the true accent of each recording, as `accents` numbers them.
            scale: of the reversed gradient; the classifier's own parameters learn at full strength.

        Returns:
            Logits `[B, S]` in float32 or better; minus infinity for speakers of another accent, so that the cross
            entropy with the recording's speaker leaves them out.
        """
        with torch.autocast(embedding_BE.device.type, enabled=False):
            x_BE = reverse_gradient(full_precision(embedding_BE), scale)
            hidden_BH = torch.relu(_linear(self.hidden, x_BE))
            logits_BS = _linear(self.speakers, hidden_BH)
            return logits_BS.masked_fill(accent_B[:, None] != self.accent_S, -torch.inf)


def _linear(layer: nn.Linear, x: Tensor) -> Tensor:
    """Apply a layer in the precision of its input, whatever its weights were cast to."""
    return nn.functional.linear(x, layer.weight.to(x.dtype), layer.bias.to(x.dtype))
