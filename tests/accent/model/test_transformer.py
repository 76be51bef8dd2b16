"""Attention, its rotary positions, and rows without a valid position.

Shapes: B rows, U positions, H hidden channels.
"""

import torch

from accent.model.pooling import AttentiveStatistics
from accent.model.transformer import Transformer, TransformerLayer, rotary_angles, rotate
from tests.support.frame_masks import valid_frames


def test_attention_to_valid_positions_equals_the_sum_written_out() -> None:
    torch.manual_seed(0)
    layer = TransformerLayer(8, heads=2, dropout=0.0).double()
    x_BUH = torch.randn(1, 5, 8, dtype=torch.float64)
    cosine, sine = rotary_angles(5, 4, x_BUH.device, x_BUH.dtype)
    found = layer(x_BUH, valid_frames([3], 5), cosine, sine)[0]

    joint = layer.queries_keys_values(layer.attention_norm(x_BUH))[0]
    for position in range(5):
        heads = []
        for head in range(2):
            query, key, value = (joint[:, 8 * part + 4 * head : 8 * part + 4 * head + 4] for part in range(3))
            turned_query, turned_key = rotate(query, cosine, sine), rotate(key, cosine, sine)
            weights = torch.stack([(turned_query[position] @ turned_key[other] / 2).exp() for other in range(3)])
            heads.append(sum(weights[other] / weights.sum() * value[other] for other in range(3)))
        middle = x_BUH[0, position] + layer.attention_output(torch.cat(heads))
        expected = middle + layer.feed_forward(layer.feed_forward_norm(middle))
        torch.testing.assert_close(found[position], expected, rtol=1e-10, atol=1e-10)


def test_rotary_products_depend_on_the_distance_in_time_only() -> None:
    torch.manual_seed(0)
    query, key = torch.randn(6, dtype=torch.float64), torch.randn(6, dtype=torch.float64)
    cosine, sine = rotary_angles(50, 6, query.device, query.dtype)
    products = rotate(query.expand(50, 6), cosine, sine) @ rotate(key.expand(50, 6), cosine, sine).T
    for distance in (-7, 0, 12):
        along = products.diagonal(distance)
        torch.testing.assert_close(along, along[:1].expand_as(along), rtol=1e-11, atol=1e-11)
    assert products.std() > 0.1


def test_a_row_without_valid_positions_gives_finite_numbers_and_gradients() -> None:
    torch.manual_seed(0)
    transformer, pooling = Transformer(8, layers=2, heads=2, dropout=0.0), AttentiveStatistics(8)
    x_BUH = torch.zeros(2, 4, 8, requires_grad=True)
    valid_BU = valid_frames([0, 3], 4)
    pooled = pooling(transformer(x_BUH, valid_BU), valid_BU)
    pooled.sum().backward()
    assert pooled.isfinite().all()
    assert x_BUH.grad is not None and x_BUH.grad.isfinite().all()
