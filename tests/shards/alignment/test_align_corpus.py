"""Aligning a corpus: what is written, what is refused, resuming, and that readers find it; then real speech."""

import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from praatio import textgrid

from accent.errors import AccentError
from accent.features.phones import PHONES
from accent.features.textgrid import read_alignment
from launch import cli
from shards.alignment.align_corpus import AlignConfig, align_corpus
from shards.corpora import open_corpus
from shards.corpora.corpus import CorpusConfig
from shards.corpora.synthetic.demo import VOICES
from shards.corpora.synthetic.espeak import Synthesiser

pytest.importorskip("pocketsphinx")

SENTENCES = ("Please call Stella.", "Ask her to bring these things from the store.", "We also need a small snake.")


@pytest.fixture(scope="module")
def good(tmp_path_factory) -> Path:
    """Two speakers, three sentences each."""
    root, synthesiser = tmp_path_factory.mktemp("align") / "corpus", Synthesiser()
    for speaker in ("F1", "M1"):
        for kind in ("wav", "transcript"):
            (root / speaker / kind).mkdir(parents=True)
        for number, text in enumerate(SENTENCES):
            one = synthesiser.say(text, "en-us", VOICES[speaker])
            soundfile.write(root / speaker / "wav" / f"a{number}.wav", one.samples_N, one.rate, subtype="PCM_16")
            (root / speaker / "transcript" / f"a{number}.txt").write_text(text)
    (root / "speakers.tsv").write_text("speaker\taccent\nF1\tX\nM1\tX\n")
    return root


@pytest.fixture
def corpus(good, tmp_path) -> Path:
    return Path(shutil.copytree(good, tmp_path / "corpus"))


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_same_files_whatever_the_workers_and_the_interruptions(good, tmp_path):
    one, two = tmp_path / "one", tmp_path / "two"
    result = align_corpus(good, one, workers=1)
    assert (result.aligned, result.before, result.own, result.refused) == (6, 0, 0, ())
    align_corpus(good, two, AlignConfig(CorpusConfig(speakers=("M1",))), workers=2)
    (two / "M1/textgrid/a1.TextGrid").unlink()
    kept = (two / "M1/textgrid/a0.TextGrid").stat().st_mtime_ns
    result = align_corpus(good, two, workers=2)
    assert (result.aligned, result.before) == (4, 2)
    assert (two / "M1/textgrid/a0.TextGrid").stat().st_mtime_ns == kept
    assert contents(one) == contents(two)
    assert sorted(contents(one)) == [f"{speaker}/textgrid/a{n}.TextGrid" for speaker in ("F1", "M1") for n in range(3)]


def test_speech_of_another_language_is_refused_by_name(corpus, tmp_path):
    (corpus / "speakers.tsv").write_text("speaker\taccent\tlanguage\nF1\tX\ten-US\nM1\tX\tde\n")
    result = align_corpus(corpus, tmp_path / "out", workers=1)
    assert result.aligned == 3
    assert {one.reason for one in result.refused} == {"its language is 'de', and the dictionary is English"}
    assert {one.path.split("/")[0] for one in result.refused} == {"M1"} and len(result.refused) == 3


def test_what_cannot_be_aligned_is_refused_by_name_and_the_rest_is_done(corpus, tmp_path):
    (corpus / "F1/transcript/a0.txt").unlink()
    (corpus / "F1/transcript/a1.txt").write_text("Ask her to bring 42 zyzzyvax, zyzzyvax.")
    (corpus / "F1/wav/a2.wav").write_bytes(b"RIFF")
    (corpus / "M1/transcript/a0.txt").write_text(" ... ")
    (corpus / "M1/transcript/a1.txt").write_text("elephants and giraffes " * 30)
    result = align_corpus(corpus, tmp_path / "out")
    assert result.aligned == 1
    reasons = {one.path: one.reason for one in result.refused}
    assert list(reasons) == [f"F1/wav/a{n}.wav" for n in range(3)] + ["M1/wav/a0.wav", "M1/wav/a1.wav"]
    assert reasons["F1/wav/a0.wav"] == "no transcript"
    assert reasons["F1/wav/a1.wav"] == "not in the dictionary: 42, zyzzyvax"
    assert "not readable as sound" in reasons["F1/wav/a2.wav"]
    assert reasons["M1/wav/a0.wav"] == "no word in its transcript '...'"
    assert "its 90 words are not found" in reasons["M1/wav/a1.wav"]
    assert result.unknown_words == {"42": 1, "zyzzyvax": 1}
    assert list(contents(tmp_path / "out")) == ["M1/textgrid/a2.TextGrid"]


def test_a_dictionary_lets_unknown_words_in(corpus, tmp_path):
    (corpus / "F1/transcript/a0.txt").write_text("Please call Stelluh.")
    assert align_corpus(corpus, tmp_path / "out").unknown_words == {"stelluh": 1}
    (tmp_path / "mine.dict").write_text("STELLUH  S T EH1 L AH0\n")
    result = align_corpus(corpus, tmp_path / "out", dictionary=tmp_path / "mine.dict")
    assert (result.aligned, result.before, result.refused) == (1, 5, ())


