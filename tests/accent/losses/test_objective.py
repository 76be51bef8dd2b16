"""The objective, and the losses over single rows, against loops that follow their definitions.

Shapes: B rows, A accents, T frames, D columns.
"""

import dataclasses
import itertools
import math

import pytest
import torch
from torch import Tensor

from accent.configuration import load
from accent.errors import AccentError
from accent.losses import AccentObjective, LossConfig, join_rows, row_outputs
from accent.losses.reconstruction import reconstruction_loss
from accent.losses.speaker_adversary import AdversaryLoss
from accent.model import EncoderOutput
from tests.support.loss_rows import random_output

# --- reconstruction ---------------------------------------------------------------------------------


def test_reconstruction_loss_equals_its_definition_family_by_family() -> None:
    output, valid = random_output(4), [True, False, True, True]
    prediction, target, mask = output.reconstruction_BTD, output.target_BTD, output.target_mask_BTD
    sums, counts = [0.0, 0.0], [0, 0]
    for row, frame, column in itertools.product(range(4), range(6), range(3)):
        if valid[row] and mask[row, frame, column]:
            error = abs((prediction[row, frame, column] - target[row, frame, column]).item())
            sums[column // 2] += 0.5 * error**2 if error < 1 else error - 0.5
            counts[column // 2] += 1
    loss = reconstruction_loss(prediction, target, mask, output.family_D, 2, torch.tensor(valid))
    torch.testing.assert_close(loss.total, torch.tensor(sums, dtype=torch.float64), rtol=1e-12, atol=0)
    assert loss.counted.tolist() == counts


def test_a_family_of_many_columns_counts_no_more_than_one_of_few() -> None:
    def loss(wide_error: float, narrow_error: float) -> float:
        output = random_output(2)
        error_D = torch.tensor([wide_error] * 2 + [narrow_error], dtype=torch.float64)
        output = output._replace(
            reconstruction_BTD=output.target_BTD + error_D, target_mask_BTD=torch.ones_like(output.target_mask_BTD)
        )
        return objective_of(output, 2)[1]["reconstruction"].item()

    assert loss(1.0, 0.0) == pytest.approx(loss(0.0, 1.0)) == pytest.approx(0.25)


def test_a_family_that_is_nowhere_defined_does_not_dilute_the_mean() -> None:
    output = random_output(2)
    mask_BTD = torch.ones_like(output.target_mask_BTD)
    mask_BTD[..., 2] = False
    output = output._replace(reconstruction_BTD=output.target_BTD + 1.0, target_mask_BTD=mask_BTD)
    assert objective_of(output, 2)[1]["reconstruction"].item() == pytest.approx(0.5)


# --- objective --------------------------------------------------------------------------------------------------------


def objective_of(
    output: EncoderOutput, rows: int, config: LossConfig | None = None, valid: list[bool] | None = None
) -> tuple[Tensor, dict[str, Tensor], AccentObjective]:
    objective = AccentObjective(config).double()
    label_B = torch.arange(rows)
    valid_B = torch.tensor(valid if valid is not None else [True] * rows)
    total, report = objective(row_outputs(output, valid_B), label_B % 3, label_B, label_B, valid_B)
    return total, report, objective


def test_the_total_is_the_weighted_sum_of_the_means() -> None:
    config = LossConfig(contrastive=0.7, triplet=0.2, reconstruction=3.0, cross_entropy=1.1)
    total, report, _ = objective_of(random_output(9), 9, config)
    names = ("contrastive", "triplet", "reconstruction", "cross_entropy")
    expected = sum(getattr(config, name) * report[name].item() for name in names)
    assert total.item() == pytest.approx(expected, rel=1e-12)
    assert report["total"].item() == pytest.approx(expected, rel=1e-12)
    assert set(report) == {*names, "total", "accuracy", "triplet_active", "embedding_spread", "temperature"}
    assert all(value.dim() == 0 and not value.requires_grad for value in report.values())


def test_invalid_rows_change_nothing() -> None:
    output = random_output(9)
    total, report, objective = objective_of(output, 9)
    gradient = torch.autograd.grad(total, [output.embedding_BE, output.reconstruction_BTD, objective.log_temperature])

    noise = random_output(3, seed=9)
    longer = [torch.cat([a, b]) if len(a) == 9 else a for a, b in zip(output, noise, strict=True)]
    leaves = EncoderOutput(*(part.detach().requires_grad_(part.requires_grad) for part in longer))
    total_longer, report_longer, objective = objective_of(leaves, 12, valid=[True] * 9 + [False] * 3)
    found = torch.autograd.grad(
        total_longer, [leaves.embedding_BE, leaves.reconstruction_BTD, objective.log_temperature]
    )
    torch.testing.assert_close(total_longer, total, rtol=1e-12, atol=1e-14)
    for name, value in report.items():
        torch.testing.assert_close(report_longer[name], value, rtol=1e-12, atol=1e-14)
    for one, other in zip(found[:2], gradient[:2], strict=True):
        torch.testing.assert_close(one[:9], other, rtol=1e-12, atol=1e-14)
        assert (one[9:] == 0).all()
    torch.testing.assert_close(found[2], gradient[2], rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("head", ["softmax", "aam", "circle"])
@pytest.mark.parametrize("mining", ["batch_hard", "semi_hard"])
def test_invalid_rows_that_hold_nan_or_infinity_change_no_gradient(bad: float, head: str, mining: str) -> None:
    config = LossConfig(cross_entropy=1.0, head=head, mining=mining, adversary=0.3)
    speakers = {number: number % 3 for number in range(12)}

    def gradients(output: EncoderOutput, valid: list[bool]) -> list[Tensor]:
        torch.manual_seed(0)
        objective = AccentObjective(config, adversary=AdversaryLoss(5, speakers, 0.3)).double()
        label_B, valid_B = torch.arange(len(valid)), torch.tensor(valid)
        total, report = objective(row_outputs(output, valid_B), label_B % 3, label_B, label_B, valid_B)
        total.backward()
        assert all(value.isfinite() for value in report.values())
        leaves = [output.embedding_BE, output.accent_logits_BA, output.reconstruction_BTD]
        return [leaf.grad for leaf in leaves] + [weight.grad for weight in objective.parameters()]

    output = random_output(9)
    expected = gradients(output, [True] * 9)
    noise = random_output(3, seed=9)
    longer = [
        torch.cat([a, torch.full_like(b, bad) if b.is_floating_point() else b]) if len(a) == 9 else a
        for a, b in zip(output, noise, strict=True)
    ]
    leaves = EncoderOutput(*(part.detach().requires_grad_(part.requires_grad) for part in longer))
    found = gradients(leaves, [True] * 9 + [False] * 3)
    for number, (one, other) in enumerate(zip(found, expected, strict=True)):
        if number < 3:
            assert (one[9:] == 0).all()
            one = one[:9]
        torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("valid", [[False] * 4, [True, False, False, False]])
def test_a_batch_without_a_pair_has_zero_losses_and_zero_gradients_not_missing_ones(valid: list[bool]) -> None:
    output = random_output(4)
    total, report, objective = objective_of(output, 4, LossConfig(cross_entropy=0.0, reconstruction=0.0), valid)
    total.backward()
    assert total == report["contrastive"] == report["triplet"] == 0
    for leaf in (output.embedding_BE, output.accent_logits_BA, output.reconstruction_BTD, objective.log_temperature):
        assert leaf.grad is not None and (leaf.grad == 0).all()


@pytest.mark.parametrize("name", ["contrastive", "triplet", "reconstruction", "cross_entropy"])
def test_a_loss_of_weight_zero_is_reported_and_has_no_influence(name: str) -> None:
    output = random_output(9)
    total, report, objective = objective_of(output, 9, dataclasses.replace(LossConfig(), **{name: 0.0}))
    total.backward()
    assert report[name] > 0
    leaves = (output.embedding_BE, output.accent_logits_BA, output.reconstruction_BTD, objective.log_temperature)
    assert all(leaf.grad is not None for leaf in leaves)
    silent = {"contrastive": 3, "reconstruction": 2, "cross_entropy": 1}
    if name in silent:
        assert (leaves[silent[name]].grad == 0).all()


@pytest.mark.parametrize(
    "config",
    [LossConfig(), LossConfig(mining="semi_hard", head="aam"), LossConfig(head="circle", tile=2)],
    ids=["default", "semi-hard, aam", "circle, blocks"],
)
def test_autocast_changes_no_loss_and_no_gradient(config: LossConfig) -> None:
    def step(autocast: bool) -> list[Tensor]:
        output = random_output(9, dtype=torch.float32)
        with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
            total, report, objective = objective_of(output, 9, config)
            total.backward()
        leaves = (output.embedding_BE, output.accent_logits_BA, output.reconstruction_BTD, objective.log_temperature)
        return [*report.values(), *(leaf.grad for leaf in leaves)]  # type: ignore[list-item]

    for found, expected in zip(step(True), step(False), strict=True):
        torch.testing.assert_close(found, expected, rtol=0, atol=0)


def test_rows_encoded_in_chunks_and_joined_are_the_whole_batch() -> None:
    output, valid_B = random_output(9), torch.arange(9) != 4
    whole = row_outputs(output, valid_B)
    chunks = [slice(0, 4), slice(4, 5), slice(5, 9)]
    parts = [
        row_outputs(EncoderOutput(*(part[chunk] if len(part) == 9 else part for part in output)), valid_B[chunk])
        for chunk in chunks
    ]
    for found, expected in zip(join_rows(parts), whole, strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-12, atol=0)
    assert torch.equal(join_rows([whole]).embedding_BE, whole.embedding_BE)


def test_half_precision_outputs_are_summed_in_float32() -> None:
    output = random_output(9, dtype=torch.float32)
    halved = EncoderOutput(*(part.to(torch.bfloat16) if part.is_floating_point() else part for part in output))
    restored = EncoderOutput(*(part.float() if part.is_floating_point() else part for part in halved))
    label_B = torch.arange(9)
    found, exact = (
        AccentObjective()(row_outputs(given, label_B >= 0), label_B % 3, label_B, label_B, label_B >= 0)[1]
        for given in (halved, restored)
    )
    for name in ("contrastive", "triplet", "reconstruction", "cross_entropy"):
        assert found[name].dtype == torch.float32
        torch.testing.assert_close(found[name], exact[name])


def test_spread_tells_collapsed_embeddings_from_scattered_ones() -> None:
    output = random_output(300)
    assert objective_of(output, 300)[1]["embedding_spread"] > 0.95
    collapsed = output._replace(embedding_BE=output.embedding_BE[:1].expand(300, -1))
    assert objective_of(collapsed, 300)[1]["embedding_spread"].item() == pytest.approx(0, abs=1e-12)


# --- temperature and configuration ------------------------------------------------------------------------------------


def test_temperature_starts_as_configured_and_stays_within_its_limits() -> None:
    objective = AccentObjective(LossConfig(temperature=0.2, temperature_min=0.05, temperature_max=0.5)).double()
    assert objective.temperature().item() == pytest.approx(0.2)
    for given, expected in [(0.001, 0.05), (0.3, 0.3), (7.0, 0.5)]:
        assert objective.log_temperature.shape == (1,)
        objective.log_temperature.data.fill_(math.log(given))
        assert objective.temperature().item() == pytest.approx(expected)
        (gradient,) = torch.autograd.grad(objective.temperature(), objective.log_temperature)
        assert gradient.item() == pytest.approx(expected)  # so that it can come back from beyond a limit


def test_a_fixed_temperature_is_no_parameter_but_is_saved() -> None:
    objective = AccentObjective(LossConfig(learn_temperature=False))
    assert not list(objective.parameters())
    assert "log_temperature" in objective.state_dict()


@pytest.mark.parametrize(
    ("word", "key"),
    [
        ("contrastive=-1", "contrastive"),
        ("temperature=0", "temperature"),
        ("temperature=2", "temperature"),
        ("margin=2.5", "margin"),
        ("positives=same_speaker", "positives"),
        ("label_smoothing=1", "label_smoothing"),
        ("mining=hardest", "mining"),
        ("head=arcface", "head"),
        ("head_margin=1", "head_margin"),
        ("head_margin=-0.1", "head_margin"),
        ("tile=0", "tile"),
        ("same_prompt=perhaps", "same_prompt"),
        ("tempreature=0.1", "temperature"),
    ],
)
def test_an_impossible_value_is_refused_by_name(word: str, key: str) -> None:
    with pytest.raises(AccentError, match=key):
        load(LossConfig, overrides=[word])


def test_label_smoothing_that_the_head_would_ignore_is_refused() -> None:
    with pytest.raises(AccentError, match=r"label_smoothing: 0\.1 given; circle loss has none"):
        load(LossConfig, overrides=["head=circle", "label_smoothing=0.1"])
