"""Fixtures of the tests of training."""

from pathlib import Path

import pytest

from launch.training.run import train_run
from tests.support.training.small_runs import small_config


@pytest.fixture(scope="session")
def uninterrupted(shards: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of eighteen steps with dropout, in this process."""
    run = tmp_path_factory.mktemp("runs") / "uninterrupted"
    train_run(small_config(run, shards))
    return run
