"""Fixtures of the tests of applications."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.made_once import made_once


@pytest.fixture(scope="session")
def saa_listening_run(saa_shards: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A calibrated run of the branch `phones` on `saa_shards` that was trained long enough to hear most phones."""
    from tests.support.training.speech_runs import LISTENING, calibrated_run

    return made_once(tmp_path_factory, "saa-listening", lambda run: calibrated_run(LISTENING, saa_shards, run))


@pytest.fixture
def accent(accent: Callable[..., tuple[int, str, str]]) -> Callable[..., tuple[int, list[str], list[str]]]:
    """Run the command with these words; return its status and the lines that it printed on stdout and stderr."""

    def run(*words: object, stdin: bytes = b"") -> tuple[int, list[str], list[str]]:
        status, printed, errors = accent(*words, stdin=stdin)
        return status, printed.splitlines(), errors.splitlines()

    return run
