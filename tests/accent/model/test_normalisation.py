"""Values measured against the corpus, a speaker's voice or an utterance.  Shapes: B rows, T frames, D columns."""

import dataclasses
from typing import get_args

import numpy as np
import pytest
import torch
from torch import Tensor

from accent.features.schema import FAMILY_NAMES, N_COLUMNS, column_index, family_slices
from accent.losses import AccentObjective, row_outputs
from accent.model import EnhancedAccentEncoder, ModelConfig
from accent.model.config import Mode
from accent.model.normalisation import LEAST_SPREAD, LIMIT, OWN_FRAMES, Normalisation, VoiceStatistics, measure_voices

F0, F1 = column_index("f0_hz"), column_index("f1_hz")
OTHERS = [column for column in range(N_COLUMNS) if column != F0]
MEAN_D = torch.linspace(-60, 2000, N_COLUMNS).index_fill(0, torch.tensor(F0), 12 * np.log2(150.0))
STD_D = torch.linspace(0.5, 300, N_COLUMNS).index_fill(0, torch.tensor(F0), 3.0)
RELATIVE: list[Mode] = ["speaker", "utterance"]
TINY = ModelConfig.from_preset("tiny", dropout=0.0)


def spoken(rows: int, frames: int, seed: int = 0, undefined: float = 0.2) -> Tensor:
    """Frames in physical units around the corpus's mean; each row's voice lies and moves otherwise."""
    generator = torch.Generator().manual_seed(seed)
    centre_B1D, spread_B1D = torch.randn(rows, 1, N_COLUMNS, generator=generator), 0.5 + torch.rand(rows, 1, 1)
    frames_BTD = centre_B1D + spread_B1D * torch.randn(rows, frames, N_COLUMNS, generator=generator)
    frames_BTD = frames_BTD * STD_D + MEAN_D
    frames_BTD[..., F0] = 2 ** (frames_BTD[..., F0] / 12)
    return frames_BTD.masked_fill(torch.rand(frames_BTD.shape, generator=generator) < undefined, torch.nan)


def all_valid(frames_BTD: Tensor) -> Tensor:
    return torch.ones(frames_BTD.shape[:2], dtype=torch.bool)


def part(mode: Mode) -> Normalisation:
    normalisation = Normalisation(N_COLUMNS, mode)
    normalisation.set(MEAN_D, STD_D)
    return normalisation


