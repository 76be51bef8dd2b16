"""The health file of runs that end in every way, and the warnings of a process that stays behind or hangs."""

import json
import signal
import threading
import time

import pytest
import torch

from accent.errors import AccentError
from launch.run_config import write_config
from launch.runtime.signals import Interrupted
from launch.training.health import pace, watch
from launch.training.health.rank_lag import POINTS, REPEAT_SECONDS, Stragglers, lag_of_ranks
from launch.training.health.stacks import place_of
from launch.training.run import train_run
from shards.loading.loader import TrainingLoader
from tests.support.training.ranks import Ranks, slow_loader_of_rank_1
from tests.support.training.small_runs import at_step, small_config


def health_of(run):
    return json.loads((run / "health.json").read_text())


def test_a_finished_run_says_so_with_its_figures(shards, tmp_path):
    train_run(small_config(tmp_path / "run", shards))
    health = health_of(tmp_path / "run")
    assert (health["state"], health["line"], health["step"], health["total_steps"]) == ("finished", None, 18, 18)
    assert health["checkpoint"]["step"] == 18
    assert health["rows_per_second"] == pytest.approx(12 * health["steps_per_second"], rel=1e-4)
    assert 0 <= health["data_wait_share"] <= 1 and health["loss"] > 0
    assert len(health["process_gib"]) == 1 and health["process_gib"][0] > 0.05
    assert health["lag_seconds"] is None and health["gpu_peak_gib"] is None
    assert not (tmp_path / "run" / "stacks" / "rank_0.txt").exists()


