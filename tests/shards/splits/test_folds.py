"""Folds: frozen ones are reproduced, every speaker is tested once, nobody is on both sides."""

import csv
import json
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accent.errors import AccentError
from launch.run_config import PACKAGED
from shards.shard_set.manifest import SpeakerEntry
from shards.splits.folds import (
    deal_folds,
    deal_prompts,
    leave_one_speaker_out,
    leave_one_speaker_per_accent_out,
    make_folds,
    read_assignment,
)

PROTOCOLS = ("leave-one-speaker-out", "leave-one-speaker-per-accent-out", "3")


def speaker(name: str, accent: str, sex: str | None = None) -> SpeakerEntry:
    return SpeakerEntry(name=name, accent=accent, sex=sex, split=None, corpus="made up", count=1)


def speakers_of(accents: int, women: int, men: int) -> list[SpeakerEntry]:
    return [
        speaker(f"{accent}{sex}{number}", f"accent {accent}", sex)
        for accent in range(accents)
        for sex, count in (("female", women), ("male", men))
        for number in range(count)
    ]


def shard_set(entries: list[SpeakerEntry], prompts: int = 10) -> SimpleNamespace:
    return SimpleNamespace(
        place="here",
        speakers=[one.name for one in entries],
        prompts=[f"p{number}" for number in range(prompts)],
        manifest=SimpleNamespace(speakers=tuple(entries)),
    )


def test_five_folds_of_saa8k_are_the_frozen_ones(saa8k):
    with (saa8k / "speakers.tsv").open(encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file, delimiter="\t") if (saa8k / row["speaker"]).is_dir()]
    entries = [speaker(row["speaker"], row["accent"], row["gender"]) for row in rows]
    assert deal_folds(entries, 5) == json.loads((PACKAGED / "protocols" / "saa8k.json").read_text(encoding="utf-8"))


@settings(deadline=None, max_examples=50)
@given(st.integers(1, 4), st.integers(0, 6), st.integers(1, 6), st.integers(2, 7), st.integers(0, 3))
def test_folds_differ_by_at_most_one_speaker_of_each_accent_and_sex(accents, women, men, n_folds, seed):
    entries = speakers_of(accents, women, men)
    folds = deal_folds(entries, n_folds, seed)
    assert set(folds) == {one.name for one in entries}
    by_group = Counter((one.accent, one.sex, folds[one.name]) for one in entries)
    sizes = [Counter(folds.values())[fold] for fold in range(n_folds)]
    assert max(sizes) - min(sizes) <= 1
    for group in {(one.accent, one.sex) for one in entries}:
        counts = [by_group[(*group, fold)] for fold in range(n_folds)]
        assert max(counts) - min(counts) <= 1


def test_the_order_of_the_speakers_changes_nothing():
    entries = speakers_of(3, 4, 5)
    assert deal_folds(entries, 4, 1) == deal_folds(entries[::-1], 4, 1)
    assert deal_folds(entries, 4, 1) != deal_folds(entries, 4, 2)


def test_one_speaker_of_each_accent_is_left_out():
    entries = speakers_of(3, 2, 2)
    folds = leave_one_speaker_per_accent_out(entries)
    for fold in range(4):
        assert sorted(one.accent for one in entries if folds[one.name] == fold) == ["accent 0", "accent 1", "accent 2"]


def test_one_speaker_is_left_out():
    entries = speakers_of(2, 2, 1)
    assert sorted(leave_one_speaker_out(entries).values()) == list(range(6))


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_every_speaker_is_tested_once_and_never_on_both_sides(protocol):
    entries = speakers_of(3, 3, 3)
    splits = make_folds(shard_set(entries), protocol)
    assert Counter(name for split in splits for name in split.test) == Counter(one.name for one in entries)
    for split in splits:
        assert sorted(split.train + split.validation + split.test) == sorted(one.name for one in entries)
        accents = {one.name: one.accent for one in entries}
        assert Counter(accents[name] for name in split.validation) == {f"accent {a}": 1 for a in range(3)}


def test_a_test_speakers_place_does_not_depend_on_the_validation_speakers():
    entries = speakers_of(3, 3, 3)
    with_two = make_folds(shard_set(entries), "3", validation_speakers=2)
    without = make_folds(shard_set(entries), "3", validation_speakers=0)
    assert [split.test for split in with_two] == [split.test for split in without]
    assert all(split.validation == () for split in without)


