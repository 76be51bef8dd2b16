"""One encoder for each feature family; `FAMILY_ENCODERS` is the list of them.

Every encoder reads a family's normalised columns and their definedness at 100 frames a second and returns `hidden`
channels at the same rate.  A new family is one class (or one already here) and one line in the table at the end.
Families whose values are always defined do not read the mask.

Where the configuration asks for it (`deltas`, `delta_families`), the slopes of the columns over time come beside them:
made here, on the device, from the normalised values; a linear map of what is stored, so not stored, and not a
reconstruction target.

Shapes: B batch rows, T frames, D columns of the family, S = D x (1 + orders of slopes), H hidden channels, C channels,
P pitch classes.
"""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from accent.model.config import ModelConfig
from accent.model.layers import FrameConvolution, ResidualBlock, full_precision, slopes, zero_padding


def _blocks(config: ModelConfig, count: int) -> nn.ModuleList:
    """Residual blocks with dilations 1, 2, 4, 8, 1, ...: four of them span 31 frames, 0.3 s, with kernel 3."""
    return nn.ModuleList(
        ResidualBlock(config.hidden, config.kernel, 2 ** (index % 4), config.dropout) for index in range(count)
    )


class FamilyEncoder(nn.Module):
    """What the encoders share: slopes beside the columns, a stem of the family's own, then residual blocks.

    Subclasses build their stem from `columns` and `inputs`, the columns with their slopes, and write `stem`.
    """

    whole_frames = False
    """A frame's columns are defined all together or not at all: slopes of such families cost half as much."""

    def __init__(self, config: ModelConfig, columns: int, orders: int, blocks: int) -> None:
        super().__init__()
        self.columns = columns
        self.orders = orders
        self.inputs = columns * (1 + orders)
        self.blocks = _blocks(config, blocks)

    def stem(self, values_BTS: Tensor, defined_BTD: Tensor) -> Tensor:
        """Return the columns, their slopes after them, as `[B, T, H]`; padding may hold anything."""
        raise NotImplementedError

    def forward(self, values_BTD: Tensor, defined_BTD: Tensor, valid_BT: Tensor) -> Tensor:
        """Encode one family.

        Args:
            values_BTD: normalised values, 0 where undefined and in padding.
            defined_BTD: true where a value is defined.
            valid_BT: true for real frames.

        Returns:
            Frames `[B, T, H]`, zero in padding.
        """
        counted = defined_BTD.all(dim=-1) if self.whole_frames else defined_BTD
        values_BTS = with_slopes(values_BTD, counted, self.orders)
        x_BTH = zero_padding(self.stem(values_BTS, defined_BTD), valid_BT)
        for block in self.blocks:
            x_BTH = block(x_BTH, valid_BT)
        return x_BTH


def with_slopes(values_BTD: Tensor, counted: Tensor, orders: int) -> Tensor:
    """Append slopes over time, then slopes of slopes, to the columns.

    Args:
        values_BTD: normalised values.
        counted: true where a value is defined, `[B, T]` or `[B, T, D]`; the others have no slope and enter none.
        orders: how many times; 0 returns the values as they are.

    Returns:
        `[B, T, S]`: all columns, their first slopes, their second.
    """
    parts = [values_BTD]
    with torch.autocast(values_BTD.device.type, enabled=False):
        slope_BTD = full_precision(values_BTD)
        for _ in range(orders):
            slope_BTD = slopes(slope_BTD, counted)
            parts.append(slope_BTD.to(values_BTD.dtype))
    return torch.cat(parts, dim=-1)


class SpectrogramEncoder(FamilyEncoder):
    """Mel: a residual CNN over time on all bands at once; always defined, so the mask is not read."""

    whole_frames = True

    def __init__(self, config: ModelConfig, columns: int, orders: int) -> None:
        super().__init__(config, columns, orders, config.blocks)
        self.convolution = FrameConvolution(self.inputs, config.hidden, config.kernel)

    def stem(self, values_BTS: Tensor, defined_BTD: Tensor) -> Tensor:
        """Convolve the bands over time."""
        return self.convolution(values_BTS)


