"""A transformer over time: pre-normalised layers, rotary positions, attention that does not see padding.

Rotary positions act on differences of time only, so a model trained on three-second crops meets nothing new in the
positions of a longer utterance but their distance.  Cost a layer: 12 H^2 multiplications a position, and H x U for
attention.  Memory is linear in U with a fused attention kernel; training with dropout writes the U x U probabilities
of each head out, because no fused kernel drops by keys of the rows.

Shapes: B batch rows, U positions, H hidden channels, N heads, R channels of a head.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from accent.model.keyed_dropout import KeyedDropout
from accent.model.layers import zero_padding


def keys_to_attend(valid_BU: Tensor) -> Tensor:
    """Return which positions attention or pooling may weigh: the valid ones, or all of them in a row that has none.

    A softmax over nothing is NaN; a row without a valid position must give finite numbers, which nobody reads.
    """
    return valid_BU | ~valid_BU.any(dim=1, keepdim=True)


def rotary_angles(positions: int, channels: int, device: torch.device, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Return cosine and sine of the rotary angles.

    Args:
        positions: number of positions, U.
        channels: channels of a head, R; even.
        device: where to make them.
        dtype: their precision; the angles themselves are computed in float32 or better.

    Returns:
        Two tensors `[U, R / 2]`.

    Source: Su et al. 2021, "RoFormer: Enhanced transformer with rotary position embedding", with its base of 10,000.
    """
    exact = torch.promote_types(dtype, torch.float32)
    rates = 10_000.0 ** (-torch.arange(0, channels, 2, dtype=exact, device=device) / channels)
    angles = torch.arange(positions, dtype=exact, device=device).unsqueeze(1) * rates
    return angles.cos().to(dtype), angles.sin().to(dtype)


def rotate(x_BNUR: Tensor, cosine: Tensor, sine: Tensor) -> Tensor:
    """Turn each pair of channels (one from either half) by its position's angle."""
    first, second = x_BNUR.chunk(2, dim=-1)
    return torch.cat([first * cosine - second * sine, first * sine + second * cosine], dim=-1)


class TransformerLayer(nn.Module):
    """Self-attention and a feed-forward network four times as wide, each normalised before and added after."""

    def __init__(self, hidden: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.attention_norm = nn.LayerNorm(hidden)
        self.queries_keys_values = nn.Linear(hidden, 3 * hidden)
        self.attention_dropout = KeyedDropout(dropout)
        self.attention_output = nn.Linear(hidden, hidden)
        self.attended_dropout = KeyedDropout(dropout)
        self.feed_forward_norm = nn.LayerNorm(hidden)
        self.feed_forward = nn.Sequential(
            nn.Linear(hidden, 4 * hidden), nn.GELU(), KeyedDropout(dropout), nn.Linear(4 * hidden, hidden)
        )
        self.feed_forward_dropout = KeyedDropout(dropout)

    def forward(self, x_BUH: Tensor, attend_BU: Tensor, cosine: Tensor, sine: Tensor) -> Tensor:
        """Refine positions.

        Args:
            x_BUH: positions.
            attend_BU: true where a position may be attended to; at least one in every row.
            cosine: rotary cosines `[U, R / 2]`.
            sine: rotary sines `[U, R / 2]`.

        Returns:
            Positions `[B, U, H]`.
        """
        batch, positions, hidden = x_BUH.shape
        joint = self.queries_keys_values(self.attention_norm(x_BUH)).view(batch, positions, 3, self.heads, -1)
        query_BNUR, key_BNUR, value_BNUR = joint.permute(2, 0, 3, 1, 4).unbind(0)
        cosine, sine = cosine.to(query_BNUR.dtype), sine.to(query_BNUR.dtype)
        query_BNUR, key_BNUR = rotate(query_BNUR, cosine, sine), rotate(key_BNUR, cosine, sine)
        attended_BNUR = self._attend(query_BNUR, key_BNUR, value_BNUR, attend_BU[:, None, None, :])
        attended_BUH = attended_BNUR.transpose(1, 2).reshape(batch, positions, hidden)
        x_BUH = x_BUH + self.attended_dropout(self.attention_output(attended_BUH))
        return x_BUH + self.feed_forward_dropout(self.feed_forward(self.feed_forward_norm(x_BUH)))

    def _attend(self, query_BNUR: Tensor, key_BNUR: Tensor, value_BNUR: Tensor, attend_B11U: Tensor) -> Tensor:
        if not self.attention_dropout.is_on:
            return F.scaled_dot_product_attention(query_BNUR, key_BNUR, value_BNUR, attn_mask=attend_B11U)
        scores_BNUU = (query_BNUR * query_BNUR.shape[-1] ** -0.5) @ key_BNUR.transpose(-2, -1)
        share_BNUU = scores_BNUU.masked_fill(~attend_B11U, -torch.inf).softmax(dim=-1)
        return self.attention_dropout(share_BNUU) @ value_BNUR


class Transformer(nn.Module):
    """A stack of layers and a last normalisation."""

    def __init__(self, hidden: int, layers: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.head_channels = hidden // heads
        self.layers = nn.ModuleList(TransformerLayer(hidden, heads, dropout) for _ in range(layers))
        self.norm = nn.LayerNorm(hidden)

    def forward(self, x_BUH: Tensor, valid_BU: Tensor) -> Tensor:
        """Let positions see each other.

        Args:
            x_BUH: positions, zero in padding.
            valid_BU: true for real positions.

        Returns:
            Positions `[B, U, H]`, zero in padding.
        """
        attend_BU = keys_to_attend(valid_BU)
        cosine, sine = rotary_angles(x_BUH.shape[1], self.head_channels, x_BUH.device, x_BUH.dtype)
        for layer in self.layers:
            x_BUH = layer(x_BUH, attend_BU, cosine, sine)
        return zero_padding(self.norm(x_BUH), valid_BU)
