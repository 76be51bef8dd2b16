"""The loss of phone heads, against loops in float64."""

import math

import pytest
import torch

from accent.losses.phones.cross_entropy import LABEL_SMOOTHING, PHONE, THIRD, UNIT, phone_cross_entropy
from accent.losses.phones.objective import PhoneObjective
from accent.model.phonetic.phone_head import PhoneLogits

PHONE_U = torch.tensor([0, 1, 1, 2])


def random_logits(rows: int, frames: int) -> tuple[PhoneLogits, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    unit = torch.randn(rows, frames, 4, generator=generator, dtype=torch.float64, requires_grad=True)
    third = torch.randn(rows, frames, 3, generator=generator, dtype=torch.float64, requires_grad=True)
    return PhoneLogits(unit, third), torch.randint(-3, 12, (rows, frames), generator=generator)


def by_loops(logits: PhoneLogits, state_BT: torch.Tensor) -> float:
    total = 0.0
    for row in range(state_BT.shape[0]):
        for t in range(state_BT.shape[1]):
            state = int(state_BT[row, t])
            if state < 0:
                continue
            unit = [math.exp(value) for value in logits.unit_BTU[row, t].tolist()]
            third = [math.exp(value) for value in logits.third_BT3[row, t].tolist()]
            logs = [math.log(value / sum(unit)) for value in unit]
            total -= UNIT * ((1 - LABEL_SMOOTHING) * logs[state // 3] + LABEL_SMOOTHING * sum(logs) / len(logs))
            same = [u for u in range(4) if PHONE_U[u] == PHONE_U[state // 3]]
            total -= PHONE * math.log(sum(unit[u] for u in same) / sum(unit))
            total -= THIRD * math.log(third[state % 3] / sum(third))
    return total


def test_it_is_the_sum_over_labelled_frames():
    logits, state_BT = random_logits(3, 7)
    loss = phone_cross_entropy(logits, state_BT, PHONE_U)
    assert loss.total.item() == pytest.approx(by_loops(logits, state_BT), rel=1e-9)
    assert loss.counted == (state_BT >= 0).sum()


def test_without_a_label_it_is_zero_and_still_has_a_gradient():
    logits, state_BT = random_logits(2, 5)
    loss = phone_cross_entropy(logits, torch.full_like(state_BT, -1), PHONE_U)
    loss.total.backward()
    assert loss.total == 0 and loss.counted == 0
    assert logits.unit_BTU.grad is not None and logits.unit_BTU.grad.abs().max() == 0


def test_frames_without_a_label_change_no_gradient_where_they_hold_nan():
    logits, state_BT = random_logits(3, 7)
    state_BT[2] = -1
    phone_cross_entropy(logits, state_BT, PHONE_U).total.backward()
    with torch.no_grad():
        spoilt = PhoneLogits(*(torch.where((state_BT >= 0)[..., None], one, math.nan) for one in logits))
    for one in spoilt:
        one.requires_grad_()
    phone_cross_entropy(spoilt, state_BT, PHONE_U).total.backward()
    for one, other in zip(spoilt, logits, strict=True):
        assert torch.equal(one.grad, other.grad)


def test_the_objective_is_the_mean_over_heads_of_the_mean_over_frames():
    heads = [random_logits(2, 5), random_logits(1, 9)]
    total, report = PhoneObjective()(heads, PHONE_U)
    means = [by_loops(*one) / int((one[1] >= 0).sum()) for one in heads]
    assert total.item() == pytest.approx(sum(means) / 2, rel=1e-9)
    assert report["total"].item() == pytest.approx(total.item())


def test_a_head_without_rows_leaves_the_other_its_whole_weight():
    logits, state_BT = random_logits(2, 5)
    empty, _ = random_logits(1, 5)
    total, _ = PhoneObjective()([(logits, state_BT), (empty, torch.full((1, 5), -1))], PHONE_U)
    assert total.item() == pytest.approx(by_loops(logits, state_BT) / int((state_BT >= 0).sum()), rel=1e-9)
