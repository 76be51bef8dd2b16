"""Processes whose launcher was killed save and end by themselves; without a launcher, the parent does not matter."""

import os
import signal
import threading
import time

import psutil
import pytest

from launch.run_config import write_config
from launch.runtime.launcher_watch import end_with_launcher
from tests.support.training.small_runs import launch_several, small_config


def test_without_a_launcher_nothing_is_watched(monkeypatch):
    for name in ("TORCHELASTIC_RUN_ID", "ACCELERATE_MIXED_PRECISION"):
        monkeypatch.delenv(name, raising=False)
    before = threading.active_count()
    end_with_launcher()
    assert threading.active_count() == before


@pytest.mark.slow
def test_processes_whose_launcher_is_killed_save_and_end(shards, tmp_path):
    config = tmp_path / "run.yaml"
    words = ("epochs=2000", "validate_every_epochs=2000", "checkpoints.every_steps=100000", "monitor.line_seconds=1e-6")
    write_config(small_config(tmp_path / "run", shards, *words), config)
    job = launch_several([str(config)])
    assert job.stdout is not None
    for line in job.stdout:
        if line.startswith("step 4/"):
            break
    ranks = [
        process for process in psutil.Process(job.pid).children(recursive=True) if "launch.train" in process.cmdline()
    ]
    assert len(ranks) == 2
    os.kill(job.pid, signal.SIGKILL)
    # What they print meanwhile has to go somewhere.
    reader = threading.Thread(target=job.stdout.read, daemon=True)
    reader.start()
    end = time.monotonic() + 60
    while any(rank.is_running() and rank.status() != psutil.STATUS_ZOMBIE for rank in ranks):
        assert time.monotonic() < end, "the processes outlive their launcher"
        time.sleep(0.05)
    assert (tmp_path / "run" / "PREEMPTED").exists()
    assert len(list((tmp_path / "run" / "checkpoints").glob("step_*"))) == 1
    job.wait()
