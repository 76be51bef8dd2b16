"""A loss that is not finite changes no weights, on any process."""

import math

import pytest
import torch

from accent import EnhancedAccentEncoder, ModelConfig
from accent.errors import AccentError
from accent.losses import AccentObjective
from launch import train_accent_encoder
from tests.support.training.small_runs import last_weights, small_loaders
from tests.support.training.two_processes import started


def test_a_loss_that_is_not_finite_stops_before_the_weights_change(shards, tmp_path, monkeypatch):
    genuine, calls = AccentObjective.forward, []
    model = EnhancedAccentEncoder(ModelConfig.from_preset("tiny"))
    weights: dict[str, torch.Tensor] = {}

    def poisoned(objective: AccentObjective, *arguments: object) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        calls.append(0)
        total, losses = genuine(objective, *arguments)
        if len(calls) == 4:
            weights.update({name: value.clone() for name, value in model.state_dict().items()})
            total = total * math.nan
        return total, losses

    monkeypatch.setattr(AccentObjective, "forward", poisoned)
    with pytest.raises(AccentError, match=r"step 4: the loss is not finite, nothing was updated.*optimizer\.lr"):
        train_accent_encoder(model, small_loaders(shards)[0], None, num_epochs=3, device="cpu", run=tmp_path / "run")
    assert weights
    assert all(torch.equal(value, weights[name]) for name, value in model.state_dict().items())


def _not_a_number_on_process_1(rank: int) -> None:
    genuine, calls = AccentObjective.forward, []

    def forward(objective, *arguments):
        total, losses = genuine(objective, *arguments)
        # The first call fixes DDP's buckets, or is the first step of ZeRO.
        calls.append(0)
        return (total * torch.nan if rank == 1 and len(calls) == 6 else total), losses

    AccentObjective.forward = forward


@pytest.mark.parametrize("zero_stage", [0, pytest.param(3, marks=pytest.mark.slow)])
def test_a_loss_that_is_not_finite_on_one_process_stops_all_before_an_update(shards, tmp_path, zero_stage):
    with started(tmp_path, shards, zero_stage=zero_stage, sabotage=_not_a_number_on_process_1) as ranks:
        assert ranks.wait() == [2, 2], ranks.printed()
        step = 6 if zero_stage else 5
        assert f"step {step}: the loss is not finite, nothing was updated" in ranks.printed(0)
    # Step 5 was saved: what is on the disk is good, and the run resumes from there.
    with started(tmp_path, shards, zero_stage=zero_stage) as ranks:
        assert ranks.wait() == [0, 0], ranks.printed()
        assert ("resuming at step 5" in ranks.printed(0)) == bool(zero_stage)


@pytest.mark.parametrize("zero_stage", [pytest.param(0, marks=pytest.mark.slow), 2])
def test_a_loss_that_is_not_finite_on_one_process_is_left_out_on_all(shards, tmp_path, zero_stage):
    options = {"zero_stage": zero_stage, "sabotage": _not_a_number_on_process_1}
    with started(tmp_path, shards, "not_finite=skip", **options) as ranks:
        assert ranks.wait() == [0, 0], ranks.printed()
        assert "1 of 2 steps not finite, left out" in ranks.printed(0)
    assert all(value.isfinite().all() for value in last_weights(tmp_path / "run").values())
