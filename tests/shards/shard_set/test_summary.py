"""The description says what is in the set; verification finds a single flipped bit."""

import io
import json
from dataclasses import replace

import numpy as np
import pytest
import soundfile
from rich.console import Console

from accent.errors import AccentError
from accent.features.schema import COLUMNS
from shards.shard_set.manifest import Refused, ShardSet
from shards.shard_set.summary import describe, doubts, refused_table, summary, verify
from shards.writing.processor import FeatureProcessor
from tests.support.shard_sets.synthetic import make_shard_set


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


def facts(**changes):
    usual = {
        "samples": 10,
        "refused": [],
        "accents": {"Hindi": {}, "Arabic": {}},
        "sources": {"Hindi": {"16000 Hz WAV": 5}, "Arabic": {"16000 Hz WAV": 5}},
        "band_ends_hz": {"Hindi": 7600, "Arabic": 7600},
    }
    return usual | changes


def test_a_usual_set_raises_no_doubt():
    assert doubts(facts()) == []


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"refused": [{"path": "a.wav", "reason": "silent"}] * 11}, "more inputs were refused (11) than used (10)"),
        ({"accents": {"Hindi": {}}}, "only one accent is left, Hindi"),
        (
            {"sources": {"Hindi": {"16000 Hz WAV": 5}, "Arabic": {"44100 Hz MP3": 5}}},
            "sampling rate or format goes with the accent",
        ),
        ({"band_ends_hz": {"Hindi": 3900, "Arabic": 7600}}, "bandwidth goes with the accent: Hindi ends at 3900 Hz"),
        ({"band_ends_hz": {"Hindi": 3900, "Arabic": 7600}}, "Hindi: its sound ends at 3900 Hz, far below"),
    ],
)
def test_what_makes_a_set_doubtful_is_said(changes, line):
    assert any(one.startswith(line) for one in doubts(facts(**changes)))


def test_doubts_are_the_last_lines_of_the_description(shard_set):
    one_accent = replace(shard_set, manifest=replace(shard_set.manifest, sources={"Hindi": {"8000 Hz MP3": 1}}))
    console = Console(file=io.StringIO(), width=300)
    console.print(describe(one_accent, brief=True))
    kinds = replace(one_accent, manifest=replace(one_accent.manifest, remarks={"its channels cancel": 3}))
    console.print(describe(kinds))
    assert "3 samples: its channels cancel" in console.file.getvalue()
    assert "8000 Hz MP3 (1)" in console.file.getvalue()


@pytest.mark.parametrize(("edge_hz", "low", "high"), [(None, 7000, 7600), (3400.0, 3200, 4600)])
def test_the_end_of_the_band_is_measured_and_files_are_counted_by_accent(tmp_path, edge_hz, low, high):
    generator = np.random.default_rng(0)
    rows = ["path\tspeaker\taccent"]
    for name in "ab":
        noise_N = generator.normal(0, 0.1, 16_000)
        if edge_hz is not None:
            spectrum_F = np.fft.rfft(noise_N)
            spectrum_F[np.fft.rfftfreq(16_000, 1 / 16_000) > edge_hz] = 0
            noise_N = np.fft.irfft(spectrum_F)
        soundfile.write(tmp_path / f"{name}.flac", noise_N, 16_000)
        rows.append(f"{name}.flac\t{name}\tX")
    (tmp_path / "t.tsv").write_text("\n".join(rows))
    found = summary(FeatureProcessor(tmp_path / "t.tsv", tmp_path / "shards", workers=1).process_dataset())
    assert low <= found["band_ends_hz"]["X"] <= high
    assert found["sources"] == {"X": {"16000 Hz FLAC": 2}}


@pytest.mark.parametrize("name", ["speakers.tsv", "validated.tsv", "A/wav/a.wav"])
def test_a_raw_corpus_is_told_from_a_shard_set(tmp_path, name):
    (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / name).touch()
    with pytest.raises(AccentError, match="a corpus, not a shard set; make one of it: accent featurize"):
        ShardSet.open(tmp_path)


def test_a_table_is_told_from_a_shard_set(tmp_path):
    (tmp_path / "t.tsv").touch()
    with pytest.raises(AccentError, match="a table; make a shard set of it: accent featurize"):
        ShardSet.open(tmp_path / "t.tsv")
