"""Fusion of the family streams by weights that a person can read off, and the step down to the transformer's rate.

Each stream is projected and brought to unit variance in every frame before it is weighted, so that the weights, which
sum to one, are shares of amplitude and cannot be undone by the scale of a projection.  Cost: one C x C product a family
and frame.

Shapes: B batch rows, T frames, U transformer positions (T / subsampling, rounded up), H hidden channels, F families.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from accent.model.layers import zero_padding


class Fusion(nn.Module):
    """Weighted sum of the family streams, one weight a family for all utterances."""

    def __init__(self, families: int, hidden: int) -> None:
        super().__init__()
        self.logits_F = nn.Parameter(torch.zeros(families))
        self.projections = nn.ModuleList(nn.Linear(hidden, hidden) for _ in range(families))

    def weights(self) -> Tensor:
        """Return the weights `[F]`: positive, summing to one, in float32 or better."""
        return torch.softmax(self.logits_F.to(torch.promote_types(self.logits_F.dtype, torch.float32)), dim=0)

    def forward(self, streams: Sequence[Tensor], valid_BT: Tensor) -> tuple[Tensor, Tensor]:
        """Fuse.

        Args:
            streams: F tensors `[B, T, H]`.
            valid_BT: true for real frames.

        Returns:
            Fused frames `[B, T, H]`, zero in padding, and the weights `[F]`.
        """
        weights_F = self.weights()
        fused_BTH = torch.zeros_like(streams[0])
        for weight, stream_BTH, projection in zip(weights_F, streams, self.projections, strict=True):
            projected_BTH = projection(stream_BTH)
            unit_BTH = F.layer_norm(projected_BTH, projected_BTH.shape[-1:])
            fused_BTH = fused_BTH + weight.to(unit_BTH.dtype) * unit_BTH
        return zero_padding(fused_BTH, valid_BT), weights_F


class Subsampling(nn.Module):
    """Groups of consecutive frames become one position each, by a linear map of the whole group.

    The last group is filled up with zeros, the same zeros that padding holds: so the number of frames of padding, and
    whether it is even, changes nothing.
    """

    def __init__(self, hidden: int, factor: int) -> None:
        super().__init__()
        self.factor = factor
        self.linear = nn.Linear(factor * hidden, hidden)

    def forward(self, x_BTH: Tensor, valid_BT: Tensor) -> tuple[Tensor, Tensor]:
        """Subsample.

        Args:
            x_BTH: frames, zero in padding.
            valid_BT: true for real frames.

        Returns:
            Positions `[B, U, H]`, zero in padding, and `valid_BU`: true where a group has a real frame.
        """
        batch, frames, _ = x_BTH.shape
        positions = (frames + self.factor - 1) // self.factor
        # Written as a product, the length divides by the factor for torch.export too, whatever the frames.
        missing = positions * self.factor - frames
        grouped_BU = F.pad(x_BTH, (0, 0, 0, missing)).reshape(batch, positions, -1)
        valid_BU = F.pad(valid_BT, (0, missing)).reshape(batch, positions, self.factor).any(dim=-1)
        return zero_padding(self.linear(grouped_BU), valid_BU), valid_BU