class ContourEncoder(FamilyEncoder):
    """Prosody: a residual CNN on the contours and their voicing, with a stem that spans 90 ms.

    A pitch movement takes longer than a spectral change, and voicing is itself a cue, so the mask is half the input.
    """

    def __init__(self, config: ModelConfig, columns: int, orders: int) -> None:
        super().__init__(config, columns, orders, config.blocks)
        self.convolution = FrameConvolution(self.inputs + columns, config.hidden, kernel=9)

    def stem(self, values_BTS: Tensor, defined_BTD: Tensor) -> Tensor:
        """Convolve contours and mask over time."""
        return self.convolution(torch.cat([values_BTS, defined_BTD.to(values_BTS.dtype)], dim=-1))


class CepstrumEncoder(FamilyEncoder):
    """MFCC: a linear mix of the coefficients and their slopes; always defined, so the mask is not read."""

    whole_frames = True

    def __init__(self, config: ModelConfig, columns: int, orders: int) -> None:
        super().__init__(config, columns, orders, max(1, config.blocks // 2))
        self.linear = nn.Linear(self.inputs, config.hidden)

    def stem(self, values_BTS: Tensor, defined_BTD: Tensor) -> Tensor:
        """Mix columns frame by frame."""
        return self.linear(values_BTS)


class ChromaEncoder(FamilyEncoder):
    """Chroma: a convolution around the circle of pitch classes (B is next to C), then frames as usual."""

    CHANNELS = 8

    def __init__(self, config: ModelConfig, columns: int, orders: int) -> None:
        super().__init__(config, columns, orders, max(1, config.blocks // 2))
        self.circle = nn.Conv1d(2 + orders, self.CHANNELS, kernel_size=3)
        self.linear = nn.Linear(self.CHANNELS * columns, config.hidden)

    def stem(self, values_BTS: Tensor, defined_BTD: Tensor) -> Tensor:
        """Convolve around the pitch classes of each frame, mix them."""
        batch, frames, pitches = defined_BTD.shape
        both = torch.cat([values_BTS, defined_BTD.to(values_BTS.dtype)], dim=-1).reshape(batch * frames, -1, pitches)
        around = torch.cat([both[..., -1:], both, both[..., :1]], dim=-1)
        channels_BTC = nn.functional.gelu(self.circle(around)).reshape(batch, frames, -1)
        return self.linear(channels_BTC)


class MeasurementEncoder(FamilyEncoder):
    """Spectral shape, formants, voice quality: a few measurements in a frame, each with its definedness.

    A two-layer perceptron within the frame comes first, because what such numbers say together (F1 with F2, say) is not
    linear in them; blocks over time follow.
    """

    def __init__(self, config: ModelConfig, columns: int, orders: int) -> None:
        super().__init__(config, columns, orders, max(1, config.blocks // 2))
        self.perceptron = nn.Sequential(
            nn.Linear(self.inputs + columns, config.hidden), nn.GELU(), nn.Linear(config.hidden, config.hidden)
        )

    def stem(self, values_BTS: Tensor, defined_BTD: Tensor) -> Tensor:
        """Mix measurements and mask frame by frame."""
        return self.perceptron(torch.cat([values_BTS, defined_BTD.to(values_BTS.dtype)], dim=-1))


FAMILY_ENCODERS: Mapping[str, Callable[[ModelConfig, int, int], FamilyEncoder]] = {
    "mel": SpectrogramEncoder,
    "mfcc": CepstrumEncoder,
    "chroma": ChromaEncoder,
    "spectral": MeasurementEncoder,
    "prosody": ContourEncoder,
    "formants": MeasurementEncoder,
    "voice": MeasurementEncoder,
}
"""Encoder of each family of the schema, called with the model's configuration, the family's number of columns and of
orders of slopes."""
