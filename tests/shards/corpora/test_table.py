"""Corpora given by a table file."""

import csv
import json
from pathlib import Path

import pytest

from accent.errors import AccentError
from shards.corpora import Corpus, CorpusConfig, open_corpus
from tests.support.sound.corpus_trees import write_sound

COLUMNS = ("path", "speaker", "accent", "gender", "text", "age")
ROWS = [
    dict(zip(COLUMNS, row, strict=True))
    for row in (
        ("clips/1.wav", "ann", "Irish", "F", 'She said "no", twice.', "40"),
        ("clips/2.wav", "ann", "Irish", "", "", "40"),
        ("clips/3.wav", "bob", "Scots", "male", "she said no TWICE", ""),
    )
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for row in ROWS:
        write_sound(tmp_path / row["path"])
    return tmp_path


def write(path: Path, rows: list[dict[str, str]], columns: list[str] | None = None) -> Path:
    if path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        return path
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(
            stream, columns or list(rows[0]), delimiter="\t" if path.suffix == ".tsv" else ",", restval=""
        )
        writer.writeheader()
        writer.writerows(rows)
    return path


def facts(corpus: Corpus) -> list[tuple[object, ...]]:
    return [
        (one.key, one.path, one.speaker, one.accent, one.text, one.sex, one.prompt, dict(one.extra))
        for one in corpus.utterances
    ]


@pytest.mark.parametrize("column", ["language", "locale"])
def test_a_row_may_say_its_language(folder: Path, column: str) -> None:
    rows = [{**row, column: language} for row, language in zip(ROWS, ("en", "de", ""), strict=True)]
    corpus = open_corpus(write(folder / "clips.tsv", rows))
    assert [one.language for one in corpus.utterances] == ["en", "de", None]
    assert corpus.utterances[1].extra["language"] == "de"


def test_the_three_formats_hold_the_same_corpus(folder: Path) -> None:
    corpora = [open_corpus(write(folder / f"clips{suffix}", ROWS)) for suffix in (".tsv", ".csv", ".jsonl")]
    assert facts(corpora[0]) == facts(corpora[1]) == facts(corpora[2])
    assert {corpus.refused for corpus in corpora} == {()}
    assert {corpus.name for corpus in corpora} == {"clips"}


def test_a_row_becomes_an_utterance(folder: Path) -> None:
    first, second, third = open_corpus(write(folder / "clips.tsv", ROWS)).utterances
    assert (first.key, first.path, first.speaker, first.accent) == ("ann-1", folder / "clips/1.wav", "ann", "Irish")
    assert (first.text, first.sex, dict(first.extra)) == ('She said "no", twice.', "female", {"age": "40"})
    # What one row says about a speaker holds for the others.
    assert second.sex == "female"
    # The same words are the same prompt; without a text and a prompt nobody knows what was read.
    assert first.prompt == third.prompt
    assert second.prompt == second.key


def test_every_optional_column_is_understood(folder: Path) -> None:
    (folder / "1.TextGrid").touch()
    row = {
        "path": "clips/1.wav", "speaker": "ann", "accent": "Irish", "sex": "female", "key": "take two", "prompt": "p7",
        "textgrid": "1.TextGrid", "split": "validation", "Region": "Cork",
    }  # fmt: skip
    (one,) = open_corpus(write(folder / "one.csv", [row])).utterances
    assert one.key.startswith("ann-take_two-")
    assert (one.prompt, one.split, one.sex, one.textgrid) == ("p7", "validation", "female", folder / "1.TextGrid")
    assert dict(one.extra) == {"region": "Cork"}


def test_paths_may_be_absolute_or_outside_the_folder_of_the_table(folder: Path) -> None:
    inside = folder / "tables"
    inside.mkdir()
    rows = [ROWS[0] | {"path": "../clips/1.wav"}, ROWS[2] | {"path": str(folder / "clips/3.wav")}]
    assert [one.path for one in open_corpus(write(inside / "t.tsv", rows)).utterances] == [
        folder / "clips/1.wav", folder / "clips/3.wav",
    ]  # fmt: skip


@pytest.mark.parametrize("suffix", [".tsv", ".csv", ".jsonl"])
@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"speaker": ""}, "line {line}: no speaker"),
        ({"path": "clips/9.wav"}, "line {line}: path clips/9.wav: no such file"),
        ({"path": "clips"}, "line {line}: path clips: not a file"),
        ({"path": "x" * 300}, "line {line}: path " + "x" * 300 + ": File name too long"),
    ],
)
def test_a_bad_row_is_refused_with_its_line_and_the_rest_is_used(
    folder: Path, suffix: str, change: dict[str, str], reason: str
) -> None:
    rows = [ROWS[0], ROWS[1] | change, ROWS[2]]
    corpus = open_corpus(write(folder / f"t{suffix}", rows, [*ROWS[0], "split", "textgrid"]))
    assert [one.path.stem for one in corpus.utterances] == ["1", "3"]
    line = 2 if suffix == ".jsonl" else 3
    assert [refusal.reason for refusal in corpus.refused] == [reason.format(line=line)]


