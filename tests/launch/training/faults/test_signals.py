"""SIGTERM, as a scheduler sends it: all processes save, mark the run and end with 75; the run resumes bit for bit."""

import signal
from pathlib import Path

import pytest

from launch.run_config import write_config
from shards.loading.loader import EvaluationLoader
from tests.support.training.ranks import Ranks
from tests.support.training.small_runs import accent_train, assert_same_weights, small_config
from tests.support.training.two_processes import LONG, started


@pytest.fixture(scope="module")
def whole(shards: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of sixty steps on two processes."""
    folder = tmp_path_factory.mktemp("whole")
    with started(folder, shards, *LONG) as ranks:
        assert ranks.wait() == [0, 0], ranks.printed()
    return folder / "run"


def stop(ranks: Ranks, moment: str) -> None:
    """Send SIGTERM to the second process when the first has printed something."""
    ranks.wait_for(moment)
    ranks.kill(1, number=signal.SIGTERM)
    assert ranks.wait() == [75, 75], ranks.printed()
    assert "stopped by SIGTERM after step" in ranks.printed(0)


@pytest.mark.parametrize("moment", [pytest.param("training on 2 processes", marks=pytest.mark.slow), "step 5/60"])
def test_a_signal_to_one_process_saves_marks_and_ends_all_with_75(shards, whole, tmp_path, moment):
    run = tmp_path / "run"
    with started(tmp_path, shards, *LONG) as ranks:
        stop(ranks, moment)
    assert "the state is saved" in (run / "PREEMPTED").read_text()
    with started(tmp_path, shards, *LONG) as ranks:
        assert ranks.wait() == [0, 0], ranks.printed()
    assert not (run / "PREEMPTED").exists()
    assert_same_weights(run, whole)


@pytest.mark.slow
def test_shares_are_saved_at_a_signal_too(shards, tmp_path):
    words = ("epochs=3", "validate_every_epochs=3", "monitor.every_steps=1")
    with started(tmp_path, shards, *words, zero_stage=2) as ranks:
        stop(ranks, "step 4/9")
    assert (tmp_path / "run" / "PREEMPTED").is_file()
    with started(tmp_path, shards, *words, zero_stage=2) as ranks:
        assert ranks.wait() == [0, 0], ranks.printed()
        assert "resuming at step" in ranks.printed(0)


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
    job = accent_train([str(config)])
    assert job.stdout is not None
    while "step 5/" not in (line := job.stdout.readline()):
        assert line, job.stderr and job.stderr.read()
    job.send_signal(signal.SIGTERM)
    _, errors = job.communicate(timeout=120)
    assert job.returncode == 75, errors
    (line,) = errors.splitlines()
    assert line.startswith("accent: stopped by SIGTERM after step")
    assert (tmp_path / "run" / "PREEMPTED").is_file()
