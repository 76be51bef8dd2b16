import pytest

from shards.shard_set.manifest import ShardSet
from shards.splits.split import Split, make_split
from tests.support.shard_sets.synthetic import make_shard_set


@pytest.fixture(scope="module")
def shard_set(tmp_path_factory: pytest.TempPathFactory) -> ShardSet:
    """Three accents, unbalanced speakers, utterances shorter and longer than a crop."""
    return make_shard_set(
        tmp_path_factory.mktemp("loader"),
        {"a": ["a0", "a1", "a2", "a3"], "b": ["b0", "b1", "b2"], "c": ["c0", "c1", "c2", "c3", "c4"]},
        6,
        phones=True,
        samples_per_shard=17,
        utterances_of={"a0": 11, "b1": 3, "c2": 1},
    )


@pytest.fixture(scope="module")
def split(shard_set: ShardSet) -> Split:
    return make_split(shard_set)
