"""One encoder for each feature family; `FAMILY_ENCODERS` is the list of them.

Every encoder reads a family's normalised columns and their definedness at 100 frames a second and returns `hidden`
channels at the same rate.  A new family is one class (or one already here) and one line in the table at the end.
Families whose values are always defined do not read the mask.

Shapes: B batch rows, T frames, D columns of the family, H hidden channels, C channels, P pitch classes.
"""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from accent.model.blocks import FrameConvolution, ResidualBlock, full_precision, slopes, zero_padding
from accent.model.config import ModelConfig


def _blocks(config: ModelConfig, count: int) -> nn.ModuleList:
    """Residual blocks with dilations 1, 2, 4, 8, 1, ...: four of them span 31 frames, 0.3 s, with kernel 3."""
    return nn.ModuleList(
        ResidualBlock(config.hidden, config.kernel, 2 ** (index % 4), config.dropout) for index in range(count)
    )


class FamilyEncoder(nn.Module):
    """What the encoders share: a stem of the family's own, then residual blocks.

    Subclasses build their stem from `columns` and write `stem`.
    """

    def __init__(self, config: ModelConfig, columns: int, blocks: int) -> None:
        super().__init__()
        self.columns = columns
        self.blocks = _blocks(config, blocks)

    def stem(self, values_BTD: Tensor, defined_BTD: Tensor, valid_BT: Tensor) -> Tensor:
        """Return the family's columns as `[B, T, H]`; padding may hold anything."""
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
        x_BTH = zero_padding(self.stem(values_BTD, defined_BTD, valid_BT), valid_BT)
        for block in self.blocks:
            x_BTH = block(x_BTH, valid_BT)
        return x_BTH


class SpectrogramEncoder(FamilyEncoder):
    """Mel: a residual CNN over time on all bands at once; always defined, so the mask is not read."""

    def __init__(self, config: ModelConfig, columns: int) -> None:
        super().__init__(config, columns, config.blocks)
        self.convolution = FrameConvolution(columns, config.hidden, config.kernel)

    def stem(self, values_BTD: Tensor, defined_BTD: Tensor, valid_BT: Tensor) -> Tensor:
        """Convolve the bands over time."""
        return self.convolution(values_BTD)


class ContourEncoder(FamilyEncoder):
    """Prosody: a residual CNN on the contours and their voicing, with a stem that spans 90 ms.

    A pitch movement takes longer than a spectral change, and voicing is itself a cue, so the mask is half the input.
    """

    def __init__(self, config: ModelConfig, columns: int) -> None:
        super().__init__(config, columns, config.blocks)
        self.convolution = FrameConvolution(2 * columns, config.hidden, kernel=9)

    def stem(self, values_BTD: Tensor, defined_BTD: Tensor, valid_BT: Tensor) -> Tensor:
        """Convolve contours and mask over time."""
        return self.convolution(torch.cat([values_BTD, defined_BTD.to(values_BTD.dtype)], dim=-1))


class CepstrumEncoder(FamilyEncoder):
    """MFCC: the coefficients with their first and second slopes over time; always defined, so the mask is not read."""

    def __init__(self, config: ModelConfig, columns: int) -> None:
        super().__init__(config, columns, max(1, config.blocks // 2))
        self.linear = nn.Linear(3 * columns, config.hidden)

    def stem(self, values_BTD: Tensor, defined_BTD: Tensor, valid_BT: Tensor) -> Tensor:
        """Append slopes, mix columns."""
        with torch.autocast(values_BTD.device.type, enabled=False):
            first_BTD = slopes(full_precision(values_BTD), valid_BT)
            second_BTD = slopes(first_BTD, valid_BT)
            columns_BTD = torch.cat([values_BTD, first_BTD, second_BTD], dim=-1).to(values_BTD.dtype)
        return self.linear(columns_BTD)


class ChromaEncoder(FamilyEncoder):
    """Chroma: a convolution around the circle of pitch classes (B is next to C), then frames as usual."""

    CHANNELS = 8

    def __init__(self, config: ModelConfig, columns: int) -> None:
        super().__init__(config, columns, max(1, config.blocks // 2))
        self.circle = nn.Conv1d(2, self.CHANNELS, kernel_size=3)
        self.linear = nn.Linear(self.CHANNELS * columns, config.hidden)

    def stem(self, values_BTD: Tensor, defined_BTD: Tensor, valid_BT: Tensor) -> Tensor:
        """Convolve around the pitch classes of each frame, mix them."""
        batch, frames, pitches = values_BTD.shape
        pairs = torch.stack([values_BTD, defined_BTD.to(values_BTD.dtype)], dim=2).reshape(-1, 2, pitches)
        around = torch.cat([pairs[..., -1:], pairs, pairs[..., :1]], dim=-1)
        channels_BTC = nn.functional.gelu(self.circle(around)).reshape(batch, frames, -1)
        return self.linear(channels_BTC)


class MeasurementEncoder(FamilyEncoder):
    """Spectral shape, formants, voice quality: a few measurements in a frame, each with its definedness.

    A two-layer perceptron within the frame comes first, because what such numbers say together (F1 with F2, say) is not
    linear in them; blocks over time follow.
    """

    def __init__(self, config: ModelConfig, columns: int) -> None:
        super().__init__(config, columns, max(1, config.blocks // 2))
        self.perceptron = nn.Sequential(
            nn.Linear(2 * columns, config.hidden), nn.GELU(), nn.Linear(config.hidden, config.hidden)
        )

    def stem(self, values_BTD: Tensor, defined_BTD: Tensor, valid_BT: Tensor) -> Tensor:
        """Mix measurements and mask frame by frame."""
        return self.perceptron(torch.cat([values_BTD, defined_BTD.to(values_BTD.dtype)], dim=-1))


FAMILY_ENCODERS: Mapping[str, Callable[[ModelConfig, int], FamilyEncoder]] = {
    "mel": SpectrogramEncoder,
    "mfcc": CepstrumEncoder,
    "chroma": ChromaEncoder,
    "spectral": MeasurementEncoder,
    "prosody": ContourEncoder,
    "formants": MeasurementEncoder,
    "voice": MeasurementEncoder,
}
"""Encoder of each family of the schema, called with the model's configuration and the family's number of columns."""
