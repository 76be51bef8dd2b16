"""One step of the engine for whole copies, on one process: clipping, accumulation, steps left out, the loss scale."""

import math
from typing import NamedTuple

import pytest
import torch
from torch import nn

from launch.run_config import OptimizerConfig, TrainingConfig
from launch.runtime.precision import LossScale
from launch.runtime.start import start_runtime
from launch.training.engines.data_parallel import DataParallelEngine
from launch.training.engines.engine import nan_if_not_finite
from launch.training.module import TrainingOutput
from launch.training.step_timer import StepTimer


class Rows(NamedTuple):
    """Stands for a batch."""

    x_BD: torch.Tensor


class Line(nn.Module):
    """The loss is the mean square of a linear map."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(4, 1, bias=False)

    def forward(self, rows: Rows) -> TrainingOutput:
        return TrainingOutput(self.linear(rows.x_BD).square().mean(), {}, torch.ones(1))


def make_engine(
    gradient_accumulation_steps: int = 1, precision: str = "no", grad_clip: float = 1e9, epsilon: float = 1.0
):
    # With so large an epsilon a step of AdamW is nearly proportional to the gradient.
    torch.manual_seed(0)
    optimizer = OptimizerConfig(grad_clip=grad_clip, epsilon=epsilon, weight_decay=0.0)
    training = TrainingConfig(optimizer=optimizer, gradient_accumulation_steps=gradient_accumulation_steps)
    return DataParallelEngine(Line(), training, start_runtime("cpu", precision), StepTimer())


def rows(seed: int, scale: float = 1.0) -> Rows:
    return Rows(scale * torch.randn(6, 4, generator=torch.Generator().manual_seed(seed)))


def weight(engine: DataParallelEngine) -> torch.Tensor:
    return engine.module.linear.weight.detach().clone()


def test_two_accumulated_batches_step_like_one_that_holds_both():
    both, whole = make_engine(gradient_accumulation_steps=2), make_engine()
    both.accumulate(rows(1), last=False)
    both.accumulate(rows(2), last=True)
    whole.accumulate(Rows(torch.cat([rows(1).x_BD, rows(2).x_BD])), last=True)
    assert both.step(0.1).gradient_norm == pytest.approx(whole.step(0.1).gradient_norm, rel=1e-6)
    assert torch.allclose(weight(both), weight(whole), rtol=1e-6)


@pytest.mark.parametrize("precision", ["no", "fp16"])
def test_the_gradient_is_clipped_unscaled(precision):
    engine = make_engine(precision=precision, grad_clip=0.5)
    engine.accumulate(rows(1, 3.0), last=True)
    scale = engine.loss_scale.value
    gradient = engine.module.linear.weight.grad / scale
    expected = weight(engine)
    stepped = engine.step(0.1)
    assert stepped.gradient_norm == pytest.approx(float(gradient.norm()), rel=1e-5)
    clipped = gradient * 0.5 / gradient.norm()
    # AdamW's first step: the mean over the root of the square, both corrected for their start.
    assert torch.allclose(weight(engine), expected - 0.1 * clipped / (clipped.abs() + 1.0), rtol=1e-4)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_step_that_is_not_finite_changes_nothing(bad):
    engine, other = make_engine(), make_engine()
    engine.accumulate(rows(1), last=True)
    other.accumulate(rows(1), last=True)
    engine.step(0.1), other.step(0.1)
    engine.accumulate(rows(2, bad), last=True)
    assert not engine.step(0.1).applied
    assert torch.equal(weight(engine), weight(other))
    # Nor do the moments know of it.
    engine.accumulate(rows(3), last=True)
    other.accumulate(rows(3), last=True)
    assert engine.step(0.1).applied and other.step(0.1).applied
    assert torch.equal(weight(engine), weight(other))


def test_an_infinite_loss_with_a_finite_gradient_is_left_out_too():
    x = torch.ones(1, requires_grad=True)
    loss = x.sum() + torch.inf
    assert torch.autograd.grad(loss, x)[0].isfinite()
    assert torch.autograd.grad(nan_if_not_finite(x.sum() + torch.inf), x)[0].isnan()
    assert torch.autograd.grad(nan_if_not_finite(3 * x.sum()), x)[0] == 3


def test_an_overflow_halves_the_scale_and_the_next_step_counts():
    engine = make_engine(precision="fp16")
    engine.accumulate(rows(1, math.inf), last=True)
    assert not engine.step(0.1).applied
    assert engine.loss_scale.value == LossScale.START / 2
    engine.accumulate(rows(1), last=True)
    assert engine.step(0.1).applied


def test_the_scale_doubles_after_two_thousand_good_steps_and_survives_a_checkpoint():
    scale = LossScale("fp16")
    for _ in range(1999):
        scale.update(overflowed=False)
    assert scale.value == LossScale.START
    again = LossScale("fp16")
    again.restore(scale.state())
    for one in (scale, again):
        one.update(overflowed=False)
        assert one.value == 2 * LossScale.START
    exact = LossScale("no")
    exact.restore(scale.state())
    exact.update(overflowed=True)
    assert exact.value == 1.0
    assert exact.state() is None
    fresh = LossScale("fp16")
    fresh.restore(exact.state())
    assert fresh.value == LossScale.START


def test_the_scale_of_the_global_batch_does_not_know_how_many_share_it():
    alone, one_of_four = LossScale("fp16"), LossScale("fp16", processes=4)
    assert one_of_four.value == alone.value == 4 * one_of_four.factor
    assert LossScale("bf16", processes=4).factor == 1.0


def test_the_clock_adds_parts_up_and_begins_anew():
    clock = StepTimer()
    for _ in range(2):
        with clock.part("forward"):
            pass
    clock.add("data_wait", 1.5)
    clock.add("data_wait", 1.0)
    parts = clock.take()
    assert parts["data_wait"] == 2.5 and 0 < parts["forward"] < 1
    assert clock.take() == {}
