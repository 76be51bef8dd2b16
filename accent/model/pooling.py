"""From positions to one vector: attentive statistics, and the projection to a unit-length embedding.

Sums over time are kept in float32 or better, whatever autocast says: a variance in bfloat16 is mostly noise.  Cost:
H^2 / 2 multiplications a position.

Shapes: B batch rows, U positions, H hidden channels, K kinds of statistics (mean, deviation), E embedding.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from accent.model.config import ModelConfig
from accent.model.layers import FullPrecisionLinear, full_precision
from accent.model.transformer import keys_to_attend


class AttentiveStatistics(nn.Module):
    """Mean and standard deviation over time, weighted by a learned attention.

    Source: Okabe, Koshinaka and Shinoda 2018, "Attentive statistics pooling for deep speaker embedding", Interspeech.
    """

    VARIANCE_FLOOR = 1e-5
    """Added to a variance before its root, whose slope at 0 is infinite."""

    def __init__(self, hidden: int) -> None:
        super().__init__()
        width = max(1, hidden // 2)
        # The last layer has no bias: it would add the same to every score, and the softmax would not see it.
        self.score = nn.Sequential(nn.Linear(hidden, width), nn.Tanh(), nn.Linear(width, 1, bias=False))
        self.statistics = (2, hidden)

    def forward(self, x_BUH: Tensor, valid_BU: Tensor) -> Tensor:
        """Pool over the valid positions.

        Args:
            x_BUH: positions.
            valid_BU: true for real positions.

        Returns:
            Statistics `[B, K, H]`, means then standard deviations; finite also for a row without a valid position.
        """
        score_BU = full_precision(self.score(x_BUH).squeeze(-1))
        with torch.autocast(x_BUH.device.type, enabled=False):
            x_BUH = full_precision(x_BUH)
            score_BU = score_BU.masked_fill(~keys_to_attend(valid_BU), -torch.inf)
            attention_BU1 = torch.softmax(score_BU, dim=1).unsqueeze(-1)
            mean_B1H = (attention_BU1 * x_BUH).sum(dim=1, keepdim=True)
            variance_BH = (attention_BU1 * (x_BUH - mean_B1H) ** 2).sum(dim=1)
            return torch.stack([mean_B1H.squeeze(1), (variance_BH + self.VARIANCE_FLOOR).sqrt()], dim=1)


class EmbeddingProjection(nn.Module):
    """Each kind of statistics to mean 0 and variance 1 over its channels, then a linear map to unit length.

    Deviations are positive and similar.  Without normalisation they add the same vector to every embedding, and
    training begins with all embeddings within a few degrees.  Everything is in float32 or better.
    """

    def __init__(self, kinds: int, channels: int, embedding_dim: int) -> None:
        super().__init__()
        self.linear = FullPrecisionLinear(kinds * channels, embedding_dim)

    def forward(self, statistics_BKH: Tensor) -> Tensor:
        """Embed.

        Args:
            statistics_BKH: pooled statistics.

        Returns:
            Embeddings `[B, E]` of Euclidean length 1.
        """
        with torch.autocast(statistics_BKH.device.type, enabled=False):
            statistics_BKH = full_precision(statistics_BKH)
            standard_BKH = F.layer_norm(statistics_BKH, statistics_BKH.shape[-1:])
            return F.normalize(self.linear(standard_BKH.flatten(1)), dim=-1, eps=1e-12)


def build_pooling(config: ModelConfig) -> AttentiveStatistics:
    """Return the part that turns positions into one vector; it names kinds and channels as `statistics`."""
    return AttentiveStatistics(config.hidden)
