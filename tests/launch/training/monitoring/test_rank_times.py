"""Times by process, where processes differ."""

import pytest
import torch

from launch.run_config import write_config
from launch.training.monitoring.rank_times import Spent, spent_curves
from tests.support.training.ranks import Ranks, slow_loader_of_rank_1
from tests.support.training.small_runs import small_config


def spent(seconds_RP):
    return Spent(("backward", "forward"), torch.tensor(seconds_RP), torch.tensor([1.0, 3.0]), torch.zeros(2))


def test_only_a_part_in_which_processes_differ_is_shown_by_process():
    curves = spent_curves(spent([[0.40, 0.200], [0.41, 0.400]]), steps=2)
    assert {name for name in curves if name.startswith("ranks/")} == {
        "ranks/forward_ms_fastest",
        "ranks/forward_ms_slowest",
        "ranks/forward_slowest_rank",
    }
    assert curves["ranks/forward_ms_fastest"] == pytest.approx(100)
    assert curves["ranks/forward_ms_slowest"] == pytest.approx(200)
    assert curves["ranks/forward_slowest_rank"] == 1
    assert curves["time/backward_ms"] == pytest.approx(200)
    assert curves["memory/process_gib"] == 3
    assert "memory/gpu_peak_gib" not in curves


def test_microseconds_are_no_difference():
    assert not any(name.startswith("ranks/") for name in spent_curves(spent([[1e-5, 2e-5], [3e-5, 4e-5]]), steps=1))


def test_of_two_processes_the_one_that_waits_for_data_is_named(shards, tmp_path, read_curves):
    config = tmp_path / "run.yaml"
    write_config(small_config(tmp_path / "run", shards, "epochs=2"), config)
    with Ranks([str(config)], tmp_path / "printed", sabotage=slow_loader_of_rank_1) as ranks:
        assert ranks.wait() == [0, 0], ranks.printed()
    curves = read_curves(tmp_path / "run")
    assert {point.value for point in curves.Scalars("ranks/data_wait_slowest_rank")} == {1.0}
    assert min(point.value for point in curves.Scalars("ranks/data_wait_ms_slowest")) > 25
