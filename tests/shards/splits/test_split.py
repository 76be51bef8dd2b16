import dataclasses
import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accent.errors import AccentError
from shards.shard_set.manifest import ShardSet
from shards.splits.split import Split, SplitConfig, make_split
from tests.support.shard_sets.synthetic import make_shard_set

# Speakers of L2-ARCTIC by first language, and their sexes.
ARCTIC = {
    "Arabic": "ABA:m YBAA:m ZHAA:f SKA:f",
    "Mandarin": "BWC:m LXC:f NCC:f TXHC:m",
    "Hindi": "ASI:m RRBI:m SVBI:f TNI:f",
    "Korean": "HJK:f YDCK:f YKWK:m HKK:m",
    "Spanish": "EBVS:m ERMS:m NJS:f MBMPS:f",
    "Vietnamese": "HQTV:m PNV:f THV:f TLV:m",
}


@pytest.fixture(scope="module")
def arctic(tmp_path_factory: pytest.TempPathFactory) -> ShardSet:
    speakers = {accent: [word.split(":")[0] for word in words.split()] for accent, words in ARCTIC.items()}
    return with_sexes(make_shard_set(tmp_path_factory.mktemp("arctic"), speakers, 10, lengths=(2, 3)), sexes())


def sexes() -> dict[str, str]:
    pairs = (word.split(":") for words in ARCTIC.values() for word in words.split())
    return {name: {"f": "female", "m": "male"}[sex] for name, sex in pairs}


def changed(shard_set: ShardSet, **by_speaker: dict[str, str | None]) -> ShardSet:
    """Return the set with other values in the manifest's speakers."""
    speakers = tuple(
        dataclasses.replace(one, **{key: values.get(one.name) for key, values in by_speaker.items()})
        for one in shard_set.manifest.speakers
    )
    return dataclasses.replace(shard_set, manifest=dataclasses.replace(shard_set.manifest, speakers=speakers))


def with_sexes(shard_set: ShardSet, sexes: dict[str, str]) -> ShardSet:
    return changed(shard_set, sex=dict(sexes))


def accent_of(shard_set: ShardSet) -> dict[str, str]:
    return {one.name: one.accent for one in shard_set.manifest.speakers}


@given(seed=st.integers(0, 1000), validation=st.integers(0, 2), test=st.integers(0, 2))
@settings(max_examples=40, deadline=None)
def test_no_speaker_is_in_two_parts_and_every_accent_in_each(
    arctic: ShardSet, seed: int, validation: int, test: int
) -> None:
    if validation + test == 4:
        return
    split = make_split(arctic, SplitConfig(validation_speakers=validation, test_speakers=test, seed=seed))
    assert sorted(split.train + split.validation + split.test) == arctic.speakers
    accents = accent_of(arctic)
    for part, count in ((split.validation, validation), (split.test, test), (split.train, 4 - validation - test)):
        assert sorted(accents[name] for name in part) == sorted(arctic.accents * count)


@given(seed=st.integers(0, 1000))
@settings(max_examples=40, deadline=None)
def test_test_and_validation_hear_both_sexes_equally_where_the_corpus_has_both(arctic: ShardSet, seed: int) -> None:
    accents = accent_of(arctic)
    split = make_split(arctic, SplitConfig(seed=seed))
    for part in (split.test, split.validation):
        assert [sexes()[name] for name in part].count("female") == 3
    for tested in split.test:
        validated = next(name for name in split.validation if accents[name] == accents[tested])
        assert sexes()[validated] != sexes()[tested]
    both = make_split(arctic, SplitConfig(test_speakers=2, seed=seed)).test
    assert {(accents[name], sexes()[name]) for name in both} == {(a, s) for a in ARCTIC for s in ("female", "male")}


def test_unknown_or_one_sided_sex_still_gives_a_split(arctic: ShardSet) -> None:
    for known in ({}, dict.fromkeys(arctic.speakers, "male"), {"ABA": "female"}):
        split = make_split(with_sexes(arctic, known))
        assert (len(split.train), len(split.validation), len(split.test)) == (12, 6, 6)


def test_the_seed_decides_and_alone(arctic: ShardSet) -> None:
    assert make_split(arctic, SplitConfig(seed=3)) == make_split(arctic, SplitConfig(seed=3))
    assert len({make_split(arctic, SplitConfig(seed=seed)) for seed in range(20)}) > 15


def test_over_many_seeds_every_speaker_is_tested_on(arctic: ShardSet) -> None:
    tested = {name for seed in range(60) for name in make_split(arctic, SplitConfig(seed=seed)).test}
    assert tested == set(arctic.speakers)


def test_the_corpus_tables_split_is_used_as_it_is(arctic: ShardSet) -> None:
    parts = {name: ("train", "training", "dev", "test")[place % 4] for place, name in enumerate(arctic.speakers)}
    # One speaker of every accent has to be trained on.
    parts |= dict.fromkeys(("ABA", "BWC", "ASI", "HJK", "EBVS", "HQTV"), "train")
    split = make_split(changed(arctic, sex={}, split=dict(parts)))
    for name, part in parts.items():
        assert name in {"train": split.train, "training": split.train, "dev": split.validation}.get(part, split.test)
    assert len(split.train + split.validation + split.test) == 24


