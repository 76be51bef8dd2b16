"""The whole encoder.  Shapes: B rows, T frames, D columns."""

import dataclasses

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from accent.features.schema import COLUMNS, FAMILY_NAMES, N_COLUMNS, family_slices
from accent.losses import AccentObjective, row_outputs
from accent.model import EncoderOutput, EnhancedAccentEncoder, ModelConfig

TINY = ModelConfig.from_preset("tiny")


def speech_like(rows: int, frames: int, seed: int = 0) -> Tensor:
    """Frames of unit variance, of which a fifth is undefined."""
    generator = torch.Generator().manual_seed(seed)
    frames_BTD = torch.randn(rows, frames, N_COLUMNS, generator=generator)
    return frames_BTD.masked_fill(torch.rand(frames_BTD.shape, generator=generator) < 0.2, torch.nan)


def build(config: ModelConfig = TINY, seed: int = 0) -> EnhancedAccentEncoder:
    """An encoder for inference whose biases are not zero, as after training."""
    torch.manual_seed(seed)
    encoder = EnhancedAccentEncoder(config).eval()
    for parameter in encoder.parameters():
        parameter.data += 0.05 * torch.randn_like(parameter)
    return encoder


def encode(encoder: EnhancedAccentEncoder, frames_BTD: Tensor, valid_BT: Tensor | None = None) -> EncoderOutput:
    if valid_BT is None:
        valid_BT = torch.ones(frames_BTD.shape[:2], dtype=torch.bool)
    with torch.no_grad():
        return encoder(frames_BTD, valid_BT)


@pytest.fixture(scope="module")
def encoder() -> EnhancedAccentEncoder:
    return build()


# --- padding ----------------------------------------------------------------------------------------------------------


@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    length=st.integers(1, 90),
    padding=st.integers(0, 70),
    others=st.lists(st.integers(1, 120), max_size=3),
    subsampling=st.sampled_from([1, 2, 3, 4]),
    filler=st.sampled_from([0.0, float("nan"), 1e6, float("inf")]),
)
def test_padding_changes_no_embedding(
    length: int, padding: int, others: list[int], subsampling: int, filler: float
) -> None:
    encoder = build(dataclasses.replace(TINY, subsampling=subsampling))
    utterance = speech_like(1, length)
    alone = encode(encoder, utterance)

    lengths = [length, *others]
    total = max([length + padding, *others])
    frames_BTD = torch.full((len(lengths), total, N_COLUMNS), filler)
    for row, count in enumerate(lengths):
        frames_BTD[row, :count] = utterance[0] if row == 0 else speech_like(1, count, seed=row)[0]
    valid_BT = torch.arange(total) < torch.tensor(lengths)[:, None]
    batched = encode(encoder, frames_BTD, valid_BT)

    torch.testing.assert_close(batched.embedding_BE[:1], alone.embedding_BE, rtol=0, atol=1e-5)
    torch.testing.assert_close(batched.accent_logits_BA[:1], alone.accent_logits_BA, rtol=0, atol=1e-4)
    torch.testing.assert_close(batched.reconstruction_BTD[:1, :length], alone.reconstruction_BTD, rtol=0, atol=1e-4)
    assert not batched.target_mask_BTD[0, length:].any()


def test_padding_changes_no_embedding_of_the_base_preset() -> None:
    encoder, frames_BTD = build(ModelConfig()), speech_like(1, 203)
    padded_BTD = torch.nn.functional.pad(frames_BTD, (0, 0, 0, 160), value=7.0)
    padded = encode(encoder, padded_BTD, torch.arange(363)[None] < 203)
    torch.testing.assert_close(padded.embedding_BE, encode(encoder, frames_BTD).embedding_BE, rtol=0, atol=1e-5)


@pytest.mark.parametrize("preset", ["tiny", "base"])
def test_padding_changes_no_embedding_beyond_rounding_in_float64(preset: str) -> None:
    encoder = build(ModelConfig.from_preset(preset)).double()
    frames_BTD = speech_like(1, 75).double()
    padded_BTD = torch.nn.functional.pad(frames_BTD, (0, 0, 0, 38), value=7.0)
    padded = encode(encoder, padded_BTD, torch.arange(113)[None] < 75)
    torch.testing.assert_close(padded.embedding_BE, encode(encoder, frames_BTD).embedding_BE, rtol=0, atol=1e-12)


