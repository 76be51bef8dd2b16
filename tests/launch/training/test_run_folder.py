"""A run folder has one training at a time and says the truth about it."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from accent.configuration import load
from accent.errors import AccentError
from launch.run_config import RunConfig
from launch.training.run import train_run
from launch.training.run_folder import LOCK_NAME, one_training
from tests.conftest import REPOSITORY
from tests.support.training.small_runs import small_config

HOLD = """
import sys, time
from pathlib import Path
from launch.training.run_folder import one_training
with one_training(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(120)
"""


@pytest.fixture
def holder(tmp_path):
    """Another process that trains in `tmp_path/run`."""
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    command = [sys.executable, "-c", HOLD, str(tmp_path / "run")]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_a_second_training_is_told_who_trains_there_and_changes_nothing(holder, shards, tmp_path):
    with pytest.raises(AccentError, match=f"process {holder.pid} on .* has been training this run since"):
        train_run(small_config(tmp_path / "run", shards, "epochs=1"))
    assert [path.name for path in (tmp_path / "run").iterdir()] == [LOCK_NAME]


def test_the_lock_names_the_job_of_its_holder(tmp_path, monkeypatch):
    monkeypatch.setenv("SLURM_JOB_ID", "4711")
    with one_training(tmp_path):
        holder = json.loads((tmp_path / LOCK_NAME).read_text())
    assert holder["what"] == "training this run (Slurm job 4711)" and holder["pid"] == os.getpid()


def test_a_holder_that_was_killed_does_not_block(holder, tmp_path):
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    assert (tmp_path / "run" / LOCK_NAME).exists()
    with one_training(tmp_path / "run"):
        pass
    assert not (tmp_path / "run" / LOCK_NAME).exists()


@pytest.fixture(scope="module")
def run(shards, tmp_path_factory) -> Path:
    """A finished run in bf16, as nobody asked for it in the configuration."""
    run = tmp_path_factory.mktemp("runs") / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ACCELERATE_MIXED_PRECISION", "bf16")
        train_run(small_config(run, shards, "epochs=2"))
    return run


def test_the_configuration_is_written_as_it_ran(run):
    config = load(RunConfig, run / "config.yaml")
    assert config.mixed_precision == "bf16"
    assert config.model.accents == ("Arabic", "Hindi", "Spanish")
    assert config.batch.crop_frames == 40


def test_the_environment_names_what_the_run_was_made_with(run):
    (start,) = json.loads((run / "environment.json").read_text())["starts"]
    assert torch.__version__.startswith(start["packages"]["torch"])
    assert start["precision"] == "bf16" and start["processes"] == 1 and start["device"] == "cpu"
    commit = subprocess.run(["git", "-C", REPOSITORY, "rev-parse", "HEAD"], capture_output=True, text=True, check=True)
    assert start["git_commit"].removesuffix("-dirty") == commit.stdout.strip()
    assert time.strptime(start["started"][:19], "%Y-%m-%dT%H:%M:%S")


def test_a_resume_in_another_precision_and_longer_says_both(run, shards, capsys):
    result = train_run(small_config(run, shards, "epochs=3", "mixed_precision=no"))
    printed = capsys.readouterr().out
    assert result.step == 9
    assert "precision was bf16 and is float32 now" in printed
    assert "planned for 6 steps and now has 9: the learning rate follows the new plan" in printed
    assert [one["precision"] for one in json.loads((run / "environment.json").read_text())["starts"]] == [
        "bf16",
        "float32",
    ]
    train_run(small_config(run, shards, "epochs=1", "mixed_precision=no"))
    assert "nothing left to train: 9 steps are done; epochs=1 asks for 3" in capsys.readouterr().out