def test_a_corpus_table_that_splits_some_speakers_or_says_something_else_is_refused(arctic: ShardSet) -> None:
    some = dict.fromkeys(arctic.speakers[1:], "train")
    with pytest.raises(AccentError, match=f"none to {arctic.speakers[0]};"):
        make_split(changed(arctic, split=dict(some)))
    with pytest.raises(AccentError, match=r"speaker ABA has split 'held'; a corpus table may say train, "):
        make_split(changed(arctic, split=dict(some) | {"ABA": "held"}))


def test_an_accent_missing_from_train_is_refused(arctic: ShardSet) -> None:
    parts = dict.fromkeys(arctic.speakers, "train") | dict.fromkeys(("ASI", "RRBI", "SVBI", "TNI"), "test")
    with pytest.raises(AccentError, match="no training speaker has the accent Hindi;"):
        make_split(changed(arctic, split=dict(parts)))


def test_an_accent_with_one_speaker_is_refused_unless_nobody_is_held_out(tmp_path: Path) -> None:
    shard_set = make_shard_set(tmp_path, {"a": ["a0", "a1", "a2"], "Thai": ["THA1"]}, lengths=(2, 3))
    with pytest.raises(AccentError, match=r"accent 'Thai' has one speaker \(THA1\), who cannot be .*; add a speaker"):
        make_split(shard_set)
    split = make_split(shard_set, SplitConfig(validation_speakers=0, test_speakers=0))
    assert split.train == ("THA1", "a0", "a1", "a2")


def test_too_few_speakers_for_the_counts_are_refused(tmp_path: Path) -> None:
    shard_set = make_shard_set(tmp_path, {"a": ["a0", "a1", "a2"], "b": ["b0", "b1"]}, lengths=(2, 3))
    with pytest.raises(AccentError, match=r"accent 'b' has 2 speakers \(b0, b1\), too few for split.validation_sp"):
        make_split(shard_set)
    assert len(make_split(shard_set, SplitConfig(validation_speakers=0)).train) == 3


def test_held_out_prompts_are_the_share_asked_for(arctic: ShardSet) -> None:
    split = make_split(arctic, SplitConfig(held_out_prompts=0.3))
    assert len(split.held_out_prompts) == 3
    assert set(split.held_out_prompts) <= set(arctic.prompts)
    assert split.held_out_prompts != make_split(arctic, SplitConfig(held_out_prompts=0.3, seed=1)).held_out_prompts
    assert len(make_split(arctic, SplitConfig(held_out_prompts=0.001)).held_out_prompts) == 1
    with pytest.raises(AccentError, match="leaves none to train on"):
        make_split(arctic, SplitConfig(held_out_prompts=0.99))


def test_a_split_comes_back_from_its_file(arctic: ShardSet, tmp_path: Path) -> None:
    split = make_split(arctic, SplitConfig(held_out_prompts=0.2))
    split.save(tmp_path / "split.json")
    assert Split.load(tmp_path / "split.json") == split
    assert make_split(arctic, SplitConfig(file=str(tmp_path / "split.json"), seed=9)) == split
    assert [path.name for path in tmp_path.iterdir()] == ["split.json"]


def test_a_failed_write_leaves_the_old_file(arctic: ShardSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "split.json"
    old = make_split(arctic)
    old.save(path)

    def full_disk(descriptor: int) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr("os.fsync", full_disk)
    with pytest.raises(AccentError, match=r"split\.json: cannot be written \(No space left"):
        make_split(arctic, SplitConfig(seed=1)).save(path)
    assert Split.load(path) == old
    assert [one.name for one in tmp_path.iterdir()] == ["split.json"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "not valid JSON"),
        ("[]", "has the keys train"),
        ('{"train": ["ABA"]}', "has the keys train"),
        ('{"train": [], "validation": [], "test": [], "tset": []}', "has the keys train"),
        ('{"train": "ABA", "validation": [], "test": []}', "train is not a list of names"),
        ('{"train": ["ABA", "SKA"], "validation": [], "test": ["ABA"]}', "ABA named more than once; a speaker belongs"),
        ('{"train": ["ABA", "ABA"], "validation": [], "test": []}', "ABA named more than once"),
        ('{"train": ["XYZ"], "validation": [], "test": []}', "no speaker XYZ in "),
        ('{"train": ["ABA"], "validation": [], "test": [], "held_out_prompts": ["p9"]}', "no prompt p9 in "),
        ('{"train": ["ABA"], "validation": [], "test": ["TNI"]}', "no training speaker has the accent Hindi, Korean, "),
    ],
)
def test_an_impossible_split_file_is_refused_in_one_line(
    arctic: ShardSet, tmp_path: Path, text: str, message: str
) -> None:
    path = tmp_path / "split.json"
    path.write_text(text)
    with pytest.raises(AccentError, match=message) as caught:
        make_split(arctic, SplitConfig(file=str(path)))
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


def test_a_missing_split_file_is_refused(arctic: ShardSet, tmp_path: Path) -> None:
    with pytest.raises(AccentError, match="no such split file"):
        make_split(arctic, SplitConfig(file=str(tmp_path / "none.json")))


@pytest.mark.parametrize(
    ("key", "value"),
    [("validation_speakers", -1), ("test_speakers", -1), ("held_out_prompts", 1.0), ("held_out_prompts", -0.1)],
)
def test_impossible_settings_are_refused_by_name(key: str, value: float) -> None:
    with pytest.raises(ValueError, match=f"^{key}: "):
        SplitConfig(**json.loads(json.dumps({key: value})))
