"""The parts that every family encoder is built from: convolution over time, residual block, slopes over time.

No part lets a frame of padding reach a real one: normalisation is over the channels of one frame, and padding is set to
zero again after every convolution.  Cost of a residual block: (kernel + 1) x C^2 multiplications a frame.

Shapes: B batch rows, T frames, C channels (or columns), K kernel taps.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from accent.model.keyed_dropout import KeyedDropout


def zero_padding(x_BTC: Tensor, valid_BT: Tensor) -> Tensor:
    """Return the frames with zeros wherever they are not valid.

    Filling instead of multiplying keeps the precision autocast chose, and NaN x 0 would be NaN.
    """
    return x_BTC.masked_fill(~valid_BT.unsqueeze(-1), 0.0)


def full_precision(x: Tensor) -> Tensor:
    """Return a tensor in float32, or unchanged if it is more precise."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


class FullPrecisionLinear(nn.Linear):
    """A linear map in float32 or better, whatever autocast says and whatever its weights were cast to."""

    def forward(self, x: Tensor) -> Tensor:
        """Map the last dimension."""
        with torch.autocast(x.device.type, enabled=False):
            x = full_precision(x)
            return F.linear(x, self.weight.to(x.dtype), self.bias.to(x.dtype))


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
        self.dropout = KeyedDropout(dropout)

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


def slopes(x_BTC: Tensor, counted: Tensor, reach: int = 4) -> Tensor:
    """Return each column's slope over time: the delta features of speech recognition, made as a linear map.

    A straight line is fitted by least squares to the values that count within `reach` of each frame.  Where all of them
    count this is `torchaudio.functional.compute_deltas` with a window of 2 reach + 1 frames.  At an edge and beside a
    gap it is still a fit to what is there: the slope of a ramp is exact up to its ends, and neither padding nor an
    undefined value counts, where repeating the last value would pull the slope towards zero.  Cost: five sums over
    the window, three of them of the mask, which are cheap where it is the same for all columns.

    Args:
        x_BTC: values; anything where they do not count.
        counted: true where a value counts: `[B, T]` for whole frames, or `[B, T, C]`.
        reach: frames on either side.

    Returns:
        Slopes a frame, `[B, T, C]`; zero where the value itself does not count, or no other one in reach.

    Source: Furui 1986, "Speaker-independent isolated word recognition using dynamic features of speech spectrum".
    """
    counted_BTC = counted.unsqueeze(-1) if counted.dim() == 2 else counted
    weight_BCT = counted_BTC.transpose(1, 2).to(x_BTC.dtype)
    value_BCT = x_BTC.masked_fill(~counted_BTC, 0.0).transpose(1, 2)
    offset_K = torch.arange(-reach, reach + 1, dtype=x_BTC.dtype, device=x_BTC.device)
    ones_K, squares_K = torch.ones_like(offset_K), offset_K**2

    count_BCT, value_sum_BCT = _window_sum(weight_BCT, ones_K), _window_sum(value_BCT, ones_K)
    offset_sum_BCT, moment_BCT = _window_sum(weight_BCT, offset_K), _window_sum(value_BCT, offset_K)
    squares_BCT = _window_sum(weight_BCT, squares_K)

    # In exact arithmetic the spread is a whole number, 0 for a single value and at least 1 for two.
    spread_BCT = count_BCT * squares_BCT - offset_sum_BCT**2
    slope_BCT = (count_BCT * moment_BCT - offset_sum_BCT * value_sum_BCT) / spread_BCT.clamp(min=1.0)
    return slope_BCT.transpose(1, 2).masked_fill(~counted_BTC | (spread_BCT < 0.5).transpose(1, 2), 0.0)


def _window_sum(x_BCT: Tensor, weight_K: Tensor) -> Tensor:
    """Return each column's weighted sum over the window around each frame; beyond either end there is nothing."""
    batch, channels, frames = x_BCT.shape
    if torch.compiler.is_exporting():
        # An exported graph has no row number to have groups by.
        sums = F.conv1d(x_BCT.reshape(batch * channels, 1, frames), weight_K[None, None], padding=len(weight_K) // 2)
        return sums.view(batch, channels, frames)
    # One group a row and column: many times faster on a CPU than a batch of single channels.
    rows = x_BCT.reshape(1, batch * channels, frames)
    weights = weight_K.expand(batch * channels, 1, -1)
    return F.conv1d(rows, weights, padding=len(weight_K) // 2, groups=batch * channels).view(batch, channels, frames)
