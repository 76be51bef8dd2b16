"""Copies of the model that differ are noticed, named, and end the run; equal ones are not."""

import json

import pytest
import torch
from torch import nn

from launch.run_config import write_config
from launch.training.engines.data_parallel import DataParallelEngine
from launch.training.health.replicas import NUMBERS, checksum, differs
from tests.support.training.ranks import Ranks
from tests.support.training.small_runs import small_config


def numbers(module: nn.Module) -> list[float]:
    """What one process would send of its weights, and what the highest over equal processes is."""
    own = checksum(module)
    return torch.stack([*own, *-own]).float().tolist()


def module() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(5, 7), nn.Linear(7, 3))


@pytest.mark.parametrize("place", [(0, 0, 0), (0, 6, 4), (1, 2, 6)])
@pytest.mark.parametrize("bit", [0, 11, 22, 30, 31])
def test_any_flipped_bit_is_noticed(place, bit):
    good, bad = module(), module()
    layer, row, column = place
    with torch.no_grad():
        bits = bad[layer].weight.view(torch.int32)
        flip = torch.tensor(1 << bit, dtype=torch.int64).to(torch.int32) if bit < 31 else torch.tensor(-(1 << 31))
        bits[row, column] ^= flip.to(torch.int32)
    assert not differs(numbers(good))
    highest = [max(pair) for pair in zip(numbers(good), numbers(bad), strict=True)]
    assert differs(highest) and len(highest) == 2 * NUMBERS


def test_weights_that_change_places_are_noticed():
    good, bad = module(), module()
    with torch.no_grad():
        bad[0].weight[[0, 1]] = bad[0].weight[[1, 0]]
    assert differs([max(pair) for pair in zip(numbers(good), numbers(bad), strict=True)])


def test_what_is_sent_is_exact_in_float32():
    own = checksum(module())
    assert own.tolist() == [int(number) for number in own.float().tolist()] and own.max() < 1 << 24


def _one_weight_of_process_1_flips(rank: int) -> None:
    genuine, steps = DataParallelEngine.step, []

    def step(engine, lr):
        result = genuine(engine, lr)
        steps.append(0)
        if rank == 1 and len(steps) == 6:
            with torch.no_grad():
                next(engine.module.parameters()).view(-1)[0] += 1e-6
        return result

    DataParallelEngine.step = step


def test_a_process_with_other_weights_ends_the_run_and_is_named(shards, tmp_path):
    config = tmp_path / "run.yaml"
    write_config(small_config(tmp_path / "run", shards, "monitor.compare_weights_every_steps=4"), config)
    with Ranks([str(config)], tmp_path / "printed", sabotage=_one_weight_of_process_1_flips) as ranks:
        assert ranks.wait() == [2, 2], ranks.printed()
    (line,) = [line for line in ranks.printed(0).splitlines() if line.startswith("accent: ")]
    named = f"accent: after step 8: process 1 (pid {ranks.processes[1].pid} on "
    assert line.startswith(named) and "(they were equal after step 4)" in line
    # No fault of the user's: the job may come back.
    health = json.loads((tmp_path / "run" / "health.json").read_text())
    assert (health["state"], health["restart"]) == ("failed", True)