def test_padding_changes_no_gradient(encoder: EnhancedAccentEncoder) -> None:
    gradients = []
    for padding in (0, 13):
        frames_BTD = torch.nn.functional.pad(speech_like(2, 40), (0, 0, 0, padding), value=3.0)
        output = encoder(frames_BTD, torch.arange(40 + padding).expand(2, -1) < 40)
        loss = output.embedding_BE[:, 0].sum() + (output.reconstruction_BTD[:, :40] ** 2).mean()
        # The accent head is not part of this loss.
        used = [p for name, p in encoder.named_parameters() if not name.startswith("accent_head")]
        gradients.append(torch.autograd.grad(loss, used))
    for alone, padded in zip(*gradients, strict=True):
        torch.testing.assert_close(padded, alone, rtol=1e-3, atol=1e-5)


def test_the_order_of_rows_changes_nothing(encoder: EnhancedAccentEncoder) -> None:
    frames_BTD, order = speech_like(4, 50), torch.tensor([2, 0, 3, 1])
    there = encode(encoder, frames_BTD).embedding_BE
    torch.testing.assert_close(encode(encoder, frames_BTD[order]).embedding_BE, there[order], rtol=0, atol=1e-6)


# --- undefined values and invalid rows --------------------------------------------------------------------------------


def test_undefined_values_reach_no_output_and_no_gradient() -> None:
    encoder = build().train()
    frames_BTD = speech_like(3, 40)
    frames_BTD[0] = torch.nan
    frames_BTD[1, :, :80] = torch.inf
    output = encoder(frames_BTD, torch.ones(3, 40, dtype=torch.bool))
    assert all(tensor.isfinite().all() for tensor in output)
    total = output.embedding_BE.sum() + output.accent_logits_BA.sum() + output.reconstruction_BTD.sum()
    total.backward()
    for name, parameter in encoder.named_parameters():
        assert parameter.grad is not None and parameter.grad.isfinite().all(), name


def test_a_row_without_a_real_frame_is_finite_and_disturbs_no_other(encoder: EnhancedAccentEncoder) -> None:
    frames_BTD = speech_like(2, 40)
    valid_BT = torch.ones(2, 40, dtype=torch.bool)
    valid_BT[1] = False
    output = encode(encoder, frames_BTD, valid_BT)
    assert all(tensor.isfinite().all() for tensor in output)
    torch.testing.assert_close(output.embedding_BE[:1], encode(encoder, frames_BTD[:1]).embedding_BE, rtol=0, atol=1e-5)


def test_where_values_are_undefined_matters(encoder: EnhancedAccentEncoder) -> None:
    frames_BTD = torch.zeros(1, 40, N_COLUMNS)
    unvoiced_BTD = frames_BTD.clone()
    unvoiced_BTD[:, 10:20, COLUMNS.index("f0_hz")] = torch.nan
    there, here = encode(encoder, frames_BTD).embedding_BE, encode(encoder, unvoiced_BTD).embedding_BE
    assert (there - here).abs().max() > 1e-4


# --- outputs ----------------------------------------------------------------------------------------------------------


def test_embeddings_have_length_one(encoder: EnhancedAccentEncoder) -> None:
    for frames in (1, 2, 37, 300):
        embedding_BE = encode(encoder, speech_like(3, frames)).embedding_BE
        assert embedding_BE.shape == (3, TINY.embedding_dim)
        torch.testing.assert_close(embedding_BE.norm(dim=1), torch.ones(3), rtol=0, atol=1e-6)


@pytest.mark.parametrize("frames", [1, 3, 4, 5, 41])
def test_every_frame_of_every_family_is_reconstructed(encoder: EnhancedAccentEncoder, frames: int) -> None:
    output = encode(encoder, speech_like(2, frames))
    shape = (2, frames, N_COLUMNS)
    assert output.reconstruction_BTD.shape == output.target_BTD.shape == output.target_mask_BTD.shape == shape
    assert not output.target_BTD.requires_grad


