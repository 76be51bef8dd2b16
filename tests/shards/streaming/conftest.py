from collections.abc import Iterator

import pytest

from shards.shard_set.manifest import ShardSet
from shards.streaming import transport
from shards.streaming.remote_shard_set import RemoteShardSet
from tests.support.shard_sets.serving import Server, serving
from tests.support.shard_sets.synthetic import make_shard_set

SPEAKERS = {"Arabic": ["a0", "a1", "a2"], "Hindi": ["h0", "h1", "h2"], "Spanish": ["s0", "s1", "s2"]}


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> ShardSet:
    # Ten shards, the last of them short.
    folder = tmp_path_factory.mktemp("remote")
    return make_shard_set(folder, SPEAKERS, 13, lengths=(20, 60), phones=True, samples_per_shard=12)


@pytest.fixture
def server(local: ShardSet) -> Iterator[Server]:
    yield from serving(local.root)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "WAIT_SECONDS", 0.01)
    monkeypatch.setenv("no_proxy", "127.0.0.1")


@pytest.fixture
def piped(local: ShardSet) -> RemoteShardSet:
    return RemoteShardSet.open(f"pipe:cat {local.root}/{{}}")
