"""Fixtures of the tests of running: one shard set, and the command `accent`."""

import io
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from launch import cli
from tests.support.training.small_runs import small_shards


@pytest.fixture(scope="session")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a shard set: three accents of four speakers, six utterances each."""
    return small_shards(tmp_path_factory.mktemp("shards")).root


@pytest.fixture
def accent(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Run the command with these words; return its status and what it printed on stdout and stderr."""

    def run(*words: object, stdin: bytes = b"") -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["accent", *map(str, words)])
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        status = 0
        try:
            cli.main()
        except SystemExit as leaving:
            status = int(leaving.code or 0)
        printed = capsys.readouterr()
        return status, printed.out, printed.err

    return run