def test_targets_are_the_normalised_features_where_defined(encoder: EnhancedAccentEncoder) -> None:
    encoder = build()
    mean, std = torch.linspace(-3, 3, N_COLUMNS), torch.linspace(0.5, 2, N_COLUMNS)
    encoder.set_normalisation(mean, std)
    frames_BTD = speech_like(2, 30) * std + mean
    output = encode(encoder, frames_BTD)
    assert torch.equal(output.target_mask_BTD, frames_BTD.isfinite())
    torch.testing.assert_close(
        output.target_BTD[output.target_mask_BTD], ((frames_BTD - mean) / std)[output.target_mask_BTD]
    )
    assert (output.target_BTD[~output.target_mask_BTD] == 0).all()


def test_a_change_of_units_cancels_with_the_statistics() -> None:
    encoder, scaled = build(), build()
    factor, offset = torch.linspace(0.01, 900, N_COLUMNS), torch.linspace(-50, 4000, N_COLUMNS)
    scaled.set_normalisation(offset, factor)
    frames_BTD = speech_like(2, 30)
    there = encode(scaled, frames_BTD * factor + offset).embedding_BE
    torch.testing.assert_close(there, encode(encoder, frames_BTD).embedding_BE, rtol=0, atol=1e-3)
    assert (encode(scaled, frames_BTD).embedding_BE - there).abs().max() > 1e-2


def test_fusion_weights_sum_to_one_and_name_the_families_in_storage_order(encoder: EnhancedAccentEncoder) -> None:
    weights = encoder.fusion_weights()
    assert tuple(weights) == FAMILY_NAMES
    assert sum(weights.values()) == pytest.approx(1)
    assert list(weights.values()) == pytest.approx(encode(encoder, speech_like(1, 8)).fusion_weights_F.tolist())


def test_only_the_chosen_families_are_read_and_reconstructed() -> None:
    encoder = build(dataclasses.replace(TINY, families=("voice", "prosody")))
    frames_BTD = speech_like(2, 30)
    output = encode(encoder, frames_BTD)
    chosen = [*range(N_COLUMNS)[family_slices()["prosody"]], *range(N_COLUMNS)[family_slices()["voice"]]]
    assert output.reconstruction_BTD.shape[-1] == len(chosen)
    assert torch.equal(output.target_mask_BTD, frames_BTD[..., chosen].isfinite())
    assert tuple(encoder.fusion_weights()) == ("prosody", "voice")
    assert output.family_D.tolist() == [0] * 3 + [1] * 7
    frames_BTD[..., family_slices()["mel"]] = 5.0
    torch.testing.assert_close(encode(encoder, frames_BTD).embedding_BE, output.embedding_BE, rtol=0, atol=0)


# --- training ---------------------------------------------------------------------------------------------------------


