"""What a cluster does to a run: kills, signals, numbers that are none, disks that refuse.  On real processes."""

import random
import signal
import time
from pathlib import Path

import pytest
import torch

from accent.errors import AccentError
from accent.losses import AccentObjective
from launch.run_config import write_config
from launch.training.engines import data_parallel
from shards.loading.loader import EvaluationLoader, TrainingLoader
from tests.support.ranks import Ranks
from tests.support.small_runs import assert_same_weights, last_weights, launch_several, small_config

LONG = ("epochs=30", "validate_every_epochs=30", "checkpoints.every_steps=2", "monitor.every_steps=1")
"""Ninety steps, with dropout."""


@pytest.fixture(scope="module")
def uninterrupted(shards: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of ninety steps on two processes."""
    folder = tmp_path_factory.mktemp("uninterrupted")
    with started(folder, shards, *LONG) as ranks:
        assert ranks.wait() == [0, 0], ranks.printed()
    return folder / "run"


def started(folder: Path, shards: Path, *words: str, **options) -> Ranks:
    """A run of two processes, in `folder/run`; started again, it goes on."""
    config = folder / "run.yaml"
    write_config(small_config(folder / "run", shards, "monitor.line_seconds=1e-6", *words), config)
    return Ranks([str(config)], folder / "printed", **options)


def saved_steps(run: Path) -> list[str]:
    return sorted(path.name for path in (run / "checkpoints").glob("step_*"))


# --- kills ------------------------------------------------------------------------------------------------------------


def test_a_run_killed_ten_times_at_random_ends_bit_for_bit_as_if_it_never_was(shards, uninterrupted, tmp_path):
    chance = random.Random(0)
    run = tmp_path / "run"
    for kill in range(10):
        with started(tmp_path, shards, *LONG) as ranks:
            for _ in range(chance.randint(1, 3)):
                before = saved_steps(run)
                end = time.monotonic() + 120
                while saved_steps(run) == before:
                    assert time.monotonic() < end, ranks.printed()
                    time.sleep(0.002)
            time.sleep(chance.uniform(0, 0.05))
            # Now and then one process alone: the other finds out by itself.
            ranks.kill(*([1] if kill % 4 == 3 else []))
            statuses = ranks.wait()
            assert -signal.SIGKILL in statuses, "the run was over before it was killed"
    assert saved_steps(run)[-1] < "step_00000090"
    with started(tmp_path, shards, *LONG) as ranks:
        assert ranks.wait() == [0, 0], ranks.printed()
        assert "resuming at step" in ranks.printed(0)
    assert_same_weights(run, uninterrupted)


def test_a_process_that_is_killed_ends_the_others_which_name_it(shards, tmp_path):
    with started(tmp_path, shards, *LONG) as ranks:
        ranks.wait_for("step 4/90")
        killed = ranks.processes[1].pid
        ranks.kill(1)
        # Long before gloo's own limit, `timeout_minutes`.
        assert ranks.wait() == [1, -signal.SIGKILL]
        line = ranks.printed(0).splitlines()[-1]
        assert line.startswith(f"accent: process 0: lost process 1 (pid {killed} on ")
        assert line.endswith("rerun the same command to resume from its newest checkpoint")


# --- SIGTERM ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("moment", ["training on 2 processes", "step 5/90"])
def test_a_signal_to_one_process_saves_marks_and_ends_all_with_75(shards, uninterrupted, tmp_path, moment):
    run = tmp_path / "run"
    with started(tmp_path, shards, *LONG) as ranks:
        stop(ranks, moment)
    assert "the state is saved" in (run / "PREEMPTED").read_text()
    with started(tmp_path, shards, *LONG) as ranks:
        assert ranks.wait() == [0, 0], ranks.printed()
    assert not (run / "PREEMPTED").exists()
    assert_same_weights(run, uninterrupted)


def test_shares_are_saved_at_a_signal_too(shards, tmp_path):
    words = ("epochs=3", "validate_every_epochs=3", "monitor.every_steps=1")
    with started(tmp_path, shards, *words, zero_stage=2) as ranks:
        stop(ranks, "step 4/9")
    assert (tmp_path / "run" / "PREEMPTED").is_file()
    with started(tmp_path, shards, *words, zero_stage=2) as ranks:
        assert ranks.wait() == [0, 0], ranks.printed()
        assert "resuming at step" in ranks.printed(0)


def stop(ranks: Ranks, moment: str) -> None:
    """Send SIGTERM to the second process when the first has printed something."""
    ranks.wait_for(moment)
    ranks.kill(1, number=signal.SIGTERM)
    assert ranks.wait() == [75, 75], ranks.printed()
    assert "stopped by SIGTERM after step" in ranks.printed(0)


def _terminated_in_the_second_validation(rank: int) -> None:
    genuine, calls = EvaluationLoader.__iter__, []

    def batches(loader):
        calls.append(0)
        if rank == 1 and len(calls) == 2:
            signal.raise_signal(signal.SIGTERM)
        return genuine(loader)

    EvaluationLoader.__iter__ = batches


def test_a_signal_during_a_validation_does_not_wait_for_its_end(shards, tmp_path):
    with started(tmp_path, shards, sabotage=_terminated_in_the_second_validation) as ranks:
        assert ranks.wait() == [75, 75], ranks.printed()
        assert "step 6/18  validation" in ranks.printed(0)
        assert "step 12/18  validation" not in ranks.printed(0)
    with started(tmp_path, shards) as ranks:
        assert ranks.wait() == [0, 0], ranks.printed()
        assert "step 12/18  validation" in ranks.printed(0)


def test_a_signal_to_the_launcher_reaches_every_process(shards, tmp_path):
    config = tmp_path / "run.yaml"
    write_config(small_config(tmp_path / "run", shards, *LONG, "monitor.line_seconds=1e-6"), config)
    job = launch_several([str(config)])
    assert job.stdout is not None
    while "step 5/" not in (line := job.stdout.readline()):
        assert line, job.stderr and job.stderr.read()
    job.send_signal(signal.SIGTERM)
    _, errors = job.communicate(timeout=120)
    assert job.returncode == 1
    assert "accent: stopped by SIGTERM after step" in errors
    assert (tmp_path / "run" / "PREEMPTED").is_file()


# --- numbers that are none --------------------------------------------------------------------------------------------


def _not_a_number_on_process_1(rank: int) -> None:
    genuine, calls = AccentObjective.forward, []

    def forward(objective, *arguments):
        total, losses = genuine(objective, *arguments)
        # The first call fixes DDP's buckets, or is the first step of ZeRO.
        calls.append(0)
        return (total * torch.nan if rank == 1 and len(calls) == 6 else total), losses

    AccentObjective.forward = forward


@pytest.mark.parametrize("zero_stage", [0, 3])
def test_a_loss_that_is_not_finite_on_one_process_stops_all_before_an_update(shards, tmp_path, zero_stage):
    with started(tmp_path, shards, zero_stage=zero_stage, sabotage=_not_a_number_on_process_1) as ranks:
        assert ranks.wait() == [2, 2], ranks.printed()
        step = 6 if zero_stage else 5
        assert f"step {step}: the loss is not finite, nothing was updated" in ranks.printed(0)
    # Step 5 was saved: what is on the disk is good, and the run goes on from there.
    with started(tmp_path, shards, zero_stage=zero_stage) as ranks:
        assert ranks.wait() == [0, 0], ranks.printed()
        assert ("resuming at step 5" in ranks.printed(0)) == bool(zero_stage)


@pytest.mark.parametrize("zero_stage", [0, 2])
def test_a_loss_that_is_not_finite_on_one_process_is_left_out_on_all(shards, tmp_path, zero_stage):
    options = {"zero_stage": zero_stage, "sabotage": _not_a_number_on_process_1}
    with started(tmp_path, shards, "not_finite=skip", **options) as ranks:
        assert ranks.wait() == [0, 0], ranks.printed()
        assert "1 of 2 steps not finite, left out" in ranks.printed(0)
    assert all(value.isfinite().all() for value in last_weights(tmp_path / "run").values())


# --- samples ----------------------------------------------------------------------------------------------------------


def _damaged_in_the_middle_of_a_step(rank: int) -> None:
    genuine = TrainingLoader.steps

    def steps(loader, first, last):
        for number, batch in zip(range(first, last), genuine(loader, first, last), strict=True):
            if rank == 1 and number == 7:
                raise AccentError("shard-000000.tar: sample 3 is damaged")
            yield batch

    TrainingLoader.steps = steps


def test_a_batch_that_one_process_cannot_read_within_a_step_stops_all_after_the_step_before(shards, tmp_path):
    with started(tmp_path, shards, "gradient_accumulation_steps=2", sabotage=_damaged_in_the_middle_of_a_step) as ranks:
        assert ranks.wait() == [2, 2], ranks.printed()
        assert "accent: shard-000000.tar: sample 3 is damaged" in ranks.printed(0)
    with started(tmp_path, shards, "gradient_accumulation_steps=2") as ranks:
        assert ranks.wait() == [0, 0], ranks.printed()
        assert "resuming at step 3 of 12" in ranks.printed(0)


def _damaged_in_the_first_validation(rank: int) -> None:
    genuine = EvaluationLoader.__iter__

    def batches(loader):
        if rank == 1:
            raise AccentError("shard-000000.tar: sample 5 is damaged")
        yield from genuine(loader)

    EvaluationLoader.__iter__ = batches


def test_a_validation_that_one_process_cannot_read_ends_all_with_one_line(shards, tmp_path):
    with started(tmp_path, shards, sabotage=_damaged_in_the_first_validation) as ranks:
        assert ranks.wait() == [2, 2], ranks.printed()
        assert ranks.printed(0).splitlines()[-1] == "accent: shard-000000.tar: sample 5 is damaged"


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


# --- disks ------------------------------------------------------------------------------------------------------------


def _full_disk_at_the_second_checkpoint(rank: int) -> None:
    genuine, calls = data_parallel.save_file, []

    def full(*arguments):
        calls.append(0)
        if len(calls) == 2:
            raise OSError(28, "No space left on device")
        return genuine(*arguments)

    data_parallel.save_file = full


def test_a_full_disk_in_the_background_ends_all_and_leaves_the_last_good_checkpoint(shards, tmp_path):
    with started(tmp_path, shards, *LONG, sabotage=_full_disk_at_the_second_checkpoint) as ranks:
        assert ranks.wait() == [2, 2], ranks.printed()
        line = ranks.printed(0).splitlines()[-1]
    assert "step_00000004: cannot save a checkpoint ([Errno 28] No space left on device); check free space" in line
    assert "; the last" in line
    assert line.endswith("step_00000002")
    assert saved_steps(tmp_path / "run") == ["step_00000002"]


def test_a_torn_share_is_named_by_all_processes(shards, tmp_path):
    words = ("epochs=2", "validate_every_epochs=2")
    with started(tmp_path, shards, *words, zero_stage=3) as ranks:
        assert ranks.wait() == [0, 0], ranks.printed()
    share = next((tmp_path / "run" / "checkpoints" / "step_00000006" / "zero").glob("*rank_1*optim*"))
    share.write_bytes(share.read_bytes()[:1000])
    with started(tmp_path, shards, *words, zero_stage=3) as ranks:
        assert ranks.wait() == [2, 2], ranks.printed()
        assert f"{share.name}: 1000 bytes long, " in ranks.printed(0)
