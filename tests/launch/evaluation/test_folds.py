"""The folds of a protocol in an output folder: found, frozen, kept."""

import json
from collections import defaultdict

import pytest

from accent.errors import AccentError
from launch.evaluation.folds import FoldConfig, freeze_folds
from launch.run_config import PACKAGED
from tests.support.shard_sets.synthetic import make_shard_set


@pytest.fixture(scope="module")
def assignment() -> dict[str, int]:
    return json.loads((PACKAGED / "protocols" / "saa8k.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def shard_set(tmp_path_factory, assignment):
    """The speakers of the frozen protocol, one short utterance each."""
    speakers = defaultdict(list)
    for name in assignment:
        speakers[name[:3]].append(name)
    return make_shard_set(tmp_path_factory.mktemp("shards"), speakers, 1, lengths=(20, 21))


def test_a_protocol_of_the_package_is_found_from_any_folder(shard_set, assignment, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    splits = freeze_folds(tmp_path, shard_set, FoldConfig("configs/protocols/saa8k.json"))
    assert {name: fold for fold, split in enumerate(splits) for name in split.test} == assignment


def test_a_file_in_the_working_folder_comes_before_that_of_the_package(shard_set, assignment, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    mine = {name: number % 2 for number, name in enumerate(sorted(assignment))}
    (tmp_path / "configs" / "protocols").mkdir(parents=True)
    (tmp_path / "configs" / "protocols" / "saa8k.json").write_text(json.dumps(mine))
    splits = freeze_folds(tmp_path, shard_set, FoldConfig("configs/protocols/saa8k.json"))
    assert {name: fold for fold, split in enumerate(splits) for name in split.test} == mine


def test_a_file_that_is_nowhere_is_one_line(shard_set, tmp_path):
    with pytest.raises(AccentError, match=r"configs/protocols/none\.json: no such file of folds"):
        freeze_folds(tmp_path, shard_set, FoldConfig("configs/protocols/none.json"))
