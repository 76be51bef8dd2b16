"""The parts that every family encoder is built from: convolution over time, residual block, slopes over time.

No part lets a frame of padding reach a real one: normalisation is over the channels of one frame, and padding is set to
zero again after every convolution.  Cost of a residual block: (kernel + 1) x C^2 multiplications a frame.

Shapes: B batch rows, T frames, C channels (or columns), K kernel taps.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def zero_padding(x_BTC: Tensor, valid_BT: Tensor) -> Tensor:
    """Return the frames with zeros wherever they are not valid.

    Filling instead of multiplying keeps the precision autocast chose, and NaN x 0 would be NaN.
    """
    return x_BTC.masked_fill(~valid_BT.unsqueeze(-1), 0.0)


def full_precision(x: Tensor) -> Tensor:
    """Return a tensor in float32, or unchanged if it is more precise."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


class FrameConvolution(nn.Conv2d):
    """Convolution over time of `[B, T, C]` frames; as many frames come out as go in.

    Frames beyond either end count as zero, as padding does.
    """

    def __init__(self, channels_in: int, channels_out: int, kernel: int, dilation: int = 1) -> None:
        super().__init__(
            channels_in,
            channels_out,
            kernel_size=(1, kernel),
            dilation=(1, dilation),
            padding=(0, dilation * (kernel - 1) // 2),
        )

    def forward(self, x_BTC: Tensor) -> Tensor:
        """Convolve.

        Args:
            x_BTC: frames, zero in padding.

        Returns:
            Frames `[B, T, C]`; padding is not zero here, see `zero_padding`.
        """
        # As an image of height 1, [B, T, C] is exactly the channels-last layout: no copy to [B, C, T] and back,
        # which made this 2.6 times slower on a CPU.
        return super().forward(x_BTC.transpose(1, 2).unsqueeze(2)).squeeze(2).transpose(1, 2)


class ResidualBlock(nn.Module):
    """Normalise, convolve over time, mix channels, add: x + W gelu(conv(norm(x))).

    Source: pre-activation residual networks, He et al. 2016, "Identity mappings in deep residual networks", with layer
    normalisation instead of normalisation across the batch.
    """

    def __init__(self, channels: int, kernel: int, dilation: int, dropout: float) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(channels)
        self.convolution = FrameConvolution(channels, channels, kernel, dilation)
        self.mix = nn.Linear(channels, channels)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x_BTC: Tensor, valid_BT: Tensor) -> Tensor:
        """Refine frames.

        Args:
            x_BTC: frames, zero in padding.
            valid_BT: true for real frames.

        Returns:
            Frames `[B, T, C]`, zero in padding.
        """
        inner_BTC = zero_padding(self.norm(x_BTC), valid_BT)
        inner_BTC = self.dropout(self.mix(F.gelu(self.convolution(inner_BTC))))
        return x_BTC + zero_padding(inner_BTC, valid_BT)


def slopes(x_BTC: Tensor, valid_BT: Tensor, reach: int = 4) -> Tensor:
    """Return each column's slope over time: the delta features of speech recognition, made as a linear map.

    A straight line is fitted by least squares to the real frames within `reach` of each frame, so the slope of a ramp
    is exact at the edges too and padding has no say.  In the middle of an utterance this is Savitzky and Golay's first
    derivative (1964, "Smoothing and differentiation of data by simplified least squares procedures").

    Args:
        x_BTC: values.
        valid_BT: true for real frames.
        reach: frames on either side.

    Returns:
        Slopes a frame, `[B, T, C]`; zero in padding and where fewer than two real frames are in reach.
    """
    batch, frames, columns = x_BTC.shape
    offsets_K = torch.arange(-reach, reach + 1, dtype=x_BTC.dtype, device=x_BTC.device)
    ones_K = torch.ones_like(offsets_K)

    weight_B1T = valid_BT.unsqueeze(1).to(x_BTC.dtype)
    kernels = torch.stack([ones_K, offsets_K, offsets_K**2]).unsqueeze(1)
    count_BT, first_BT, second_BT = F.conv1d(weight_B1T, kernels, padding=reach).unbind(1)

    weighted = zero_padding(x_BTC, valid_BT).transpose(1, 2).reshape(batch * columns, 1, frames)
    sums = F.conv1d(weighted, kernels[:2], padding=reach).reshape(batch, columns, 2, frames)
    sum_BTC, moment_BTC = (part.transpose(1, 2) for part in sums.unbind(2))

    spread_BT = count_BT * second_BT - first_BT**2
    numerator_BTC = count_BT.unsqueeze(-1) * moment_BTC - first_BT.unsqueeze(-1) * sum_BTC
    slope_BTC = numerator_BTC / torch.where(spread_BT > 0, spread_BT, 1.0).unsqueeze(-1)
    return zero_padding(slope_BTC, valid_BT & (spread_BT > 0))
