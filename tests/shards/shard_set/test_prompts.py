"""Prompts in a file of their own are the prompts of the manifest: same names, splits, samples; and they are checked."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accent.errors import AccentError
from launch.training.identity import shard_set_fingerprint
from shards.loading.config import BatchConfig
from shards.loading.loader import EvaluationLoader, TrainingLoader
from shards.shard_set.files import MANIFEST_NAME
from shards.shard_set.manifest import ShardSet
from shards.shard_set.prompts import PROMPTS_NAME, PromptFile, prompt_lines
from shards.shard_set.select import known_prompts, select_samples
from shards.shard_set.summary import summary, verify
from shards.splits.split import SplitConfig, make_split
from shards.streaming.remote_shard_set import RemoteShardSet
from shards.writing import merge
from tests.support.shard_sets.serving import serving
from tests.support.shard_sets.synthetic import make_shard_set

SPEAKERS = {"a": ["a0", "a1", "a2"], "b": ["b0", "b1", "b2"]}


@pytest.fixture(scope="module")
def inline(tmp_path_factory: pytest.TempPathFactory) -> ShardSet:
    return make_shard_set(tmp_path_factory.mktemp("inline"), SPEAKERS, 6)


@pytest.fixture(scope="module")
def apart(tmp_path_factory: pytest.TempPathFactory) -> ShardSet:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(merge, "MOST_IN_MANIFEST", 3)
        return make_shard_set(tmp_path_factory.mktemp("apart"), SPEAKERS, 6)


@given(st.lists(st.text(max_size=9), unique=True, max_size=20))
def test_a_file_of_prompts_is_the_sorted_list_of_names(names) -> None:
    names = sorted(names)
    found = PromptFile(prompt_lines(names), len(names), "p")
    assert list(found) == names == [found[at] for at in range(len(names))] == found[:]
    with pytest.raises(IndexError):
        found[len(names)]


def test_a_set_with_few_prompts_is_written_as_before_and_one_with_many_says_its_format(
    inline: ShardSet, apart: ShardSet
) -> None:
    old, new = (json.loads((one.root / MANIFEST_NAME).read_bytes()) for one in (inline, apart))
    assert (old["format_version"], len(old["prompts"]), "prompts_file" in old) == (1, 6, False)
    assert (new["format_version"], new["prompts"], new["prompts_file"]["count"]) == (2, [], 6)
    assert not (inline.root / PROMPTS_NAME).exists()


def test_wherever_the_prompts_stand_the_set_is_the_same(inline: ShardSet, apart: ShardSet) -> None:
    assert list(apart.prompts) == list(inline.prompts)
    assert summary(apart)["prompts"] == 6
    verify(apart)
    config = SplitConfig(held_out_prompts=0.4)
    split = make_split(inline, config)
    assert make_split(apart, config) == split and split.held_out_prompts
    for options in ({"prompts": split.held_out_prompts}, {"but_not_prompts": split.held_out_prompts}):
        chosen = [select_samples(one, split.train, **options).tolist() for one in (inline, apart)]
        assert chosen[0] == chosen[1] != []
    loaders = [TrainingLoader(one, None, BatchConfig(workers=0, same_prompts=True)) for one in (inline, apart)]
    assert all(loaders[0].rows(step)[0].tolist() == loaders[1].rows(step)[0].tolist() for step in range(20))


def test_prompts_left_out_and_prompts_alone_are_everything(apart: ShardSet) -> None:
    held_out = ["p0001", "p0004"]
    alone, without = (
        EvaluationLoader(apart, None, **{option: held_out}).numbers_N for option in ("prompts", "but_not_prompts")
    )
    assert sorted([*alone, *without]) == list(range(len(apart)))
    assert {apart.prompts[at] for at in apart.index["prompt"][alone]} == set(held_out)


def test_names_that_are_not_there_are_told(apart: ShardSet) -> None:
    assert known_prompts(apart, ["p0002", "zz", "a", "p0000"]) == ["p0000", "p0002"]
    with pytest.raises(AccentError, match="no prompt a, zz here"):
        select_samples(apart, ["a0"], ["zz", "p0002", "a"])


def test_a_set_from_elsewhere_fetches_its_prompts_when_they_are_asked_for(apart: ShardSet) -> None:
    for server in serving(apart.root):
        remote = RemoteShardSet.open(server.address)
        assert server.asked[PROMPTS_NAME] == 0
        assert list(remote.prompts) == list(apart.prompts)
        assert server.asked[PROMPTS_NAME] == 1


def test_the_fingerprint_of_a_run_sees_other_prompts(apart: ShardSet, tmp_path: Path) -> None:
    other = _copy(apart, tmp_path, prompt_lines([f"q{number}" for number in range(6)]))
    assert shard_set_fingerprint(other) != shard_set_fingerprint(apart)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (prompt_lines(["p0"]), "not the manifest's 6 prompts"),
        (prompt_lines(["p"] * 5) + b"1\n", "a prompt is no text"),
        (prompt_lines(["p"] * 5) + b'"\n', "not a list of prompts"),
    ],
)
def test_a_file_that_holds_something_else_is_one_line(apart: ShardSet, tmp_path: Path, content, why) -> None:
    broken = _copy(apart, tmp_path, content)
    with pytest.raises(AccentError, match=why):
        broken.prompts[5]


def test_a_damaged_file_is_noticed_when_the_set_is_opened(apart: ShardSet, tmp_path: Path) -> None:
    copy = _copy(apart, tmp_path, None)
    content = (copy.root / PROMPTS_NAME).read_bytes()
    (copy.root / PROMPTS_NAME).write_bytes(content.replace(b"p0000", b"p000x"))
    with pytest.raises(AccentError, match=f"{PROMPTS_NAME}: damaged"):
        ShardSet.open(copy.root)
    (copy.root / PROMPTS_NAME).unlink()
    with pytest.raises(AccentError, match=f"{PROMPTS_NAME}: missing"):
        ShardSet.open(copy.root)


def _copy(source: ShardSet, folder: Path, prompts: bytes | None) -> ShardSet:
    """Copy a set with other prompts, which its manifest describes."""
    for path in source.root.glob("*.*"):
        (folder / path.name).write_bytes(path.read_bytes())
    if prompts is not None:
        values = json.loads((folder / MANIFEST_NAME).read_bytes())
        entry = merge._write(folder / PROMPTS_NAME, prompts)
        values["prompts_file"] |= {"bytes": entry.bytes, "sha256": entry.sha256}
        (folder / MANIFEST_NAME).write_text(json.dumps(values), encoding="utf-8")
    return ShardSet.open(folder)