def test_a_line_that_is_not_json_is_refused_with_its_number(folder: Path) -> None:
    table = write(folder / "t.jsonl", ROWS)
    table.write_text(table.read_text() + "\n{not json\n[1]\n")
    assert [refusal.reason.split(":")[0] for refusal in open_corpus(table).refused] == ["line 5", "line 6"]


def test_a_row_with_too_many_cells_is_refused(folder: Path) -> None:
    table = folder / "t.tsv"
    table.write_text("path\tspeaker\taccent\nclips/1.wav\tann\tIrish\nclips/2.wav\tann\tIrish\textra\n")
    assert [refusal.reason for refusal in open_corpus(table).refused] == [
        "line 3: 4 cells, but the header has 3 columns"
    ]


@pytest.mark.parametrize("suffix", [".tsv", ".csv", ".jsonl"])
def test_a_missing_column_is_named_with_the_columns_found(folder: Path, suffix: str) -> None:
    table = write(folder / f"t{suffix}", [{"path": "clips/1.wav", "speaker": "ann", "language": "Irish"}])
    with pytest.raises(AccentError, match=r"no column 'accent'; columns found: ") as caught:
        open_corpus(table)
    assert all(column in str(caught.value) for column in ("path", "speaker", "language"))


def test_two_columns_for_one_thing_are_refused(folder: Path) -> None:
    with pytest.raises(AccentError, match="'gender' and 'sex' mean the same"):
        open_corpus(write(folder / "t.csv", [ROWS[0] | {"sex": "female"}]))


def test_quotation_marks_swallow_no_row_of_a_tsv(folder: Path) -> None:
    table = folder / "t.tsv"
    texts = ['"oh no', 'a "b" c', 'yes"', '"all of it"', '"she said ""no"", twice"', '"']
    rows = "".join(f"clips/1.wav\tann\tIrish\t{number}\t{text}\n" for number, text in enumerate(texts))
    table.write_text("path\tspeaker\taccent\tutterance\ttext\n" + rows)
    found = [one.text for one in open_corpus(table).utterances]
    assert found == [*texts[:4], 'she said "no", twice', texts[5]]


def test_a_tsv_quoted_throughout_reads_as_it_is_meant(folder: Path) -> None:
    table = folder / "t.tsv"
    with table.open("w", newline="") as stream:
        csv.writer(stream, delimiter="\t", quoting=csv.QUOTE_ALL).writerows([COLUMNS, *(row.values() for row in ROWS)])
    assert facts(open_corpus(table))[0][4] == ROWS[0]["text"]


def test_rows_that_a_quotation_mark_swallows_in_a_csv_are_refused(folder: Path) -> None:
    table = folder / "t.csv"
    table.write_text(
        'path,speaker,accent,text\nclips/1.wav,ann,Irish,"oh\nclips/2.wav,ann,Irish,no\nclips/3.wav,ann,Irish,yes"\n'
        "clips/3.wav,bob,Scots,fine\n"
    )
    corpus = open_corpus(table)
    assert [one.speaker for one in corpus.utterances] == ["bob"]
    assert "lines 2 to 4 are one row" in corpus.refused[0].reason