def test_fewer_training_speakers_are_nested_and_spread_over_accents():
    entries = speakers_of(4, 4, 4)
    few, more = (
        make_folds(shard_set(entries), "4", validation_speakers=0, training_speakers=count)[1] for count in (8, 16)
    )
    assert len(few.train) == 8 and set(few.train) < set(more.train) and few.test == more.test
    accents = {one.name: (one.accent, one.sex) for one in entries}
    assert set(Counter(accents[name] for name in few.train).values()) == {1}
    with pytest.raises(AccentError, match="a fold has 24"):
        make_folds(shard_set(entries), "4", training_speakers=25)


def test_prompts_are_held_out_in_turns():
    held_out = deal_prompts([f"p{number}" for number in range(10)], 5, 0.2, seed=1)
    assert Counter(prompt for one in held_out for prompt in one) == {f"p{number}": 1 for number in range(10)}
    splits = make_folds(shard_set(speakers_of(2, 3, 3)), "3", held_out_prompts=0.3)
    assert [len(split.held_out_prompts) for split in splits] == [3, 3, 3]
    with pytest.raises(AccentError, match="leaves none to train on"):
        deal_prompts(["one", "two"], 2, 0.9)


def test_files_of_others_are_read(tmp_path: Path):
    entries = speakers_of(2, 2, 1)
    folds = {one.name: number % 3 for number, one in enumerate(entries)}
    as_json, as_table = tmp_path / "folds.json", tmp_path / "folds.tsv"
    as_json.write_text(json.dumps(folds))
    as_table.write_text("speaker\tfold\n" + "".join(f"{name}\t{fold}\n" for name, fold in folds.items()))
    assert read_assignment(as_json) == read_assignment(as_table) == {name: str(fold) for name, fold in folds.items()}
    splits = make_folds(shard_set(entries), str(as_table), validation_speakers=0)
    assert [set(split.test) for split in splits] == [
        {name for name, at in folds.items() if at == fold} for fold in range(3)
    ]


def test_a_file_of_parts_is_one_fold(tmp_path: Path):
    entries = speakers_of(2, 2, 1)
    parts = {one.name: "test" if one.sex == "male" else "train" for one in entries}
    (tmp_path / "parts.json").write_text(json.dumps(parts))
    (split,) = make_folds(shard_set(entries), str(tmp_path / "parts.json"), validation_speakers=0)
    assert split.test == ("0male0", "1male0") and len(split.train) == 4


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("twice.json", '{"0male0": 0, "0male0": 1}', "0male0 is in 0 and in 1"),
        ("twice.tsv", "speaker\tfold\n0male0\t0\n0male0\t1\n", "0male0 is in 0 and in 1"),
        ("twice.tsv", "speaker\tpart\n0male0\ttrain\n0male0\ttest\n", "0male0 is in train and in test"),
        ("broken.json", "{", "not valid JSON"),
        ("list.json", "[1, 2]", "not an object"),
        ("columns.tsv", "name\tfold\nx\t1\n", "columns name, fold"),
        ("empty.tsv", "speaker\tfold\n", "assigns no speaker"),
        ("hole.tsv", "speaker\tfold\nx\t\n", "line 2"),
        ("others.json", '{"nobody": 0}', "no speaker nobody"),
    ],
)
def test_a_file_that_cannot_be_used_is_one_line(tmp_path: Path, name, text, message):
    (tmp_path / name).write_text(text)
    with pytest.raises(AccentError, match=message):
        make_folds(shard_set(speakers_of(2, 2, 1)), str(tmp_path / name))


@pytest.mark.parametrize(
    ("protocol", "entries", "message"),
    [
        ("1", speakers_of(2, 2, 2), "between 2 and the 8 speakers"),
        ("9", speakers_of(2, 2, 2), "between 2 and the 8 speakers"),
        ("nowhere", speakers_of(2, 2, 2), "no such file"),
        ("leave-one-speaker-out", [speaker("a", "x"), speaker("b", "x"), speaker("c", "y")], "accent 'x' has 1"),
    ],
)
def test_a_protocol_that_does_not_fit_is_one_line(protocol, entries, message):
    with pytest.raises(AccentError, match=message):
        make_folds(shard_set(entries), protocol)


def test_an_accent_of_one_speaker_cannot_be_tested():
    entries = [speaker("a", "x"), speaker("b", "x"), speaker("c", "y")]
    with pytest.raises(AccentError, match="no training speaker has the accent y"):
        make_folds(shard_set(entries), "leave-one-speaker-out", validation_speakers=0)
