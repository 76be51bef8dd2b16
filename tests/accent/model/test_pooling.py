"""Attentive statistics and their projection to an embedding.

Shapes: B rows, U positions, H hidden channels, K statistics.
"""

import numpy as np
import pytest
import torch

from accent.model.pooling import AttentiveStatistics, EmbeddingProjection
from tests.support.frame_masks import valid_frames


def test_pooled_statistics_are_the_attention_weighted_mean_and_deviation() -> None:
    torch.manual_seed(0)
    pooling = AttentiveStatistics(4).double()
    x_BUH = torch.randn(2, 6, 4, dtype=torch.float64)
    found = pooling(x_BUH, valid_frames([6, 2], 6))
    for row, length in enumerate([6, 2]):
        part = x_BUH[row, :length]
        weights = pooling.score(part).squeeze(1).exp()
        weights = (weights / weights.sum()).detach().numpy()
        mean = np.average(part.numpy(), axis=0, weights=weights)
        variance = np.average((part.numpy() - mean) ** 2, axis=0, weights=weights)
        expected = np.stack([mean, np.sqrt(variance + pooling.VARIANCE_FLOOR)])
        np.testing.assert_allclose(found[row].detach().numpy(), expected, rtol=1e-12)


def test_constant_frames_have_a_finite_gradient_through_their_deviation() -> None:
    pooling = AttentiveStatistics(4)
    x_BUH = torch.ones(1, 6, 4, requires_grad=True)
    pooling(x_BUH, valid_frames([6], 6)).sum().backward()
    assert x_BUH.grad is not None and x_BUH.grad.isfinite().all()


def test_variance_is_exact_beside_a_large_mean() -> None:
    pooling = AttentiveStatistics(1)
    for parameter in pooling.score.parameters():
        torch.nn.init.zeros_(parameter)
    x_BUH = (1000 + torch.tensor([-1.0, 1.0, -1.0, 1.0])).reshape(1, 4, 1)
    assert pooling(x_BUH, valid_frames([4], 4))[0, 1].item() == pytest.approx(1.0, rel=1e-4)


def test_what_all_deviations_share_does_not_reach_the_embedding() -> None:
    torch.manual_seed(0)
    projection, statistics_BKH = EmbeddingProjection(2, 8, 8).double(), torch.randn(3, 2, 8, dtype=torch.float64)
    shared = statistics_BKH.clone()
    shared[:, 1] = 0.3 + 0.2 * shared[:, 1]
    torch.testing.assert_close(projection(shared), projection(statistics_BKH), rtol=0, atol=1e-2)
    shared[:, 1, 0] += 0.2
    assert (projection(shared) - projection(statistics_BKH)).abs().max() > 0.05


def test_projection_stays_in_float32_under_autocast() -> None:
    torch.manual_seed(0)
    projection, statistics = EmbeddingProjection(2, 8, 8), torch.randn(3, 2, 8)
    exact = projection(statistics)
    with torch.autocast("cpu", torch.bfloat16):
        torch.testing.assert_close(projection(statistics), exact, rtol=0, atol=0)