def normalised(mode: Mode, frames_BTD: Tensor, valid_BT: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Each row is taken for all that is known of its speaker."""
    valid_BT = all_valid(frames_BTD) if valid_BT is None else valid_BT
    return part(mode)(frames_BTD, valid_BT, measure_voices(frames_BTD, valid_BT) if mode == "speaker" else None)


# --- what cancels and what stays --------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", RELATIVE)
def test_a_constant_and_a_factor_of_a_voice_cancel_and_do_not_against_the_corpus(mode: Mode) -> None:
    frames_BTD = spoken(2, 300)
    moved_BTD = frames_BTD.clone()
    moved_BTD[..., OTHERS] = 1.3 * moved_BTD[..., OTHERS] + 0.7 * STD_D[OTHERS]
    here, there = (normalised(mode, frames)[0] for frames in (frames_BTD, moved_BTD))
    torch.testing.assert_close(there, here, rtol=0, atol=2e-3)  # float32 beside means of 100 deviations
    here, there = (normalised("corpus", frames)[0] for frames in (frames_BTD, moved_BTD))
    assert (there - here)[..., OTHERS].abs().mean() > 0.3


@pytest.mark.parametrize("mode", RELATIVE)
@pytest.mark.parametrize("factor", [0.5, 2.0, 1.37])
def test_a_voice_that_speaks_higher_throughout_sounds_the_same(mode: Mode, factor: float) -> None:
    frames_BTD = spoken(2, 300)
    higher_BTD = frames_BTD.clone()
    higher_BTD[..., F0] *= factor
    here, there = (normalised(mode, frames)[0] for frames in (frames_BTD, higher_BTD))
    torch.testing.assert_close(there, here, rtol=0, atol=1e-4)


@pytest.mark.parametrize("mode", RELATIVE)
def test_f0_is_in_semitones_from_the_voice_s_median_and_keeps_its_range(mode: Mode) -> None:
    frames_BTD = spoken(1, 300)
    for stretch in (1.0, 1.5):
        stretched_BTD = frames_BTD.clone()
        stretched_BTD[..., F0] **= stretch
        f0_T = stretched_BTD[0, :, F0].double().numpy()
        expected_T = 12 * np.log2(f0_T / np.nanmedian(f0_T)) / 3.0
        found_T = normalised(mode, stretched_BTD)[0][0, :, F0].double().numpy()
        np.testing.assert_allclose(found_T, np.nan_to_num(np.clip(expected_T, -10, 10)), atol=1e-3)


@pytest.mark.parametrize("mode", RELATIVE)
def test_formants_are_lobanov_scores(mode: Mode) -> None:
    frames_BTD = spoken(3, 300)
    values_BTD, _ = normalised(mode, frames_BTD)
    for row in range(3):
        formants_TD = frames_BTD[row, :, family_slices()["formants"]].double().numpy()
        expected_TD = (formants_TD - np.nanmean(formants_TD, axis=0)) / np.nanstd(formants_TD, axis=0)
        found_TD = values_BTD[row, :, family_slices()["formants"]].double().numpy()
        np.testing.assert_allclose(found_TD, np.nan_to_num(expected_TD), atol=1e-4)


def test_a_speaker_s_recordings_are_measured_against_all_of_them_together() -> None:
    together_BTD = spoken(1, 400)
    short_BTD = together_BTD[:, 30:60]
    voice = measure_voices(together_BTD, all_valid(together_BTD))
    found_BTD, _ = part("speaker")(short_BTD, all_valid(short_BTD), voice)
    torch.testing.assert_close(found_BTD, normalised("speaker", together_BTD)[0][:, 30:60])


def test_measured_voices_are_counts_means_and_deviations_of_what_is_defined() -> None:
    frames_BTD = spoken(2, 131)
    frames_BTD[1, :, 7] = torch.nan
    valid_BT = torch.arange(131) < torch.tensor([131, 60])[:, None]
    voices = measure_voices(frames_BTD, valid_BT)
    for row, length in enumerate([131, 60]):
        values_TD = frames_BTD[row, :length].double().numpy()
        values_TD[:, F0] = 12 * np.log2(values_TD[:, F0])
        defined_D = np.isfinite(values_TD).any(axis=0)
        assert defined_D.sum() == N_COLUMNS - row
        np.testing.assert_array_equal(voices.count_SD[row], np.isfinite(values_TD).sum(axis=0))
        centre_D = np.nanmean(values_TD[:, defined_D], axis=0)
        centre_D[list(np.flatnonzero(defined_D)).index(F0)] = np.nanmedian(values_TD[:, F0])
        spread_D = np.sqrt(np.nanmean((values_TD[:, defined_D] - centre_D) ** 2, axis=0))
        np.testing.assert_allclose(voices.centre_SD[row][torch.tensor(defined_D)], centre_D, rtol=1e-4, atol=1e-2)
        np.testing.assert_allclose(voices.spread_SD[row][torch.tensor(defined_D)], spread_D, rtol=1e-4)


# --- voices of which little is known ----------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", RELATIVE)
def test_a_column_without_a_defined_frame_leaves_the_corpus_s_statistics(mode: Mode) -> None:
    normalisation, nothing = part(mode), torch.zeros(1, N_COLUMNS)
    centre_BD, spread_BD = normalisation.trusted(VoiceStatistics(nothing, nothing, nothing))
    torch.testing.assert_close(centre_BD[0], MEAN_D)
    torch.testing.assert_close(spread_BD[0], STD_D)


@pytest.mark.parametrize("heard", [0, 25, 50, 99, 100, 5000])
def test_the_voice_s_own_statistics_weigh_as_much_as_was_heard_of_it(heard: int) -> None:
    voice = VoiceStatistics(torch.full((1, N_COLUMNS), float(heard)), MEAN_D[None] + STD_D, 2 * STD_D[None])
    centre_BD, spread_BD = part("speaker").trusted(voice)
    share = min(1.0, heard / OWN_FRAMES)
    torch.testing.assert_close(centre_BD[0], MEAN_D + share * STD_D)
    torch.testing.assert_close(spread_BD[0, OTHERS], STD_D[OTHERS] * (share * 4 + (1 - share)) ** 0.5)
    assert spread_BD[0, F0] == STD_D[F0]


@pytest.mark.parametrize("mode", RELATIVE)
def test_a_column_that_stands_still_is_not_blown_up(mode: Mode) -> None:
    frames_BTD = spoken(1, 300, undefined=0.0)
    frames_BTD[..., F1] = 500.0
    frames_BTD[0, 0, F1] += 0.01 * STD_D[F1]
    values_BTD, _ = normalised(mode, frames_BTD)
    assert values_BTD[..., F1].abs().max() == pytest.approx(0.01 / LEAST_SPREAD, rel=0.02)


# --- gaps, padding, rows ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", get_args(Mode))
def test_undefined_values_and_padding_are_zero_and_marked(mode: Mode) -> None:
    frames_BTD = spoken(2, 120)
    valid_BT = torch.arange(120) < torch.tensor([120, 70])[:, None]
    values_BTD, defined_BTD = normalised(mode, frames_BTD, valid_BT)
    assert torch.equal(defined_BTD, frames_BTD.isfinite() & valid_BT[..., None])
    assert (values_BTD[~defined_BTD] == 0).all()
    assert (values_BTD[defined_BTD] != 0).float().mean() > 0.99


@pytest.mark.parametrize("mode", RELATIVE)
def test_an_f0_that_is_not_positive_is_none(mode: Mode) -> None:
    frames_BTD = spoken(1, 120)
    odd_BTD, gap_BTD = frames_BTD.clone(), frames_BTD.clone()
    odd_BTD[0, :2, F0], gap_BTD[0, :2, F0] = torch.tensor([0.0, -80.0]), torch.nan
    for found, expected in zip(normalised(mode, odd_BTD), normalised(mode, gap_BTD), strict=True):
        assert torch.equal(found, expected)


@pytest.mark.parametrize("mode", RELATIVE)
@pytest.mark.parametrize("filler", [0.0, float("nan"), 1e6, float("inf"), -3.0])
def test_padding_and_other_rows_change_no_statistic(mode: Mode, filler: float) -> None:
    alone_BTD = spoken(1, 117)
    batch_BTD = torch.full((3, 200, N_COLUMNS), filler)
    batch_BTD[1, :117] = alone_BTD[0]
    batch_BTD[2] = spoken(1, 200, seed=5)[0]
    valid_BT = torch.arange(200) < torch.tensor([0, 117, 200])[:, None]
    alone, batch = normalised(mode, alone_BTD)[0], normalised(mode, batch_BTD, valid_BT)[0]
    torch.testing.assert_close(batch[1:2, :117], alone, rtol=0, atol=1e-4)  # float32 beside means of 100 deviations
    assert (batch[0] == 0).all()
    assert batch.isfinite().all()


def test_float16_is_read_as_the_float32_it_stands_for() -> None:
    stored_BTD = spoken(2, 150).half()
    for mode in get_args(Mode):
        for found, expected in zip(normalised(mode, stored_BTD), normalised(mode, stored_BTD.float()), strict=True):
            assert found.dtype == expected.dtype and torch.equal(found, expected)


def test_the_speaker_s_voice_must_be_given() -> None:
    frames_BTD = spoken(1, 20)
    with pytest.raises(ValueError, match="voice"):
        part("speaker")(frames_BTD, all_valid(frames_BTD))


def test_a_table_of_voices_gives_each_row_its_speaker_s() -> None:
    table = VoiceStatistics(*(torch.randn(4, N_COLUMNS) for _ in range(3)))
    rows = table.rows(torch.tensor([2, 0, 2]))
    for whole, chosen in zip(table, rows, strict=True):
        assert torch.equal(chosen, whole[[2, 0, 2]])


# --- in the encoder ---------------------------------------------------------------------------------------------------


def encoder_of(mode: Mode, **changes) -> EnhancedAccentEncoder:
    torch.manual_seed(0)
    encoder = EnhancedAccentEncoder(dataclasses.replace(TINY, normalisation=mode, **changes)).eval()
    encoder.set_normalisation(MEAN_D, STD_D)
    for parameter in encoder.parameters():
        parameter.data += 0.05 * torch.randn_like(parameter)
    return encoder


@pytest.mark.parametrize("mode", get_args(Mode))
@pytest.mark.parametrize("deltas", [0, 1, 2])
@pytest.mark.parametrize("length", [1, 2, 83])
def test_padding_changes_no_embedding_in_any_mode(mode: Mode, deltas: int, length: int) -> None:
    encoder = encoder_of(mode, deltas=deltas, delta_families=FAMILY_NAMES)
    utterance_BTD, other_BTD = spoken(1, length), spoken(1, 150, seed=3)
    table = measure_voices(torch.cat([other_BTD, spoken(1, 150, seed=4)]), torch.ones(2, 150, dtype=torch.bool))
    batch_BTD = torch.full((2, 150, N_COLUMNS), 1e6)
    batch_BTD[0, :length], batch_BTD[1] = utterance_BTD[0], other_BTD[0]
    with torch.no_grad():
        alone = encoder(utterance_BTD, all_valid(utterance_BTD), table.rows(torch.tensor([1])))
        valid_BT = torch.arange(150) < torch.tensor([length, 150])[:, None]
        batched = encoder(batch_BTD, valid_BT, table.rows(torch.tensor([1, 0])))
    torch.testing.assert_close(batched.embedding_BE[:1], alone.embedding_BE, rtol=0, atol=1e-5)


@pytest.mark.parametrize("mode", get_args(Mode))
def test_every_parameter_learns_from_features_with_gaps(mode: Mode) -> None:
    encoder, objective = encoder_of(mode, delta_families=FAMILY_NAMES).train(), AccentObjective()
    label_B, frames_BTD = torch.arange(8), spoken(8, 60)
    frames_BTD[0] = torch.nan
    output = encoder(frames_BTD, all_valid(frames_BTD), measure_voices(frames_BTD, all_valid(frames_BTD)))
    all_B = torch.ones(8, dtype=torch.bool)
    total, _ = objective(row_outputs(output, all_B), label_B // 4, label_B // 2, label_B % 2, all_B)
    total.backward()
    for name, parameter in encoder.named_parameters():
        assert parameter.grad is not None and parameter.grad.isfinite().all(), name


@pytest.mark.parametrize("mode", get_args(Mode))
def test_slopes_are_read_and_are_no_targets(mode: Mode) -> None:
    frames_BTD = spoken(2, 120)
    voices = measure_voices(frames_BTD, all_valid(frames_BTD))
    with torch.no_grad():
        with_slopes, without = (
            encoder_of(mode, deltas=deltas, delta_families=FAMILY_NAMES)(frames_BTD, all_valid(frames_BTD), voices)
            for deltas in (2, 0)
        )
    assert torch.equal(with_slopes.target_BTD, without.target_BTD)
    assert with_slopes.reconstruction_BTD.shape == with_slopes.target_BTD.shape == frames_BTD.shape


@pytest.mark.parametrize("mode", RELATIVE)
def test_autocast_leaves_the_normalised_values_alone(mode: Mode) -> None:
    encoder, frames_BTD = encoder_of(mode), spoken(2, 120)
    voices = measure_voices(frames_BTD, all_valid(frames_BTD))
    with torch.no_grad():
        exact = encoder(frames_BTD, all_valid(frames_BTD), voices)
        with torch.autocast("cpu", torch.bfloat16):
            rough = encoder(frames_BTD, all_valid(frames_BTD), voices)
        halved = encoder.to(torch.bfloat16)(frames_BTD, all_valid(frames_BTD), voices)
    assert torch.equal(rough.target_BTD, exact.target_BTD) and torch.equal(halved.target_BTD, exact.target_BTD)
    assert torch.cosine_similarity(rough.embedding_BE, exact.embedding_BE).min() > 0.99


@pytest.mark.parametrize("mode", RELATIVE)
def test_what_an_accent_does_within_a_voice_is_learnt_though_voices_lie_far_apart(mode: Mode) -> None:
    """The accents differ in whether F2 rises or falls with F1, nothing else; unseen voices are tested."""
    torch.manual_seed(0)
    config = dataclasses.replace(TINY, normalisation=mode, families=("formants",), accents=("with", "against"))
    encoder, objective = EnhancedAccentEncoder(config), AccentObjective()
    encoder.set_normalisation(MEAN_D, STD_D)
    optimizer = torch.optim.AdamW(encoder.parameters(), lr=2e-3)
    speaker_B, all_B = torch.arange(12), torch.ones(12, dtype=torch.bool)
    accent_B = speaker_B % 2

    def heard(seed: int) -> tuple[Tensor, VoiceStatistics]:
        frames_BTD = spoken(12, 120, seed)
        follows_BT = torch.where(frames_BTD[..., F1].isfinite(), frames_BTD[..., F1], MEAN_D[F1]) - MEAN_D[F1]
        frames_BTD[..., F1 + 1] = MEAN_D[F1 + 1] + (1 - 2.0 * accent_B)[:, None] * follows_BT
        frames_BTD[..., OTHERS] += 3 * torch.randn(12, 1, len(OTHERS)) * STD_D[OTHERS]
        return frames_BTD, measure_voices(frames_BTD, all_valid(frames_BTD))

    for step in range(40):
        frames_BTD, voices = heard(step)
        output = encoder(frames_BTD, all_valid(frames_BTD), voices)
        total, _ = objective(row_outputs(output, all_B), accent_B, speaker_B, speaker_B, all_B)
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
    frames_BTD, voices = heard(1000)
    with torch.no_grad():
        told_B = encoder.eval()(frames_BTD, all_valid(frames_BTD), voices).accent_logits_BA.argmax(1)
    assert (told_B == accent_B).float().mean() > 0.9


# --- the module -------------------------------------------------------------------------------------------------------


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