def test_the_objective_gives_every_parameter_a_gradient() -> None:
    encoder, objective = build().train(), AccentObjective()
    label_B = torch.arange(8)
    output = encoder(speech_like(8, 40), torch.ones(8, 40, dtype=torch.bool))
    all_B = torch.ones(8, dtype=torch.bool)
    total, _ = objective(row_outputs(output, all_B), label_B // 4, label_B // 2, label_B % 2, all_B)
    total.backward()
    for name, parameter in [*encoder.named_parameters(), *objective.named_parameters()]:
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        assert parameter.dim() > 0, name


def test_training_separates_accents_that_differ() -> None:
    torch.manual_seed(0)
    encoder = EnhancedAccentEncoder(dataclasses.replace(TINY, accents=("a", "b"), dropout=0.0))
    objective = AccentObjective()
    optimizer = torch.optim.AdamW(encoder.parameters(), lr=2e-3)
    speaker_B, valid_BT, all_B = torch.arange(8), torch.ones(8, 40, dtype=torch.bool), torch.ones(8, dtype=torch.bool)
    accent_B = speaker_B % 2
    first: dict[str, Tensor] = {}
    for step in range(60):
        frames_BTD = speech_like(8, 40, seed=step)
        frames_BTD[..., family_slices()["formants"]] += 0.5 * (2.0 * accent_B - 1)[:, None, None]
        rows = row_outputs(encoder(frames_BTD, valid_BT), all_B)
        total, losses = objective(rows, accent_B, speaker_B, speaker_B, all_B)
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
        first = first or losses
    assert losses["triplet"] < 0.3 * first["triplet"]
    assert losses["cross_entropy"] < 0.3 * first["cross_entropy"]
    assert losses["reconstruction"] < first["reconstruction"]


def test_autocast_to_bfloat16_gives_close_embeddings_in_float32(encoder: EnhancedAccentEncoder) -> None:
    frames_BTD = speech_like(4, 60)
    exact = encode(encoder, frames_BTD)
    with torch.autocast("cpu", torch.bfloat16):
        rough = encode(encoder, frames_BTD)
    assert rough.embedding_BE.dtype == rough.accent_logits_BA.dtype == rough.reconstruction_BTD.dtype == torch.float32
    assert torch.cosine_similarity(rough.embedding_BE, exact.embedding_BE).min() > 0.995
    torch.testing.assert_close(rough.embedding_BE.norm(dim=1), torch.ones(4), rtol=0, atol=1e-6)
    torch.testing.assert_close(rough.target_BTD, exact.target_BTD, rtol=0, atol=0)


def test_weights_in_bfloat16_read_exact_features(encoder: EnhancedAccentEncoder) -> None:
    halved = build().to(torch.bfloat16)
    halved.set_normalisation(torch.full((N_COLUMNS,), 1234.5), torch.full((N_COLUMNS,), 0.25))
    frames_BTD = 1234.5 + 0.25 * speech_like(4, 60)
    rough, exact = encode(halved, frames_BTD), encode(encoder, speech_like(4, 60))
    assert torch.cosine_similarity(rough.embedding_BE, exact.embedding_BE).min() > 0.99
    assert rough.embedding_BE.dtype == torch.float32


# --- construction -----------------------------------------------------------------------------------------------------


def test_no_arguments_give_the_base_preset() -> None:
    encoder = EnhancedAccentEncoder()
    assert encoder.config == ModelConfig.from_preset("base")
    assert encode(encoder.eval(), speech_like(1, 20)).embedding_BE.shape == (1, encoder.config.embedding_dim)


@pytest.mark.parametrize(("preset", "millions"), [("tiny", 0.25), ("base", 11.1), ("large", 62.5)])
def test_presets_have_about_the_size_they_promise(preset: str, millions: float) -> None:
    with torch.device("meta"):
        count = sum(p.numel() for p in EnhancedAccentEncoder(ModelConfig.from_preset(preset)).parameters())
    print(f"{preset}: {count:,} parameters")
    assert count / 1e6 == pytest.approx(millions, rel=0.02)


def test_new_accents_get_a_new_head_and_the_same_accents_keep_theirs() -> None:
    encoder = build().double()
    head = encoder.accent_head
    encoder.set_accents(list(TINY.accents))
    assert encoder.accent_head is head
    encoder.set_accents(["Welsh", "Scots", "Cockney"])
    assert encoder.config.accents == ("Welsh", "Scots", "Cockney")
    assert encode(encoder, speech_like(1, 20).double()).accent_logits_BA.shape == (1, 3)
    assert encoder.accent_head.direction_AE.dtype == torch.float64
    with pytest.raises(ValueError, match="accents"):
        encoder.set_accents(["Welsh", "Welsh"])


def test_saved_weights_carry_the_statistics() -> None:
    encoder, other = build(seed=0), build(seed=1)
    encoder.set_normalisation(torch.arange(float(N_COLUMNS)), torch.full((N_COLUMNS,), 3.0))
    other.load_state_dict(encoder.state_dict())
    frames_BTD = speech_like(2, 30) * 40
    torch.testing.assert_close(
        encode(other, frames_BTD).embedding_BE, encode(encoder, frames_BTD).embedding_BE, rtol=0, atol=0
    )