def test_the_file_is_written_while_the_run_is_at_work(shards, tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr(watch, "TICK_SECONDS", 0.005)

    def look() -> None:
        end = time.monotonic() + 60
        while (health := health_of(tmp_path / "run"))["step"] < 10:
            assert time.monotonic() < end
            time.sleep(0.005)
        seen.append(health)

    at_step(monkeypatch, 12, look)
    train_run(small_config(tmp_path / "run", shards, "monitor.health_seconds=0.01"))
    assert seen[0]["state"] == "running" and seen[0]["checkpoint"]["step"] in (5, 6, 10)


def _told(number):
    def tell() -> None:
        signal.raise_signal(number)

    return tell


def _refused() -> None:
    raise AccentError("a sample is damaged")


def _failed() -> None:
    raise torch.OutOfMemoryError("no memory for 2 GiB\nand more")


@pytest.mark.parametrize(
    ("what", "raised", "state", "line", "restart"),
    [
        (_told(signal.SIGTERM), Interrupted, "preempted", "stopped by SIGTERM after step", True),
        (_told(signal.SIGINT), Interrupted, "interrupted", "stopped by Ctrl-C after step", False),
        (_refused, AccentError, "failed", "a sample is damaged", False),
        (_failed, torch.OutOfMemoryError, "failed", "OutOfMemoryError: no memory for 2 GiB", True),
    ],
)
def test_the_end_of_a_run_is_one_line_and_whether_it_may_go_on(
    shards, tmp_path, monkeypatch, what, raised, state, line, restart
):
    at_step(monkeypatch, 7, what)
    with pytest.raises(raised):
        train_run(small_config(tmp_path / "run", shards))
    health = health_of(tmp_path / "run")
    assert (health["state"], health["restart"]) == (state, restart)
    assert health["line"].startswith(line) and "\n" not in health["line"]
    assert threading.active_count() == 1 or all(thread.name != "watch" for thread in threading.enumerate())


def test_a_step_has_stalled_after_many_times_the_usual_and_not_in_a_rest():
    clock = [0.0]
    steps = pace.Pace(lambda: clock[0])
    for _ in range(pace.FEWEST_STEPS + 1):
        clock[0] += 5.0
        assert not steps.stalled
        steps.step_done()
    clock[0] += 49.0
    assert not steps.stalled and steps.running_seconds == 49
    clock[0] += 2.0
    assert steps.stalled and steps.usual_seconds == 5
    steps.rest()
    assert not steps.stalled
    clock[0] += 1000.0
    steps.go_on()
    clock[0] += 5.0
    steps.step_done()
    assert steps.steps_per_second == pytest.approx(0.2)


def test_a_straggler_is_named_once_it_has_stayed_behind_and_again_only_later():
    stragglers, behind = Stragglers(), torch.tensor([0.0, 0.0, 0.5])
    told = [stragglers.look(behind, 1.0, float(second)) for second in range(POINTS + 3)]
    assert told == [None] * (POINTS - 1) + [(2, 0.5)] + [None] * 3
    assert stragglers.look(behind, 1.0, REPEAT_SECONDS + POINTS) == (2, 0.5)
    # Once it has kept up, or another is behind, counting begins anew.
    assert stragglers.look(torch.zeros(3), 1.0, 9e3) is None
    assert [stragglers.look(torch.tensor([0.4, 0.0, 0.0]), 1.0, 9e3) for _ in range(POINTS)][-1] == (
        0,
        pytest.approx(0.4),
    )
    assert stragglers.look(torch.tensor([0.1, 0.0, 0.0]), 1.0, 9e9) is None


def test_under_zero_3_the_forward_pass_says_nothing_of_a_process():
    parts, seconds_RP = ("data_wait", "forward"), torch.tensor([[0.0, 9.0], [0.0, 1.0], [2.0, 1.0]])
    assert lag_of_ranks(parts, seconds_RP, 2, 0).tolist() == [3.0, -1.0, 0.0]
    assert lag_of_ranks(parts, seconds_RP, 2, 3).tolist() == [0.0, 0.0, 1.0]


def test_a_place_is_the_innermost_line_of_this_program():
    assert place_of(threading.get_ident()).startswith("launch/training/health/stacks.py:")
    assert place_of(-1) == "outside this program"


def test_of_two_processes_the_slower_is_named_with_its_lag(shards, tmp_path):
    config = tmp_path / "run.yaml"
    write_config(small_config(tmp_path / "run", shards, "epochs=4"), config)
    with Ranks([str(config)], tmp_path / "printed", sabotage=slow_loader_of_rank_1) as ranks:
        assert ranks.wait() == [0, 0], ranks.printed()
    pid = ranks.processes[1].pid
    (line,) = [line for line in ranks.printed(0).splitlines() if line.startswith("warning: ")]
    assert f": process 1 (pid {pid} on " in line and "ms a step longer than the others" in line
    fastest, slowest = health_of(tmp_path / "run")["lag_seconds"]
    assert fastest == 0 and slowest > 0.05


def _hanging_rank_1(rank: int) -> None:
    watch.TICK_SECONDS, pace.FEWEST_STEPS, pace.LEAST_STALL_SECONDS = 0.05, 5, 0.5
    genuine = TrainingLoader.steps

    def steps(loader, first, last):
        for number, batch in zip(range(first, last), genuine(loader, first, last), strict=True):
            if rank == 1 and number == 12:
                time.sleep(60)
            yield batch

    TrainingLoader.steps = steps


def test_a_process_that_hangs_is_named_and_all_stacks_are_written_before_the_time_out(shards, tmp_path):
    config = tmp_path / "run.yaml"
    words = ("timeout_minutes=0.08", "epochs=60", "validate_every_epochs=60", "checkpoints.every_steps=1000")
    write_config(small_config(tmp_path / "run", shards, *words), config)
    with Ranks([str(config)], tmp_path / "printed", sabotage=_hanging_rank_1) as ranks:
        ranks.processes[0].join(60)
        assert ranks.processes[0].exitcode == 1, ranks.printed()
    (line,) = [line for line in ranks.printed(0).splitlines() if line.startswith("warning: step ")]
    assert "process 1 is at launch/training/fetch.py:" in line
    assert "process 0 is at launch/runtime/agreement.py:" in line
    assert line.endswith(f"stacks of all threads: {tmp_path / 'run' / 'stacks'}")
    for rank, function in ((0, "all_reduce_max"), (1, "fetch")):
        written = (tmp_path / "run" / "stacks" / f"rank_{rank}.txt").read_text()
        assert "has taken" in written and "Timeout (" in written
        assert function in written.split("Timeout (")[1]
    health = health_of(tmp_path / "run")
    assert (health["state"], health["restart"], health["step"]) == ("failed", True, 11)
