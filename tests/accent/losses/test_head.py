"""The losses of the accent head against loops that follow their definitions, and against pytorch-metric-learning.

Shapes: B rows, A accents, E embedding, K cosines to try.
"""

import math
from collections.abc import Callable
from functools import partial

import pytest
import torch
import torch.nn.functional as F
from pytorch_metric_learning.losses import ArcFaceLoss
from torch import Tensor

from accent.losses import AccentObjective, LossConfig, row_outputs
from accent.losses.angular_margin import angular_margin_loss
from accent.losses.circle import circle_loss
from accent.losses.cross_entropy import cross_entropy_loss
from accent.losses.pairs import RowLoss
from accent.model.heads import AccentHead
from tests.support.loss_rows import random_output

SCALE, MARGIN = 16.0, 0.4
LABELS, VALID = torch.tensor([0, -1, 2, 1, 2, 0]), torch.tensor([True, False, True, True, True, True])
VALID_ROWS = (0, 2, 3, 4, 5)

HeadLoss = Callable[[Tensor, Tensor, Tensor], RowLoss]
LOSSES: dict[str, HeadLoss] = {
    "softmax": partial(cross_entropy_loss, label_smoothing=0.0),
    "aam": partial(angular_margin_loss, label_smoothing=0.0, scale=SCALE, margin=MARGIN),
    "circle": partial(circle_loss, scale=SCALE, margin=MARGIN),
}


def cosines(seed: int = 0) -> Tensor:
    """Of six rows to three accents; one row points away from its own accent by nearly pi, one exactly at another's."""
    cosine_BA = 2 * torch.rand(6, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(seed)) - 1
    cosine_BA[4, 2], cosine_BA[5, 1] = -0.97, 1.0
    return cosine_BA


def smoothed_cross_entropy(logits: list[float], label: int, smoothing: float) -> float:
    log_sum = math.log(sum(math.exp(logit) for logit in logits))
    shares = [(1 - smoothing) * (accent == label) + smoothing / len(logits) for accent in range(len(logits))]
    return -sum(share * (logit - log_sum) for share, logit in zip(shares, logits, strict=True))


def test_cross_entropy_equals_its_definition_and_never_reads_invalid_labels() -> None:
    logits_BA, smoothing = SCALE * cosines(), 0.2
    expected = sum(smoothed_cross_entropy(logits_BA[i].tolist(), int(LABELS[i]), smoothing) for i in VALID_ROWS)
    loss = cross_entropy_loss(logits_BA, LABELS, VALID, smoothing)
    assert loss.total.item() == pytest.approx(expected, rel=1e-12)
    assert loss.counted == len(VALID_ROWS)


@pytest.mark.parametrize("seed", range(3))
def test_angular_margin_loss_equals_its_definition(seed: int) -> None:
    cosine_BA, smoothing, expected, beyond = cosines(seed), 0.2, 0.0, 0
    for i in VALID_ROWS:
        row, label = cosine_BA[i].tolist(), int(LABELS[i])
        angle = math.acos(row[label]) + MARGIN
        beyond += angle > math.pi
        row[label] = math.cos(angle) if angle <= math.pi else row[label] - MARGIN * math.sin(MARGIN)
        expected += smoothed_cross_entropy([SCALE * cosine for cosine in row], label, smoothing)
    loss = angular_margin_loss(SCALE * cosine_BA, LABELS, VALID, smoothing, SCALE, MARGIN)
    assert loss.total.item() == pytest.approx(expected, rel=1e-12)
    assert loss.counted == len(VALID_ROWS) > beyond > 0


