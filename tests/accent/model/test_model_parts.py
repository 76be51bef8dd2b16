"""The encoder's parts, one by one.

Shapes: B rows, T frames, C channels, D columns, U positions, H hidden channels, F families.
"""

import dataclasses
from typing import get_args

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from torchaudio.functional import compute_deltas

from accent.configuration import load, to_mapping
from accent.errors import AccentError
from accent.features.schema import FAMILY_NAMES, family_slices
from accent.model.config import Mode, ModelConfig
from accent.model.families import FAMILY_ENCODERS, ChromaEncoder
from accent.model.fusion import Fusion, Subsampling
from accent.model.heads import AccentHead, FamilyReconstruction
from accent.model.layers import FrameConvolution, ResidualBlock, slopes
from accent.model.normalisation import LIMIT, Normalisation
from accent.model.pooling import AttentiveStatistics, EmbeddingProjection
from accent.model.transformer import Transformer, TransformerLayer, rotary_angles, rotate

SMALL = ModelConfig(hidden=16, blocks=2, layers=2, heads=2, embedding_dim=8, dropout=0.0)


def _valid(lengths: list[int], frames: int) -> Tensor:
    return torch.arange(frames) < torch.tensor(lengths)[:, None]


# --- slopes -----------------------------------------------------------------------------------------------------------


def test_slopes_are_those_of_a_least_squares_line_through_the_real_frames_in_reach() -> None:
    torch.manual_seed(0)
    x_BTC = torch.randn(2, 13, 3, dtype=torch.float64)
    valid_BT = _valid([13, 7], 13)
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
    assert slopes(torch.randn(1, 9, 2), _valid([1], 9)).abs().max() == 0


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


# --- convolution and blocks -------------------------------------------------------------------------------------------


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
    padded = block(F.pad(x_BTC, (0, 0, 0, 5)), _valid([9], 14))
    torch.testing.assert_close(padded[:, :9], alone, rtol=1e-12, atol=1e-12)
    assert (padded[:, 9:] == 0).all()


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
    padded = encoder(F.pad(values, (0, 0, 0, 10)), F.pad(defined, (0, 0, 0, 10)), _valid([21], 31))
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


# --- normalisation ----------------------------------------------------------------------------------------------------


def test_normalised_values_are_standard_scores_and_gaps_are_zero_and_marked() -> None:
    part = Normalisation(3)
    part.set(np.array([10.0, 0.0, -5.0]), np.array([2.0, 1.0, 5.0]))
    frames = torch.tensor([[[12.0, torch.nan, -5.0], [torch.nan, 1.5, torch.inf], [99.0, 99.0, torch.nan]]])
    values, defined = part(frames, torch.tensor([[True, True, False]]))
    assert values.tolist() == [[[1.0, 0.0, 0.0], [0.0, 1.5, 0.0], [0.0, 0.0, 0.0]]]
    assert defined.tolist() == [[[True, False, True], [False, True, False], [False, False, False]]]


def test_outliers_are_cut_off() -> None:
    values, _ = Normalisation(2)(torch.tensor([[[1e30, -1e30]]]), torch.ones(1, 1, dtype=torch.bool))
    assert values.tolist() == [[[LIMIT, -LIMIT]]]


def test_a_column_without_spread_or_statistics_gives_finite_values() -> None:
    part = Normalisation(3)
    part.set([4.0, float("nan"), 1.0], [0.0, float("nan"), 2.0])
    values, _ = part(torch.full((1, 1, 3), 5.0), torch.ones(1, 1, dtype=torch.bool))
    assert values.tolist() == [[[1.0, 5.0, 2.0]]]


def test_statistics_keep_their_precision_when_the_weights_are_halved() -> None:
    part = Normalisation(1)
    part.set([1234.567], [321.123])
    for halved in (part.to(torch.bfloat16), part.half()):
        assert halved.mean_D.dtype == torch.float32
        assert halved.mean_D.item() == pytest.approx(1234.567, rel=1e-6)
        assert halved.std_D.item() == pytest.approx(321.123, rel=1e-6)
    assert part.double().mean_D.dtype == torch.float64