@pytest.mark.parametrize(
    ("name", "content", "line"),
    [
        ("t.csv", "path;speaker;accent\na;b;c\n", "separated by semicolons: save it"),
        ("t.tsv", "path;speaker;accent\na;b;c\n", "separated by semicolons: save it"),
        ("t.csv", "path\tspeaker\taccent\n", "separated by tabs: save it"),
        ("t.tsv", "path,speaker,accent\n", "separated by commas: save it"),
        ("t.csv", "sep=,\npath,speaker,accent\n", "delete that line"),
        ("t.csv", "sep=;\npath;speaker;accent\n", "delete that line"),
        ("t.jsonl", '[{"path": "a", "speaker": "b", "accent": "c"}]\n', "a JSON array; write one object a line"),
        ("t.jsonl", '\n[\n  {"path": "a"}\n]\n', "a JSON array; write one object a line"),
        ("validated.tsv", "client_id\tpath\tsentence\n", "a table of Common Voice: give the folder"),
    ],
)
def test_another_kind_of_table_is_one_line_that_says_what_to_do(
    tmp_path: Path, name: str, content: str, line: str
) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(AccentError, match=line) as caught:
        open_corpus(tmp_path / name)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("word", "part"),
    [("dev", "validation"), ("Train", "train"), ("VALID", "validation"), ("Eval", "test"), ("Test ", "test")],
)
def test_customary_words_for_a_split_are_understood_in_any_case(folder: Path, word: str, part: str) -> None:
    rows = [ROWS[0] | {"split": word}]
    assert open_corpus(write(folder / "t.csv", rows)).utterances[0].split == part


def test_another_word_for_a_split_is_refused_with_those_there_are(folder: Path) -> None:
    rows = [ROWS[0] | {"split": "holdout"}, ROWS[2]]
    (refusal,) = open_corpus(write(folder / "t.csv", rows, [*ROWS[0], "split"])).refused
    assert "split 'holdout' is not one of train" in refusal.reason and "dev" in refusal.reason


def test_a_missing_textgrid_costs_no_recording(folder: Path) -> None:
    rows = [ROWS[0] | {"textgrid": "9.TextGrid"}]
    assert open_corpus(write(folder / "t.csv", rows)).utterances[0].textgrid == folder / "9.TextGrid"


@pytest.mark.parametrize("column", ["speaker", "accent", "text", "path", "age", "utterance"])
def test_half_a_character_refuses_its_row_alone(folder: Path, column: str) -> None:
    corpus = open_corpus(write(folder / "t.jsonl", [ROWS[0] | {column: "bad \ud83d"}, ROWS[2]]))
    assert [one.speaker for one in corpus.utterances] == ["bob"]
    assert "\\ud83d" in corpus.refused[0].reason
    str(corpus.refused).encode()


def test_one_name_in_two_compositions_is_one_speaker(folder: Path) -> None:
    rows = [ROWS[0] | {"speaker": "Jos\u00e9"}, ROWS[1] | {"speaker": "Jose\u0301", "accent": "Irish"}]
    corpus = open_corpus(write(folder / "t.csv", rows))
    assert {one.speaker for one in corpus.utterances} == {"Jos\u00e9"}
    assert open_corpus(folder / "t.csv", CorpusConfig(speakers=("Jose\u0301",))).utterances == corpus.utterances


@pytest.mark.parametrize("other", ["irish", "Irish\u200b", "IRISH", "Ir ish"])
def test_names_that_a_person_takes_for_one_are_told(folder: Path, other: str) -> None:
    rows = [ROWS[0], ROWS[2] | {"accent": other}]
    told = "differ only in case, spaces or characters that cannot be seen"
    assert any(told in line for line in open_corpus(write(folder / "t.csv", rows)).warnings)


@pytest.mark.parametrize("how", ["path", "copy", "link"])
def test_one_file_under_two_speakers_is_told(folder: Path, how: str) -> None:
    path = folder / "clips" / "1.wav"
    path.write_bytes(bytes(range(256)) * 100)
    other = folder / "clips" / {"path": "1.wav", "copy": "c.wav", "link": "l.wav"}[how]
    if how == "copy":
        other.write_bytes(path.read_bytes())
    if how == "link":
        other.symlink_to(path)
    rows = [ROWS[0], ROWS[2] | {"path": f"clips/{other.name}"}]
    (line,) = open_corpus(write(folder / "t.csv", rows)).warnings
    assert "the same sound is given to 2 speakers (ann, bob)" in line


