"""What is read off the encoder besides the embedding: the features again, and the accent's name.

Shapes: B batch rows, T frames, U transformer positions, D columns, H hidden channels, E embedding, A accents.
"""

from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from accent.model.config import ModelConfig
from accent.model.layers import full_precision


class FamilyReconstruction(nn.Module):
    """One family's frames from the transformer's positions: a perceptron whose output is all frames of a position."""

    def __init__(self, hidden: int, columns: int, subsampling: int) -> None:
        super().__init__()
        self.columns = columns
        self.perceptron = nn.Sequential(nn.Linear(hidden, hidden), nn.GELU(), nn.Linear(hidden, subsampling * columns))

    def forward(self, x_BUH: Tensor, frames: int) -> Tensor:
        """Reconstruct.

        Args:
            x_BUH: positions of the transformer.
            frames: frames wanted, T; at most U x subsampling.

        Returns:
            The family's columns `[B, T, D]` in normalised units.
        """
        return self.perceptron(x_BUH).reshape(x_BUH.shape[0], -1, self.columns)[:, :frames]


class Reconstruction(nn.Module):
    """Heads of all families, side by side in storage order."""

    def __init__(self, config: ModelConfig, columns: Mapping[str, int]) -> None:
        super().__init__()
        self.heads = nn.ModuleDict(
            {name: FamilyReconstruction(config.hidden, count, config.subsampling) for name, count in columns.items()}
        )

    def forward(self, x_BUH: Tensor, frames: int) -> Tensor:
        """Reconstruct every family; arguments as for one, returns `[B, T, D]` with the columns of all."""
        return torch.cat([head(x_BUH, frames) for head in self.heads.values()], dim=-1)


class AccentHead(nn.Module):
    """Logits by cosine: scale x cosine similarity of the embedding to one learned direction an accent.

    Norm-free directions keep the head from telling accents apart by anything the embedding does not show.
    """

    def __init__(self, embedding_dim: int, accents: int, scale: float) -> None:
        super().__init__()
        self.scale = scale
        self.direction_AE = nn.Parameter(torch.randn(accents, embedding_dim) / embedding_dim**0.5)

    def forward(self, embedding_BE: Tensor) -> Tensor:
        """Classify.

        Args:
            embedding_BE: embeddings of unit length.

        Returns:
            Logits `[B, A]` between -scale and scale, in float32 or better.
        """
        with torch.autocast(embedding_BE.device.type, enabled=False):
            direction_AE = F.normalize(full_precision(self.direction_AE), dim=-1, eps=1e-12)
            return self.scale * F.linear(full_precision(embedding_BE), direction_AE)


def grown_head(head: AccentHead, known: Sequence[str], config: ModelConfig) -> AccentHead:
    """Return a head for the accents of a configuration that keeps what another head knows of them.

    Args:
        head: the other head.
        known: its accents, in label order.
        config: with the accents of the new head.

    Returns:
        A new head, on the same device and in the same mode.
    """
    weight = head.direction_AE
    grown = build_accent_head(config).to(weight.device, weight.dtype).train(head.training)
    with torch.no_grad():
        for place, name in enumerate(config.accents):
            if name in known:
                grown.direction_AE[place] = weight[list(known).index(name)]
    return grown


def build_accent_head(config: ModelConfig) -> AccentHead:
    """Return a new accent head for the accents of a configuration."""
    return AccentHead(config.embedding_dim, len(config.accents), config.accent_scale)
