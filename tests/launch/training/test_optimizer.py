import pytest
import torch
from torch import nn

from accent.losses.config import LossConfig
from accent.losses.objective import AccentObjective
from accent.model.config import ModelConfig
from accent.model.encoder import EnhancedAccentEncoder
from launch.run_config import OptimizerConfig
from launch.training.module import TrainingModule
from launch.training.optimizer import learning_rate, parameter_groups


def test_the_learning_rate_is_that_of_torchs_warm_up_and_cosine():
    config = OptimizerConfig(lr=0.3, final_lr=0.01, warmup_steps=10)
    total = 100
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=config.lr)
    warm_up = torch.optim.lr_scheduler.LinearLR(optimizer, 1 / 11, 1.0, total_iters=10)
    cosine = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, total - 1 - 10, eta_min=config.final_lr)
    torchs = torch.optim.lr_scheduler.SequentialLR(optimizer, [warm_up, cosine], [10])
    for step in range(total):
        assert learning_rate(step, total, config) == pytest.approx(optimizer.param_groups[0]["lr"], rel=1e-9), step
        optimizer.step()
        torchs.step()


def test_the_learning_rate_rises_to_its_highest_and_ends_at_its_last():
    config = OptimizerConfig(lr=1.0, final_lr=0.1, warmup_steps=20)
    rates = [learning_rate(step, 200, config) for step in range(200)]
    assert rates[20] == max(rates) == 1.0
    assert rates[:21] == sorted(rates[:21])
    assert rates[20:] == sorted(rates[20:], reverse=True)
    assert rates[0] > 0
    assert rates[-1] == pytest.approx(0.1)


@pytest.mark.parametrize("total", [1, 2, 3, 7])
def test_a_run_shorter_than_its_warm_up_still_learns(total):
    config = OptimizerConfig(lr=1.0, final_lr=0.1, warmup_steps=1000)
    rates = [learning_rate(step, total, config) for step in range(total)]
    assert max(rates) == 1.0
    assert all(0.1 <= rate <= 1.0 for rate in rates)


def test_the_rate_past_the_last_step_stays_at_the_floor():
    assert learning_rate(500, 200, OptimizerConfig(lr=1.0, final_lr=0.1)) == pytest.approx(0.1)


def test_every_parameter_is_in_one_group_and_only_matrices_decay():
    module = TrainingModule(EnhancedAccentEncoder(ModelConfig.from_preset("tiny")), AccentObjective(LossConfig()))
    decayed, free, fusion = parameter_groups([module], 0.05, fusion_lr_factor=3.0)
    assert (decayed["weight_decay"], free["weight_decay"], fusion["weight_decay"]) == (0.05, 0.0, 0.0)
    assert (decayed["lr_factor"], free["lr_factor"], fusion["lr_factor"]) == (1.0, 1.0, 3.0)
    assert [id(parameter) for parameter in fusion["params"]] == [id(module.encoder.fusion.logits_F)]
    groups = [id(parameter) for group in (decayed, free, fusion) for parameter in group["params"]]
    assert sorted(groups) == sorted(id(parameter) for parameter in module.parameters())

    never = {id(parameter) for group in (free, fusion) for parameter in group["params"]}
    names = {name for name, parameter in module.named_parameters() if id(parameter) in never}
    assert {"objective.log_temperature", "encoder.fusion.logits_F"} <= names
    for owner in module.modules():
        if isinstance(owner, nn.LayerNorm | nn.GroupNorm):
            assert all(id(parameter) in never for parameter in owner.parameters())
        bias = getattr(owner, "bias", None)
        assert bias is None or id(bias) in never
        if isinstance(owner, nn.Linear | nn.Conv1d):
            assert id(owner.weight) not in never


def test_a_frozen_parameter_is_in_no_group():
    module = nn.Linear(2, 2)
    module.bias.requires_grad = False
    assert [len(group["params"]) for group in parameter_groups([module], 0.1)] == [1]
