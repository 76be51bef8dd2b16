"""The description says what is in the set; verification finds a single flipped bit."""

import io
import json

import pytest
from rich.console import Console

from accent.errors import AccentError
from accent.features.schema import COLUMNS
from shards.shard_set.manifest import Refused
from shards.shard_set.summary import describe, refused_table, summary, verify
from tests.support.synthetic import make_shard_set


@pytest.fixture
def shard_set(tmp_path):
    return make_shard_set(tmp_path, {"Hindi": ["h0", "h1"], "Arabic": ["a0"]}, 4, phones=True, utterances_of={"a0": 7})


def test_the_summary_counts_what_is_there(shard_set):
    facts = json.loads(json.dumps(summary(shard_set), allow_nan=False))
    assert facts["samples"] == 15 == facts["with_phones"]
    assert facts["accents"]["Hindi"]["speakers"] == 2 and facts["accents"]["Arabic"]["samples"] == 7
    assert facts["speakers"]["h1"]["sex"] == "male"
    assert sum(one["hours"] for one in facts["speakers"].values()) == pytest.approx(facts["hours"], abs=1e-6)
    assert list(facts["columns"]) == list(COLUMNS)
    assert facts["columns"]["mel_00"]["defined"] == 1
    assert 0.4 < facts["columns"]["f0_hz"]["defined"] < 0.8
    assert facts["columns"]["f0_hz"]["mean"] == pytest.approx(shard_set.statistics(shard_set.speakers).mean_D[125])


def test_the_description_names_accents_speakers_and_columns(shard_set):
    console = Console(file=io.StringIO(), width=150)
    console.print(describe(shard_set))
    text = console.file.getvalue()
    for word in ("15 samples", "Arabic", "a0 (f, 7)", "h1 (m, 4)", "f0_hz", "mel_00 .. mel_79", "0 inputs refused"):
        assert word in text


def test_brackets_in_names_are_shown_as_they_are():
    console = Console(file=io.StringIO(), width=100)
    console.print(refused_table([Refused("a[bold]/x[1].wav", "silent [red]")]))
    assert "a[bold]/x[1].wav" in console.file.getvalue() and "silent [red]" in console.file.getvalue()
    assert "1 input refused" in console.file.getvalue()


def test_a_whole_set_verifies_and_a_flipped_bit_is_found(shard_set):
    verify(shard_set)
    path = shard_set.root / "shard-000000.tar"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(AccentError, match=r"shard-000000\.tar"):
        verify(shard_set)