def test_different_files_of_one_size_are_not_told(folder: Path) -> None:
    (folder / "clips" / "1.wav").write_bytes(b"a" * 9000)
    (folder / "clips" / "3.wav").write_bytes(b"a" * 8999 + b"b")
    assert open_corpus(write(folder / "t.csv", [ROWS[0], ROWS[2]])).warnings == ()


def test_files_whose_names_repeat_in_a_speakers_folders_are_named_by_their_path(folder: Path) -> None:
    rows = [ROWS[0] | {"path": f"wav/id1/{video}/00001.wav"} for video in ("1zcI", "7hY_x")]
    for row in rows:
        write_sound(folder / row["path"])
    assert [one.key for one in open_corpus(write(folder / "t.csv", rows)).utterances] == [
        "ann-1zcI_00001",
        "ann-7hY_x_00001",
    ]


def test_a_row_that_comes_twice_is_refused_once(folder: Path) -> None:
    corpus = open_corpus(write(folder / "t.csv", [ROWS[0], ROWS[2], ROWS[0]]))
    assert len(corpus.utterances) == 2
    assert [one.reason for one in corpus.refused] == ["line 4: the same file and speaker as line 2"]


@pytest.mark.parametrize(
    ("fact", "one", "two"),
    [("accent", "Irish", "Scots"), ("gender", "f", "m"), ("split", "train", "test")],
)
def test_a_speaker_of_whom_two_things_are_said_is_refused(folder: Path, fact: str, one: str, two: str) -> None:
    rows = [ROWS[0] | {fact: one}, ROWS[1] | {fact: two}]
    with pytest.raises(AccentError, match=r"speaker ann has .*1\.wav and '.*2\.wav; a speaker has one"):
        open_corpus(write(folder / "t.csv", rows))


def test_two_rows_with_one_key_name_both_files(folder: Path) -> None:
    write_sound(folder / "more" / "1.wav")
    with pytest.raises(AccentError, match=r"the key ann-1: .*clips/1\.wav and .*more/1\.wav"):
        open_corpus(write(folder / "t.csv", [ROWS[0] | {"key": "1"}, ROWS[0] | {"key": "1", "path": "more/1.wav"}]))


def test_speakers_and_accents_choose_rows(folder: Path) -> None:
    table = write(folder / "t.csv", ROWS)
    assert {one.speaker for one in open_corpus(table, CorpusConfig(accents=("Scots",))).utterances} == {"bob"}
    assert {one.speaker for one in open_corpus(table, CorpusConfig(speakers=("ann",))).utterances} == {"ann"}
    with pytest.raises(AccentError, match=r"no speaker 'bobb' .*did you mean 'bob'"):
        open_corpus(table, CorpusConfig(speakers=("bobb",)))


@pytest.mark.parametrize(
    ("name", "content", "line"),
    [
        ("t.xlsx", b"", "a table is a .tsv, .csv, .jsonl file, not '.xlsx'"),
        ("t.csv", b"", "no column 'path'; columns found: none"),
        ("t.csv", b"path,speaker,accent\n", "no usable sound file"),
        ("t.csv", b"path,speaker,accent\nx.wav,ann,caf\xe9\n", "not UTF-8"),
        ("t.csv", b"path,speaker,accent\nx.wav,ann,Irish\n", "no usable sound file .*line 2: path x.wav: no such file"),
    ],
)
def test_a_table_without_use_is_one_line(tmp_path: Path, name: str, content: bytes, line: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(AccentError, match=line) as caught:
        open_corpus(tmp_path / name)
    assert "\n" not in str(caught.value)


def test_other_words_for_sex_are_kept_and_count_as_not_given(folder: Path) -> None:
    (one,) = open_corpus(write(folder / "t.csv", [ROWS[0] | {"gender": "non-binary"}])).utterances
    assert one.sex is None
    assert one.extra["sex"] == "non-binary"
