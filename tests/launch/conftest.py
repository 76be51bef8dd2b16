"""Fixtures of the tests of running: one shard set."""

from pathlib import Path

import pytest

from tests.support.small_runs import small_shards


@pytest.fixture(scope="session")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a shard set: three accents of four speakers, six utterances each."""
    return small_shards(tmp_path_factory.mktemp("shards")).root