@pytest.mark.parametrize("seed", range(3))
def test_circle_loss_and_gradient_equal_their_definition(seed: int) -> None:
    cosine_BA = cosines(seed).requires_grad_()
    expected, gradient_BA = 0.0, torch.zeros_like(cosine_BA)
    for i in VALID_ROWS:
        row, own = cosine_BA[i].tolist(), int(LABELS[i])
        pull = max(0.0, 1 + MARGIN - row[own])
        push = {j: max(0.0, row[j] + MARGIN) for j in range(3) if j != own}
        terms = {j: math.exp(SCALE * (push[j] * (row[j] - MARGIN) - pull * (row[own] - (1 - MARGIN)))) for j in push}
        expected += math.log(1 + sum(terms.values()))
        # With constant weights, as the paper has it.
        for j, term in terms.items():
            share = SCALE * term / (1 + sum(terms.values()))
            gradient_BA[i, j] += push[j] * share
            gradient_BA[i, own] -= pull * share
    loss = circle_loss(SCALE * cosine_BA, LABELS, VALID, SCALE, MARGIN)
    assert loss.total.item() == pytest.approx(expected, rel=1e-12)
    assert loss.counted == len(VALID_ROWS)
    (found_BA,) = torch.autograd.grad(loss.total, cosine_BA)
    torch.testing.assert_close(found_BA, gradient_BA, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("name", ["softmax", "aam"])
def test_gradient_equals_finite_differences(name: str) -> None:
    logits_BA = (SCALE * cosines()).requires_grad_()
    assert torch.autograd.gradcheck(lambda given_BA: LOSSES[name](given_BA, LABELS, VALID).total, (logits_BA,))


def test_a_margin_of_zero_is_cross_entropy() -> None:
    logits_BA = SCALE * cosines()
    plain, angular = (
        cross_entropy_loss(logits_BA, LABELS, VALID, 0.1),
        angular_margin_loss(logits_BA, LABELS, VALID, 0.1, SCALE, 0.0),
    )
    torch.testing.assert_close(angular.total, plain.total, rtol=1e-12, atol=0)


@pytest.mark.parametrize("name", LOSSES)
def test_every_step_towards_the_own_direction_lowers_the_loss(name: str) -> None:
    own_K = torch.linspace(-1, 1, 401, dtype=torch.float64)
    logits_K12 = SCALE * torch.stack([own_K, torch.zeros_like(own_K)], dim=1).unsqueeze(1)
    losses_K = torch.stack([LOSSES[name](logits_12, torch.tensor([0]), VALID[:1]).total for logits_12 in logits_K12])
    assert (losses_K.diff() < 0).all()


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("cosine", [-1.0, 1.0, 1.0 + 1e-6])
def test_at_the_end_of_the_cosine_the_gradient_is_finite(name: str, cosine: float) -> None:
    logits_BA = (SCALE * torch.tensor([[cosine, 0.1, -cosine]])).requires_grad_()
    LOSSES[name](logits_BA, torch.tensor([0]), VALID[:1]).total.backward()
    assert logits_BA.grad is not None and logits_BA.grad.isfinite().all()


def test_angular_margin_loss_and_gradients_equal_those_of_pytorch_metric_learning() -> None:
    generator = torch.Generator().manual_seed(0)
    embedding_BE = F.normalize(torch.randn(30, 2, generator=generator, dtype=torch.float64), dim=1)
    label_B, valid_B = torch.randint(3, (30,), generator=generator), torch.ones(30, dtype=torch.bool)
    theirs = ArcFaceLoss(num_classes=3, embedding_size=2, margin=math.degrees(MARGIN), scale=SCALE).double()
    head = AccentHead(2, 3, SCALE).double()
    head.direction_AE.data.copy_(theirs.W.data.T)

    loss = angular_margin_loss(head(embedding_BE), label_B, valid_B, 0.0, SCALE, MARGIN)
    (loss.total / loss.counted).backward()
    expected = theirs(embedding_BE, label_B)
    expected.backward()
    cosine_B = (head(embedding_BE) / SCALE).gather(1, label_B[:, None])
    assert (cosine_B < -math.cos(MARGIN)).any() and (cosine_B > -math.cos(MARGIN)).any()
    torch.testing.assert_close(loss.total / loss.counted, expected, rtol=1e-12, atol=0)
    torch.testing.assert_close(head.direction_AE.grad, theirs.W.grad.T, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", LOSSES)
def test_the_objective_computes_the_head_that_is_configured(name: str) -> None:
    output, label_B = random_output(6), torch.tensor([0, 1, 2, 1, 2, 0])
    objective = AccentObjective(LossConfig(head=name, head_margin=MARGIN), SCALE)  # type: ignore[arg-type]
    _, report = objective(row_outputs(output, VALID), label_B, torch.arange(6), torch.arange(6), VALID)
    loss = LOSSES[name](output.accent_logits_BA, label_B, VALID)
    torch.testing.assert_close(report["cross_entropy"], (loss.total / loss.counted).detach(), rtol=1e-12, atol=0)