def test_readers_find_the_textgrids_and_keep_those_of_the_corpus(corpus, tmp_path):
    out = tmp_path / "out"
    align_corpus(corpus, out)
    own = corpus / "F1/textgrid/a0.TextGrid"
    own.parent.mkdir()
    shutil.copy(out / "F1/textgrid/a1.TextGrid", own)
    assert align_corpus(corpus, tmp_path / "other").own == 1
    assert not (tmp_path / "other/F1/textgrid/a0.TextGrid").exists()
    found = {one.key: one.textgrid for one in open_corpus(corpus, CorpusConfig(alignments=str(out))).utterances}
    assert found.pop("F1-a0") == own
    assert len(found) == 5
    assert all(path == out / key[:2] / f"textgrid/{key[3:]}.TextGrid" for key, path in found.items())
    labels = {label for path in found.values() for _, _, label in read_alignment(path).intervals}
    assert "spn" not in labels
    assert {"sil", "S", "L"} <= labels <= set(PHONES)


def test_a_table_with_other_names_finds_its_textgrids_too(good, tmp_path):
    rows = [
        f'{good}/{speaker}/wav/a{n}.wav\tDr. {speaker}/é\tX\t"{text}"'
        for speaker in ("F1", "M1")
        for n, text in enumerate(SENTENCES)
    ]
    table = tmp_path / "table.tsv"
    table.write_text("path\tspeaker\taccent\ttext\n" + "\n".join(rows) + "\n")
    assert align_corpus(table, tmp_path / "out").aligned == 6
    found = open_corpus(table, CorpusConfig(alignments=str(tmp_path / "out"))).utterances
    assert len({one.textgrid for one in found if one.textgrid is not None}) == 6


@pytest.mark.parametrize("folder", ["none", "."])
def test_a_folder_without_textgrids_of_this_corpus_is_one_line(good, tmp_path, folder):
    with pytest.raises(AccentError, match=r"corpus\.alignments\).*accent align"):
        open_corpus(good, CorpusConfig(alignments=str(tmp_path / folder)))


def test_nothing_aligned_is_an_error_that_names_the_first(corpus, tmp_path):
    for path in corpus.rglob("*.txt"):
        path.write_text("42")
    with pytest.raises(AccentError, match=r"none of its 6 utterances .* F1/wav/a0\.wav: not in the dictionary: 42"):
        align_corpus(corpus, tmp_path / "out")


def test_the_command(corpus, tmp_path, monkeypatch, capsys):
    (corpus / "F1/transcript/a0.txt").write_text("Please call 42.")
    monkeypatch.setattr(sys, "argv", ["accent", "align", str(corpus), str(tmp_path / "out"), "corpus.speakers=[F1]"])
    with pytest.raises(SystemExit) as leaving:
        cli.main()
    printed = capsys.readouterr()
    assert not leaving.value.code
    assert "2 aligned, 0 aligned before, 0 with a TextGrid of their own, 1 refused" in printed.out
    assert "42 (1)" in printed.out
    assert "F1/wav/a0.wav" in printed.err


@pytest.mark.slow
def test_all_of_a_speaker_s_sentences_are_aligned(speechocean, tmp_path):
    result = align_corpus(speechocean, tmp_path, AlignConfig(CorpusConfig(speakers=("SO0024",))))
    assert result.aligned == 20
    assert result.refused == ()


@pytest.mark.parametrize(
    ("speakers", "least"),
    [(("ARA005",), 5), pytest.param(("ARA005", "CMN015", "ENG013"), 17, marks=pytest.mark.slow)],
)
def test_real_speech_is_aligned_as_it_was_from_the_whole_paragraph(saa8k, tmp_path, speakers, least):
    config = CorpusConfig(speakers=speakers)
    bare = tmp_path / "bare"
    for speaker in config.speakers:
        for kind in ("wav", "transcript"):
            (bare / speaker).mkdir(parents=True, exist_ok=True)
            (bare / speaker / kind).symlink_to(saa8k / speaker / kind)
    (bare / "speakers.tsv").write_text("speaker\taccent\n" + "".join(f"{one}\tX\n" for one in config.speakers))
    result = align_corpus(bare, tmp_path / "out")
    assert result.aligned >= least
    errors = []
    for path in sorted((tmp_path / "out").rglob("*.TextGrid")):
        theirs = saa8k / path.relative_to(tmp_path / "out")
        ends = [[(one.label.lower(), one.end) for one in words(file) if one.label] for file in (path, theirs)]
        assert [label for label, _ in ends[0]] == [label for label, _ in ends[1]]
        errors += [abs(mine - other) for (_, mine), (_, other) in zip(*ends, strict=True)]
    # A rounding of 10 ms lies on the edge.
    assert np.mean(np.array(errors) <= 0.0301) > 0.8
    assert np.mean(np.array(errors) <= 0.1001) > 0.9


def words(path: Path):
    return textgrid.openTextgrid(str(path), includeEmptyIntervals=False).getTier("words").entries
