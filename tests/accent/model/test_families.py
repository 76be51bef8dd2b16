"""The encoders of the feature families, one by one."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from accent.features.schema import FAMILY_NAMES, family_slices
from accent.model.config import ModelConfig
from accent.model.families import FAMILY_ENCODERS, ChromaEncoder
from accent.model.layers import slopes
from tests.support.frame_masks import valid_frames

SMALL = ModelConfig(hidden=16, blocks=2, layers=2, heads=2, embedding_dim=8, dropout=0.0)


@pytest.mark.parametrize("orders", [0, 1, 2])
@pytest.mark.parametrize("family", FAMILY_NAMES)
def test_every_family_encoder_ignores_padding_and_returns_the_hidden_width(family: str, orders: int) -> None:
    torch.manual_seed(0)
    part = family_slices()[family]
    columns = part.stop - part.start
    encoder = FAMILY_ENCODERS[family](SMALL, columns, orders).double()
    defined = torch.rand(1, 21, columns) < 0.8
    values = torch.randn(1, 21, columns, dtype=torch.float64) * defined
    alone = encoder(values, defined, torch.ones(1, 21, dtype=torch.bool))
    padded = encoder(F.pad(values, (0, 0, 0, 10)), F.pad(defined, (0, 0, 0, 10)), valid_frames([21], 31))
    assert alone.shape == (1, 21, SMALL.hidden)
    torch.testing.assert_close(padded[:, :21], alone, rtol=1e-11, atol=1e-11)
    assert (padded[:, 21:] == 0).all()


@pytest.mark.parametrize("family", ["chroma", "spectral", "prosody", "formants", "voice"])
def test_families_with_gaps_tell_an_undefined_value_from_the_mean(family: str) -> None:
    torch.manual_seed(0)
    part = family_slices()[family]
    columns = part.stop - part.start
    encoder = FAMILY_ENCODERS[family](SMALL, columns, 0)
    values, valid = torch.zeros(1, 5, columns), torch.ones(1, 5, dtype=torch.bool)
    defined = encoder(values, torch.ones(1, 5, columns, dtype=torch.bool), valid)
    undefined = encoder(values, torch.zeros(1, 5, columns, dtype=torch.bool), valid)
    assert (defined - undefined).abs().max() > 1e-3


@pytest.mark.parametrize("orders", [0, 1, 2])
@pytest.mark.parametrize("family", FAMILY_NAMES)
def test_every_stem_reads_the_slopes_of_defined_values_and_nothing_else(family: str, orders: int) -> None:
    torch.manual_seed(0)
    part = family_slices()[family]
    columns = part.stop - part.start
    encoder = FAMILY_ENCODERS[family](SMALL, columns, orders)
    defined = torch.rand(1, 30, 1 if encoder.whole_frames else columns).expand(-1, -1, columns) < 0.8
    values = torch.randn(1, 30, columns)
    seen: list[Tensor] = []
    genuine = encoder.stem
    encoder.stem = lambda values_BTS, *rest: (seen.append(values_BTS), genuine(values_BTS, *rest))[1]  # type: ignore
    encoder(values.masked_fill(~defined, 0.0), defined, torch.ones(1, 30, dtype=torch.bool))
    pieces = seen[0].split(columns, dim=-1)
    expected = [values.masked_fill(~defined, 0.0)]
    for _ in range(orders):
        expected.append(slopes(expected[-1], defined))
    assert len(pieces) == 1 + orders
    for piece, wanted in zip(pieces, expected, strict=True):
        torch.testing.assert_close(piece, wanted, rtol=0, atol=1e-6)


def test_every_family_of_the_schema_has_an_encoder() -> None:
    assert set(FAMILY_ENCODERS) == set(FAMILY_NAMES)


@pytest.mark.parametrize("orders", [0, 2])
def test_chroma_convolution_turns_with_the_circle_of_pitch_classes(orders: int) -> None:
    torch.manual_seed(0)
    encoder = ChromaEncoder(SMALL, 12, orders)
    channels: list[Tensor] = []
    encoder.circle.register_forward_hook(lambda module, inputs, output: channels.append(output))
    values = torch.randn(1, 4, 12)
    ones, valid = torch.ones(1, 4, 12, dtype=torch.bool), torch.ones(1, 4, dtype=torch.bool)
    encoder(values, ones, valid)
    encoder(values.roll(5, dims=-1), ones, valid)
    torch.testing.assert_close(channels[1], channels[0].roll(5, dims=-1))
