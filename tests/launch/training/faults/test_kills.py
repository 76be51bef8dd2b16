"""A process is killed, or ends by a fault of its own: the run resumes bit for bit, and the others say who is gone."""

import random
import signal
import time

import pytest
import torch

from accent.losses import AccentObjective
from tests.support.training.small_runs import assert_same_weights
from tests.support.training.two_processes import LONG, saved_steps, started


@pytest.mark.parametrize(("kills", "epochs"), [(2, 20), pytest.param(10, 30, marks=pytest.mark.slow)])
def test_a_run_killed_at_random_ends_bit_for_bit_as_if_it_never_was(shards, tmp_path, kills, epochs):
    words = (*LONG, f"epochs={epochs}", f"validate_every_epochs={epochs}")
    with started(tmp_path / "whole", shards, *words) as ranks:
        assert ranks.wait() == [0, 0], ranks.printed()
    chance = random.Random(0)
    run = tmp_path / "run"
    for kill in range(kills):
        with started(tmp_path, shards, *words) as ranks:
            for _ in range(chance.randint(1, 3)):
                before = saved_steps(run)
                end = time.monotonic() + 120
                while saved_steps(run) == before:
                    assert time.monotonic() < end, ranks.printed()
                    time.sleep(0.002)
            time.sleep(chance.uniform(0, 0.05))
            # Now and then one process alone: the other finds out by itself.
            ranks.kill(*([1] if kill % 4 == 1 else []))
            statuses = ranks.wait()
            assert -signal.SIGKILL in statuses, "the run was over before it was killed"
    assert saved_steps(run)[-1] < f"step_{3 * epochs:08d}"
    with started(tmp_path, shards, *words) as ranks:
        assert ranks.wait() == [0, 0], ranks.printed()
        assert "resuming at step" in ranks.printed(0)
    assert_same_weights(run, tmp_path / "whole" / "run")


def test_a_process_that_is_killed_ends_the_others_which_name_it(shards, tmp_path):
    with started(tmp_path, shards, *LONG) as ranks:
        ranks.wait_for("step 4/60")
        killed = ranks.processes[1].pid
        ranks.kill(1)
        # Long before gloo's own limit, `timeout_minutes`.
        assert ranks.wait() == [1, -signal.SIGKILL]
        line = ranks.printed(0).splitlines()[-1]
        assert line.startswith(f"accent: process 0: lost process 1 (pid {killed} on ")
        assert line.endswith("rerun the same command to resume from its newest checkpoint")


def _out_of_memory_on_process_1(rank: int) -> None:
    genuine, calls = AccentObjective.forward, []

    def forward(objective, *arguments):
        calls.append(0)
        if rank == 1 and len(calls) == 4:
            raise torch.OutOfMemoryError("no memory for 2 GiB")
        return genuine(objective, *arguments)

    AccentObjective.forward = forward


def test_a_fault_of_one_process_keeps_its_traceback_and_the_others_name_that_process(shards, tmp_path):
    with started(tmp_path, shards, sabotage=_out_of_memory_on_process_1) as ranks:
        assert ranks.wait() == [1, 1]
        assert "OutOfMemoryError: no memory for 2 GiB" in ranks.printed(1)
        assert "lost process" not in ranks.printed(1)
        assert "accent: process 0: lost process 1 (pid " in ranks.printed(0)
