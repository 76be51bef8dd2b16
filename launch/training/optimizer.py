"""The learning rate as a pure function of the global step, and which parameters decay.

Nothing here has a state: a resumed run, or one on another number of processes, has the same learning rate at the same
step.  Cost: one cosine a step.
"""

import math
from collections.abc import Iterable
from typing import Any

import torch
from torch import nn

from launch.run_config import OptimizerConfig


def learning_rate(step: int, total_steps: int, config: OptimizerConfig) -> float:
    """Return the learning rate of one step: linear warm-up, then half a cosine from `lr` to `final_lr`.

    Args:
        step: number of the step, 0 for the first.
        total_steps: steps in the whole run.
        config: highest and last rate, steps of warm-up (cut to half the run if it is longer).

    Returns:
        The learning rate the optimizer takes at this step.

    Reference:
        Loshchilov and Hutter (2017), SGDR: Stochastic Gradient Descent with Warm Restarts, equation 5, one cycle.
    """
    warmup = min(config.warmup_steps, total_steps // 2)
    if step < warmup:
        return config.lr * (step + 1) / (warmup + 1)
    through = min(1.0, (step - warmup) / max(1, total_steps - 1 - warmup))
    return config.final_lr + (config.lr - config.final_lr) * 0.5 * (1.0 + math.cos(math.pi * through))


FUSION = ("fusion.logits_F", "fusion_logits_V")
"""How the names of the fusion weights end, in either kind of encoder."""


def parameter_groups(
    modules: Iterable[nn.Module], weight_decay: float, fusion_lr_factor: float = 1.0
) -> list[dict[str, Any]]:
    """Sort the parameters into decayed weight matrices and the rest.

    Args:
        modules: modules whose trainable parameters are optimised; a shared parameter is taken once.
        weight_decay: decay of the first group.

        fusion_lr_factor: factor of the learning rate for fusion weights.

    Returns:
        Three groups for a torch optimizer: matrices and kernels with decay; every parameter of fewer than two
        dimensions (norms, biases, the temperature) without; the fusion weights, without decay and with a learning rate
        of their own, `lr_factor` times that of the others.
    """
    decayed: dict[int, nn.Parameter] = {}
    free: dict[int, nn.Parameter] = {}
    fusion: dict[int, nn.Parameter] = {}
    for module in modules:
        for name, parameter in module.named_parameters():
            if parameter.requires_grad:
                group = fusion if name.endswith(FUSION) else free if parameter.ndim < 2 else decayed
                group[id(parameter)] = parameter
    groups = [
        {"params": list(decayed.values()), "weight_decay": weight_decay, "lr_factor": 1.0},
        {"params": list(free.values()), "weight_decay": 0.0, "lr_factor": 1.0},
        {"params": list(fusion.values()), "weight_decay": 0.0, "lr_factor": fusion_lr_factor},
    ]
    return [group for group in groups if group["params"]]


def build_optimizer(module: nn.Module, config: OptimizerConfig) -> torch.optim.AdamW:
    """Return AdamW over a module's parameters, those of fewer than two dimensions without decay.

    Fused, one kernel for many parameters: half the optimizer's time, on a CPU too.

    Args:
        module: what is optimised.
        config: rates and decays.
    """
    return torch.optim.AdamW(
        parameter_groups([module], config.weight_decay, config.fusion_lr_factor),
        lr=config.lr,
        betas=(config.betas[0], config.betas[1]),
        eps=config.epsilon,
        fused=True,
    )


def set_learning_rate(optimizer: torch.optim.Optimizer, lr: float) -> None:
    """Set the learning rate of every group: `lr` times its factor."""
    for group in optimizer.param_groups:
        group["lr"] = lr * group.get("lr_factor", 1.0)