def test_another_number_of_columns_is_refused() -> None:
    with pytest.raises(ValueError, match="normalisation"):
        Normalisation(3).set([0.0], [1.0])


# --- fusion, subsampling ----------------------------------------------------------------------------------------------


def test_a_family_with_all_the_weight_is_all_that_passes_the_fusion() -> None:
    torch.manual_seed(0)
    fusion = Fusion(3, 8)
    fusion.logits_F.data = torch.tensor([0.0, 60.0, 0.0])
    streams, valid = [torch.randn(1, 5, 8) for _ in range(3)], torch.ones(1, 5, dtype=torch.bool)
    fused, weights = fusion(streams, valid)
    torch.testing.assert_close(weights, torch.tensor([0.0, 1.0, 0.0]))
    changed, _ = fusion([streams[0] + 1, streams[1], streams[2] - 1], valid)
    torch.testing.assert_close(changed, fused)


def test_the_scale_of_a_stream_or_its_projection_does_not_change_its_share() -> None:
    torch.manual_seed(0)
    fusion = Fusion(2, 8)
    streams, valid = [torch.randn(1, 5, 8) for _ in range(2)], torch.ones(1, 5, dtype=torch.bool)
    fused, _ = fusion(streams, valid)
    for parameter in fusion.projections[0].parameters():
        parameter.data *= 50
    torch.testing.assert_close(fusion(streams, valid)[0], fused, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("factor", [1, 2, 3, 4])
@pytest.mark.parametrize("padding", [0, 1, 2, 3, 7])
def test_subsampling_does_not_see_how_much_padding_there_is(factor: int, padding: int) -> None:
    torch.manual_seed(0)
    subsampling = Subsampling(4, factor).double()
    x_BTH = torch.randn(1, 10, 4, dtype=torch.float64)
    alone, valid_alone = subsampling(x_BTH, torch.ones(1, 10, dtype=torch.bool))
    padded, valid_padded = subsampling(F.pad(x_BTH, (0, 0, 0, padding)), _valid([10], 10 + padding))
    assert valid_alone.sum() == valid_padded.sum() == -(-10 // factor)
    torch.testing.assert_close(padded[:, : alone.shape[1]], alone, rtol=1e-12, atol=1e-12)
    assert (padded[:, alone.shape[1] :] == 0).all()


# --- transformer ------------------------------------------------------------------------------------------------------


def test_attention_to_valid_positions_equals_the_sum_written_out() -> None:
    torch.manual_seed(0)
    layer = TransformerLayer(8, heads=2, dropout=0.0).double()
    x_BUH = torch.randn(1, 5, 8, dtype=torch.float64)
    cosine, sine = rotary_angles(5, 4, x_BUH.device, x_BUH.dtype)
    found = layer(x_BUH, _valid([3], 5), cosine, sine)[0]

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
    valid_BU = _valid([0, 3], 4)
    pooled = pooling(transformer(x_BUH, valid_BU), valid_BU)
    pooled.sum().backward()
    assert pooled.isfinite().all()
    assert x_BUH.grad is not None and x_BUH.grad.isfinite().all()


# --- pooling, heads ---------------------------------------------------------------------------------------------------


def test_pooled_statistics_are_the_attention_weighted_mean_and_deviation() -> None:
    torch.manual_seed(0)
    pooling = AttentiveStatistics(4).double()
    x_BUH = torch.randn(2, 6, 4, dtype=torch.float64)
    found = pooling(x_BUH, _valid([6, 2], 6))
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
    pooling(x_BUH, _valid([6], 6)).sum().backward()
    assert x_BUH.grad is not None and x_BUH.grad.isfinite().all()


def test_variance_is_exact_beside_a_large_mean() -> None:
    pooling = AttentiveStatistics(1)
    for parameter in pooling.score.parameters():
        torch.nn.init.zeros_(parameter)
    x_BUH = (1000 + torch.tensor([-1.0, 1.0, -1.0, 1.0])).reshape(1, 4, 1)
    assert pooling(x_BUH, _valid([4], 4))[0, 1].item() == pytest.approx(1.0, rel=1e-4)


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


def test_accent_logits_are_scaled_cosines() -> None:
    torch.manual_seed(0)
    head, embedding_BE = AccentHead(8, 3, scale=16.0), F.normalize(torch.randn(5, 8), dim=1)
    expected = 16 * torch.cosine_similarity(embedding_BE[:, None], head.direction_AE[None], dim=-1)
    torch.testing.assert_close(head(embedding_BE), expected)


def test_a_reconstructed_frame_comes_from_its_own_position() -> None:
    torch.manual_seed(0)
    head, x_BUH = FamilyReconstruction(8, columns=3, subsampling=4), torch.randn(1, 5, 8)
    before = head(x_BUH, frames=18)
    x_BUH[0, 2] += 1
    changed = (head(x_BUH, frames=18) != before).any(dim=-1)[0]
    assert before.shape == (1, 18, 3)
    assert changed.nonzero().flatten().tolist() == [8, 9, 10, 11]


# --- configuration ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("preset", list(ModelConfig.PRESETS))
def test_a_preset_is_the_same_from_a_file_and_from_python(preset: str) -> None:
    assert load(ModelConfig, {"preset": preset}) == ModelConfig.from_preset(preset)
    assert load(ModelConfig, to_mapping(ModelConfig.from_preset(preset))) == ModelConfig.from_preset(preset)


@pytest.mark.parametrize("normalisation", get_args(Mode))
def test_the_choice_of_normalisation_and_deltas_survives_a_file(normalisation: str) -> None:
    words = [f"normalisation={normalisation}", "deltas=1", "delta_families=[mel,prosody]"]
    config = load(ModelConfig, {"preset": "tiny"}, words)
    assert load(ModelConfig, to_mapping(config)) == config
    assert config.normalisation == normalisation
    assert [config.slope_orders(name) for name in FAMILY_NAMES] == [1, 0, 0, 0, 1, 0, 0]
    with pytest.raises(ValueError, match="normalisation"):
        ModelConfig(normalisation="nobody")  # type: ignore[arg-type]


def test_a_configuration_written_before_there_was_a_choice_means_what_it_meant() -> None:
    config = load(ModelConfig, {"preset": "tiny"})
    assert config.normalisation == "corpus"
    assert {name: config.slope_orders(name) for name in FAMILY_NAMES if config.slope_orders(name)} == {"mfcc": 2}


def test_base_is_what_no_arguments_give() -> None:
    assert ModelConfig() == ModelConfig.from_preset("base")


@pytest.mark.parametrize(
    ("word", "key"),
    [
        ("preset=huge", "preset"),
        ("families=[mel,smell]", "families"),
        ("families=[]", "families"),
        ("accents=[Hindi,Hindi]", "accents"),
        ("heads=3", "heads"),
        ("kernel=4", "kernel"),
        ("dropout=1.0", "dropout"),
        ("layers=0", "layers"),
        ("accent_scale=0", "accent_scale"),
        ("normalisation=nobody", "normalisation"),
        ("deltas=3", "deltas"),
        ("deltas=-1", "deltas"),
        ("delta_families=[smell]", "delta_families"),
        ("delta_families=[mel,mel]", "delta_families"),
        ("hiden=64", "hiden"),
    ],
)
def test_an_impossible_value_is_refused_by_name(word: str, key: str) -> None:
    with pytest.raises(AccentError, match=key):
        load(ModelConfig, overrides=[word])


def test_the_name_of_a_preset_without_its_sizes_is_refused() -> None:
    with pytest.raises(ValueError, match="from_preset"):
        ModelConfig(preset="tiny")
    with pytest.raises(ValueError, match="preset"):
        ModelConfig.from_preset("huge")


def test_families_are_ordered_as_they_are_stored() -> None:
    config = dataclasses.replace(SMALL, families=("voice", "mel", "prosody"))
    assert config.ordered_families == ("mel", "prosody", "voice")
