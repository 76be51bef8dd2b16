"""Fixtures of the tests of applications."""

from collections.abc import Callable
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def saa_listening_run(saa_shards: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A calibrated run of the branch `phones` on `saa_shards` that was trained long enough to hear most phones."""
    from launch.applications.calibrate import calibrate_run
    from tests.support.training.speech_runs import LISTENING, speech_run

    run = speech_run(LISTENING, saa_shards, tmp_path_factory.mktemp("saa") / "listening")
    calibrate_run(run, device="cpu")
    return run


@pytest.fixture
def accent(accent: Callable[..., tuple[int, str, str]]) -> Callable[..., tuple[int, list[str], list[str]]]:
    """Run the command with these words; return its status and the lines that it printed on stdout and stderr."""

    def run(*words: object, stdin: bytes = b"") -> tuple[int, list[str], list[str]]:
        status, printed, errors = accent(*words, stdin=stdin)
        return status, printed.splitlines(), errors.splitlines()

    return run
