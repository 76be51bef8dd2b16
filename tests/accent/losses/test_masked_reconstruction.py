"""Hidden frames, and the objective that has to tell them: only they count, and the network does not see them."""

import pytest
import torch

from accent.augmentation.keyed_uniform import row_keys
from accent.features.schema import N_COLUMNS
from accent.losses.hidden_frames import hidden_frames
from accent.losses.masked_reconstruction import MaskedReconstruction
from accent.model import EnhancedAccentEncoder, ModelConfig

SIZES = {"hidden": 8, "blocks": 1, "layers": 1, "heads": 2, "embedding_dim": 6, "dropout": 0.0}


def encoder() -> EnhancedAccentEncoder:
    torch.manual_seed(0)
    return EnhancedAccentEncoder(ModelConfig(**SIZES)).double()


def batch(rows: int = 4, frames: int = 60) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    frames_BTD = torch.randn(rows, frames, N_COLUMNS, generator=generator, dtype=torch.float64)
    frames_BTD[torch.rand(frames_BTD.shape, generator=generator) < 0.2] = torch.nan
    valid_BT = torch.arange(frames) < torch.tensor([frames, frames - 7, frames // 2, 3] * rows)[:rows, None]
    return frames_BTD, valid_BT, hidden_frames(valid_BT, row_keys(0, 5, 0, rows, torch.device("cpu")), 0.4, 6)


def test_the_share_and_the_length_of_the_stretches_are_those_asked_for():
    valid_BT = torch.ones(400, 300, dtype=torch.bool)
    hidden_BT = hidden_frames(valid_BT, row_keys(0, 0, 0, 400, torch.device("cpu")), 0.4, 20)
    assert float(hidden_BT[:, 20:].float().mean()) == pytest.approx(0.4, abs=0.01)
    for row_T in hidden_BT[:50].int():
        edges = torch.diff(row_T, prepend=row_T.new_zeros(1), append=row_T.new_zeros(1))
        begins, ends = (edges == 1).nonzero().squeeze(1), (edges == -1).nonzero().squeeze(1)
        assert all(length >= 20 for length in (ends - begins)[ends < 300])


def test_a_row_is_hidden_alike_alone_in_any_batch_and_with_any_padding():
    valid_BT = torch.ones(6, 80, dtype=torch.bool)
    device = torch.device("cpu")
    whole_BT = hidden_frames(valid_BT, row_keys(3, 7, 0, 6, device), 0.4, 10)
    part_BT = hidden_frames(torch.ones(2, 120, dtype=torch.bool), row_keys(3, 7, 4, 2, device), 0.4, 10)
    assert torch.equal(part_BT[:, :80], whole_BT[4:])
    assert not torch.equal(whole_BT, hidden_frames(valid_BT, row_keys(3, 8, 0, 6, device), 0.4, 10))
    assert not hidden_frames(~valid_BT, row_keys(3, 7, 0, 6, device), 0.4, 10).any()


def test_the_network_does_not_see_what_is_hidden_and_the_target_still_has_it():
    frames_BTD, valid_BT, hidden_BT = batch()
    model = encoder().eval()
    first = model(frames_BTD, valid_BT, hidden_BT=hidden_BT)
    other_BTD = torch.where(hidden_BT[..., None], frames_BTD.flip(0) * 3, frames_BTD)
    second = model(other_BTD, valid_BT, hidden_BT=hidden_BT)
    torch.testing.assert_close(first.reconstruction_BTD, second.reconstruction_BTD)
    plain = model(frames_BTD, valid_BT)
    torch.testing.assert_close(first.target_BTD, plain.target_BTD)
    assert torch.equal(first.target_mask_BTD, plain.target_mask_BTD)
    # A hidden frame looks as an undefined one does.
    undefined = model(frames_BTD.masked_fill(hidden_BT[..., None], torch.nan), valid_BT)
    torch.testing.assert_close(first.reconstruction_BTD, undefined.reconstruction_BTD)


def test_the_loss_is_the_mean_error_over_hidden_values_then_over_families():
    frames_BTD, valid_BT, hidden_BT = batch()
    row_valid_B = torch.tensor([True, True, True, False])
    output = encoder()(frames_BTD, valid_BT, hidden_BT=hidden_BT)
    loss, report = MaskedReconstruction()(output, hidden_BT, row_valid_B)
    told, always_mean = [], []
    counted_BTD = output.target_mask_BTD & hidden_BT[..., None] & row_valid_B[:, None, None]
    for family in range(7):
        here_BTD = counted_BTD & (output.family_D == family)
        difference = (output.reconstruction_BTD - output.target_BTD)[here_BTD].abs()
        target = output.target_BTD[here_BTD].abs()
        told.append(torch.where(difference < 1, difference**2 / 2, difference - 0.5).mean())
        always_mean.append(torch.where(target < 1, target**2 / 2, target - 0.5).mean())
    torch.testing.assert_close(loss, torch.stack(told).mean())
    torch.testing.assert_close(report["total"], loss.detach())
    torch.testing.assert_close(report["explained"], 1 - sum(told).detach() / sum(always_mean))


def test_a_batch_without_a_hidden_frame_has_a_loss_of_zero_and_gradients_of_zero():
    frames_BTD, valid_BT, _ = batch()
    model = encoder()
    nothing_BT = torch.zeros_like(valid_BT)
    output = model(frames_BTD, valid_BT, hidden_BT=nothing_BT)
    loss, _ = MaskedReconstruction()(output, nothing_BT, torch.ones(4, dtype=torch.bool))
    loss.backward()
    assert loss == 0
    assert all(not parameter.grad.any() for parameter in model.reconstruction.parameters())


def test_what_the_neighbours_tell_is_learnt_for_waves_never_seen():
    def waves(seed: int) -> torch.Tensor:
        phase_B11 = 6.28 * torch.rand(8, 1, 1, generator=torch.Generator().manual_seed(seed))
        return torch.sin(0.25 * torch.arange(60)[None, :, None] + phase_B11).expand(-1, -1, N_COLUMNS)

    torch.manual_seed(0)
    model, objective = EnhancedAccentEncoder(ModelConfig(**{**SIZES, "hidden": 16})), MaskedReconstruction()
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-3)
    valid_BT, rows_B = torch.ones(8, 60, dtype=torch.bool), torch.ones(8, dtype=torch.bool)

    def step(number: int) -> tuple[torch.Tensor, float]:
        hidden_BT = hidden_frames(valid_BT, row_keys(0, number, 0, 8, torch.device("cpu")), 0.4, 5)
        loss, report = objective(model(waves(number), valid_BT, hidden_BT=hidden_BT), hidden_BT, rows_B)
        return loss, float(report["explained"])

    assert step(1_000)[1] < 0.1
    for number in range(60):
        optimizer.zero_grad()
        step(number)[0].backward()
        optimizer.step()
    assert step(1_000)[1] > 0.5
