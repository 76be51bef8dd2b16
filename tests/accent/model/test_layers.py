"""Slopes over time, convolutions and residual blocks.

Shapes: B rows, T frames, C channels.
"""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torchaudio.functional import compute_deltas

from accent.model.layers import FrameConvolution, ResidualBlock, slopes
from tests.support.frame_masks import valid_frames


def test_slopes_are_those_of_a_least_squares_line_through_the_real_frames_in_reach() -> None:
    torch.manual_seed(0)
    x_BTC = torch.randn(2, 13, 3, dtype=torch.float64)
    valid_BT = valid_frames([13, 7], 13)
    found = slopes(x_BTC, valid_BT, reach=4)
    for row, length in enumerate([13, 7]):
        for frame in range(length):
            near = np.arange(max(0, frame - 4), min(length, frame + 5))
            expected = np.polyfit(near, x_BTC[row, near].numpy(), deg=1)[0]
            np.testing.assert_allclose(found[row, frame].numpy(), expected, atol=1e-12)
    assert (found[1, 7:] == 0).all()


def test_slope_of_a_ramp_is_exact_up_to_its_edges() -> None:
    ramp_BTC = (2.5 * torch.arange(20.0) - 7)[None, :, None]
    torch.testing.assert_close(slopes(ramp_BTC, torch.ones(1, 20, dtype=torch.bool)), torch.full((1, 20, 1), 2.5))


def test_a_single_frame_has_no_slope() -> None:
    assert slopes(torch.randn(1, 9, 2), valid_frames([1], 9)).abs().max() == 0


def test_slopes_are_torchaudio_s_deltas_away_from_edges() -> None:
    torch.manual_seed(0)
    x_BTC = torch.randn(2, 60, 5)
    for reach in (1, 2, 4):
        expected = compute_deltas(x_BTC.transpose(1, 2), win_length=2 * reach + 1).transpose(1, 2)
        found = slopes(x_BTC, torch.ones(2, 60, dtype=torch.bool), reach)
        torch.testing.assert_close(found[:, reach:-reach], expected[:, reach:-reach], rtol=0, atol=1e-6)


def test_slopes_of_a_line_with_gaps_are_its_slope_wherever_two_points_are_in_reach() -> None:
    torch.manual_seed(0)
    line_BTC = torch.arange(80.0)[None, :, None] * torch.tensor([0.3, -2.0, 0.0]) + 5
    counted_BTC = torch.rand(1, 80, 3) < 0.4
    found = slopes(line_BTC.masked_fill(~counted_BTC, torch.nan), counted_BTC)
    for column, expected in enumerate([0.3, -2.0, 0.0]):
        for frame in range(80):
            near = counted_BTC[0, max(0, frame - 4) : frame + 5, column].sum()
            has_slope = bool(counted_BTC[0, frame, column]) and near >= 2
            assert found[0, frame, column].item() == pytest.approx(expected if has_slope else 0.0, abs=2e-5)


def test_a_mask_of_frames_and_the_same_mask_of_values_give_the_same_slopes() -> None:
    torch.manual_seed(0)
    x_BTC, counted_BT = torch.randn(3, 40, 4), torch.rand(3, 40) < 0.7
    per_value = slopes(x_BTC, counted_BT.unsqueeze(-1).expand_as(x_BTC))
    torch.testing.assert_close(slopes(x_BTC, counted_BT), per_value, rtol=0, atol=1e-6)


@pytest.mark.parametrize(("kernel", "dilation"), [(1, 1), (3, 1), (3, 4), (9, 1)])
def test_frame_convolution_is_the_ordinary_convolution_over_time(kernel: int, dilation: int) -> None:
    torch.manual_seed(0)
    convolution = FrameConvolution(5, 7, kernel, dilation).double()
    x_BTC = torch.randn(2, 11, 5, dtype=torch.float64)
    weight = convolution.weight.squeeze(2)
    expected = F.conv1d(
        x_BTC.transpose(1, 2), weight, convolution.bias, padding=dilation * (kernel // 2), dilation=dilation
    )
    torch.testing.assert_close(convolution(x_BTC), expected.transpose(1, 2), rtol=1e-12, atol=1e-12)


def test_a_block_lets_no_padding_in_and_leaves_it_zero() -> None:
    torch.manual_seed(0)
    block = ResidualBlock(6, kernel=3, dilation=2, dropout=0.0).double()
    torch.nn.init.normal_(block.norm.bias)  # a bias would turn padding into a signal
    x_BTC = torch.randn(1, 9, 6, dtype=torch.float64)
    alone = block(x_BTC, torch.ones(1, 9, dtype=torch.bool))
    padded = block(F.pad(x_BTC, (0, 0, 0, 5)), valid_frames([9], 14))
    torch.testing.assert_close(padded[:, :9], alone, rtol=1e-12, atol=1e-12)
    assert (padded[:, 9:] == 0).all()
