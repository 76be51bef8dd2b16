"""Which unit, and which third of it, each frame belongs to: a small convolutional network over normalised features.

Two frames of 10 ms are joined into one position.  Residual blocks look at a position and its neighbours at growing
distances, up to +-0.6 s.  Normalisation is over the channels of one position and padding is zero before each look at
the neighbours, so an utterance gives the same in any batch.  In training, stretches of time and whole columns are
hidden and a little noise is added, since what the head is for are speakers it has never heard.

Cost: 3 C^2 multiplications a block and position: 0.2 million a frame with the defaults.

Shapes: B batch rows, T frames, P = ceil(T / 2) positions, D columns, C channels, U units.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from accent.augmentation.keyed_uniform import uniform
from accent.model.keyed_dropout import KeyedDropout, KeyedLayer, normal
from accent.model.layers import full_precision
from accent.model.phonetic.inventory import STATES_PER_UNIT

JOINED_FRAMES = 2
"""Frames in a position."""
DILATIONS = (1, 1, 2, 2, 4, 4, 8, 8)
"""Positions from a block's own to each of its two neighbours, block by block."""


class PhoneLogits(NamedTuple):
    """What the head believes of each frame by itself, float32 or better."""

    unit_BTU: Tensor
    third_BT3: Tensor

    def states(self) -> Tensor:
        """Return the probability of each state, `[B, T, 3 U]`: that of its unit times that of its third."""
        unit_BTU1 = F.softmax(self.unit_BTU, dim=-1).unsqueeze(-1)
        third_BT13 = F.softmax(self.third_BT3, dim=-1).unsqueeze(-2)
        return (unit_BTU1 * third_BT13).flatten(-2)


class NeighbourBlock(nn.Module):
    """x + gelu(W [left neighbour, own, right neighbour]), the neighbours a few positions away."""

    def __init__(self, channels: int, distance: int, dropout: float) -> None:
        super().__init__()
        self.distance = distance
        self.norm = nn.LayerNorm(channels)
        self.mix = nn.Linear(3 * channels, channels)
        self.dropout = KeyedDropout(dropout)

    def forward(self, x_BPC: Tensor, padding_BP1: Tensor) -> Tensor:
        """Refine positions; those that are padding count as zero."""
        own_BPC = self.norm(x_BPC).masked_fill(padding_BP1, 0.0)
        return x_BPC + self.dropout(F.gelu(self.mix(with_neighbours(own_BPC, self.distance))))


class HiddenInput(KeyedLayer):
    """Hide one stretch of time of every row and some of its columns, and add noise; in training only, by the row's key.

    Source: Park et al. 2019, "SpecAugment".
    """

    LONGEST = 25
    """Frames of the longest stretch."""
    COLUMNS = 0.1
    """Share of the columns hidden."""
    NOISE = 0.1
    """Standard deviation of the noise, in those of the columns."""

    def forward(self, values_BTD: Tensor) -> Tensor:
        """Return the values as a training step sees them."""
        if not self.training:
            return values_BTD
        rows, frames, columns = values_BTD.shape
        keys_B = self.row_keys(rows, values_BTD.device)
        noise_BTD = normal(keys_B, frames * columns).view(values_BTD.shape)
        values_BTD = values_BTD + self.NOISE * noise_BTD.to(values_BTD.dtype)
        start_B1 = (uniform(keys_B, "start", 1) * frames).long()
        length_B1 = (uniform(keys_B, "length", 1) * self.LONGEST).long()
        frame_T = torch.arange(frames, device=values_BTD.device)
        hidden_BT = (frame_T >= start_B1) & (frame_T < start_B1 + length_B1)
        hidden_BD = uniform(keys_B, "columns", columns) < self.COLUMNS
        return values_BTD.masked_fill(hidden_BT.unsqueeze(-1) | hidden_BD.unsqueeze(1), 0.0)


class PhoneHead(nn.Module):
    """Frames to logits of units and thirds.

    Args:
        columns: D.
        units: U.
        channels: C.
        dropout: share of the activations dropped in training.

    Example:
        >>> head = PhoneHead(columns=44, units=200).eval()
        >>> logits = head(torch.randn(2, 301, 44), torch.ones(2, 301, dtype=torch.bool))
        >>> tuple(logits.unit_BTU.shape), tuple(logits.states().shape)
        ((2, 301, 200), (2, 301, 600))
    """

    def __init__(self, columns: int, units: int, channels: int = 128, dropout: float = 0.15) -> None:
        super().__init__()
        self.hide = HiddenInput()
        self.first = nn.Linear(3 * JOINED_FRAMES * columns, channels)
        self.blocks = nn.ModuleList(NeighbourBlock(channels, distance, dropout) for distance in DILATIONS)
        self.norm = nn.LayerNorm(channels)
        self.dropout = KeyedDropout(dropout)
        self.units = units
        self.last = nn.Linear(channels, JOINED_FRAMES * (units + STATES_PER_UNIT))

    @property
    def neighbour_blocks(self) -> list[NeighbourBlock]:
        """The blocks, in order."""
        return [block for block in self.blocks if isinstance(block, NeighbourBlock)]

    def forward(self, values_BTD: Tensor, valid_BT: Tensor) -> PhoneLogits:
        """Judge every frame.

        Args:
            values_BTD: normalised columns, 0 where undefined; anything in padding.
            valid_BT: true for real frames.

        Returns:
            Logits; without meaning in padding.
        """
        frames = values_BTD.shape[1]
        values_BTD = self.hide(values_BTD).masked_fill(~valid_BT.unsqueeze(-1), 0.0)
        if frames % JOINED_FRAMES:
            values_BTD, valid_BT = F.pad(values_BTD, (0, 0, 0, 1)), F.pad(valid_BT, (0, 1))
        x_BPC = values_BTD.unflatten(1, (-1, JOINED_FRAMES)).flatten(2)
        padding_BP1 = ~valid_BT.unflatten(1, (-1, JOINED_FRAMES)).any(dim=2).unsqueeze(-1)
        x_BPC = F.gelu(self.first(with_neighbours(x_BPC, 1)))
        for block in self.blocks:
            x_BPC = block(x_BPC, padding_BP1)
        logits = self.last(self.dropout(self.norm(x_BPC))).unflatten(2, (JOINED_FRAMES, -1)).flatten(1, 2)
        unit_BTU, third_BT3 = full_precision(logits[:, :frames]).split([self.units, STATES_PER_UNIT], dim=-1)
        return PhoneLogits(unit_BTU, third_BT3)


def with_neighbours(x_BPC: Tensor, distance: int) -> Tensor:
    """Return each position with those `distance` before and after it, `[..., P, 3 C]`; zero beyond the ends."""
    padded = F.pad(x_BPC, (0, 0, distance, distance))
    positions = x_BPC.shape[-2]
    return torch.cat([padded[..., :positions, :], x_BPC, padded[..., 2 * distance :, :]], dim=-1)
