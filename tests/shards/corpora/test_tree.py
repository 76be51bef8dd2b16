"""Trees in L2-ARCTIC's layout with a speakers.tsv, and what names prompts."""

import re
from collections import Counter, defaultdict
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accent.configuration import load
from accent.errors import AccentError
from shards.corpora import CorpusConfig, open_corpus
from shards.corpora.corpus import key_of
from shards.corpora.prompts import normalise_text, prompts_by_name_and_text
from tests.support.sound.corpus_trees import write_sound, write_speaker


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Two women of Norway, one man of Wales."""
    root = tmp_path / "voices"
    for name in ("ANNA", "BERIT", "CARWYN"):
        write_speaker(root / name)
    write_table(root, "ANNA\tNorwegian\tF\tOslo", "BERIT\tNorwegian\tfemale\t", "CARWYN\tWelsh\tm\tBangor")
    return root


def write_table(root: Path, *rows: str, header: str = "speaker\taccent\tgender\torigin") -> None:
    (root / "speakers.tsv").write_text("\n".join((header, *rows)) + "\n", encoding="utf-8")


def refusals(root: Path, config: CorpusConfig | None = None) -> list[tuple[str, str]]:
    return [(refusal.path, refusal.reason) for refusal in open_corpus(root, config).refused]


def test_speech_accent_archive_has_twenty_speakers_of_five_accents_with_alignments(saa: Path) -> None:
    corpus = open_corpus(saa)
    assert corpus.refused == ()
    assert set(Counter(one.speaker for one in corpus.utterances).values()) == {6}
    speakers = {(one.speaker, one.accent, one.sex) for one in corpus.utterances}
    assert Counter(accent for _, accent, _ in speakers) == dict.fromkeys(
        ("Arabic", "English", "French", "Mandarin", "Spanish"), 4
    )
    assert {sex for _, _, sex in speakers} == {"male"}
    assert all(one.textgrid and one.textgrid.is_file() and one.path.is_file() for one in corpus.utterances)
    # Everybody reads the same six phrases under the same names.
    assert Counter(one.prompt for one in corpus.utterances) == {f"arctic_a000{number}": 20 for number in range(1, 7)}


def test_names_that_stand_for_different_texts_do_not_name_prompts(speechocean: Path) -> None:
    corpus = open_corpus(speechocean)
    assert (len(corpus.utterances), corpus.refused) == (64 * 20, ())
    texts_of_prompt, prompts_of_text = defaultdict(set), defaultdict(set)
    for one in corpus.utterances:
        assert one.path.suffix == ".flac"
        words = " ".join((one.text or "").lower().split())
        texts_of_prompt[one.prompt].add(words)
        prompts_of_text[words].add(one.prompt)
    assert {len(texts) for texts in texts_of_prompt.values()} == {1}
    assert {len(prompts) for prompts in prompts_of_text.values()} == {1}


def test_the_table_gives_accent_sex_and_everything_else(tree: Path) -> None:
    corpus = open_corpus(tree)
    assert (corpus.name, corpus.refused) == ("voices", ())
    facts = {one.speaker: (one.accent, one.sex, dict(one.extra)) for one in corpus.utterances}
    assert facts == {
        "ANNA": ("Norwegian", "female", {"origin": "Oslo"}),
        "BERIT": ("Norwegian", "female", {}),
        "CARWYN": ("Welsh", "male", {"origin": "Bangor"}),
    }


def test_a_table_saved_by_a_spreadsheet_reads_the_same(tree: Path) -> None:
    before = open_corpus(tree)
    table = tree / "speakers.tsv"
    table.write_bytes(b"\xef\xbb\xbf" + table.read_bytes().replace(b"\n", b"\r\n"))
    assert open_corpus(tree) == before


def test_every_sound_format_is_found_in_any_case(tree: Path) -> None:
    for name in ("a.FLAC", "b.ogg", "c.Mp3", "d.WAV", "e.txt", "._f.wav"):
        (tree / "ANNA" / "wav" / name).touch()
    assert {one.path.name for one in open_corpus(tree).utterances if one.speaker == "ANNA"} == {
        "arctic_a0001.wav", "arctic_a0002.wav", "a.FLAC", "b.ogg", "c.Mp3", "d.WAV",
    }  # fmt: skip


def test_a_speaker_absent_from_the_table_is_refused_file_by_file(tree: Path) -> None:
    write_speaker(tree / "DORIS")
    assert refusals(tree) == [
        (f"DORIS/wav/arctic_a000{number}.wav", "speaker DORIS is not in speakers.tsv") for number in (1, 2)
    ]
    assert {one.speaker for one in open_corpus(tree).utterances} == {"ANNA", "BERIT", "CARWYN"}


def test_a_row_without_sound_is_refused(tree: Path) -> None:
    write_table(tree, "ANNA\tNorwegian", "EVAN\tWelsh", "BERIT\tNorwegian", "CARWYN\tWelsh", header="speaker\taccent")
    ((path, reason),) = refusals(tree)
    assert path == "EVAN"
    assert reason.startswith("speaker EVAN is in speakers.tsv but has no sound in")


def test_a_row_without_an_accent_is_refused_with_its_line(tree: Path) -> None:
    write_table(tree, "ANNA\tNorwegian", "BERIT\t", "CARWYN\tWelsh", header="speaker\taccent")
    assert ("speakers.tsv", "line 3: no accent") in refusals(tree)
    assert {one.speaker for one in open_corpus(tree).utterances} == {"ANNA", "CARWYN"}


def test_wanted_speakers_without_sound_stop_everything(tree: Path) -> None:
    write_table(tree, "ANNA\tNorwegian", "EVAN\tWelsh", header="speaker\taccent")
    with pytest.raises(AccentError, match=r"speaker EVAN .*leave EVAN out of corpus\.speakers"):
        open_corpus(tree, CorpusConfig(speakers=("ANNA", "EVAN")))
    with pytest.raises(AccentError, match=r"no speaker 'ANA'.*did you mean 'ANNA'"):
        open_corpus(tree, CorpusConfig(speakers=("ANA",)))


def test_a_choice_of_speakers_refuses_nothing_of_the_others(tree: Path) -> None:
    write_speaker(tree / "DORIS")
    assert refusals(tree, CorpusConfig(speakers=("ANNA",))) == []


def test_a_transcript_that_is_no_text_refuses_its_recording_alone(tree: Path) -> None:
    (tree / "ANNA" / "transcript" / "arctic_a0001.txt").write_bytes(b"caf\xe9")
    ((path, reason),) = refusals(tree)
    assert path == "ANNA/wav/arctic_a0001.wav"
    assert "transcript" in reason
    assert len(open_corpus(tree).utterances) == 5


@pytest.mark.parametrize(
    ("rows", "line"),
    [
        (
            ("ANNA\tNorwegian", "ANNA\tWelsh"),
            "ANNA is listed twice, as Norwegian on line 2 and as Welsh on line 3",
        ),
        ((), "no speaker is listed"),
    ],
)
def test_a_table_that_contradicts_itself_is_one_line(tree: Path, rows: tuple[str, ...], line: str) -> None:
    write_table(tree, *rows, header="speaker\taccent")
    with pytest.raises(AccentError, match=line):
        open_corpus(tree)


def test_a_missing_column_is_named_with_the_columns_found(tree: Path) -> None:
    write_table(tree, "ANNA\tNorwegian", header="speaker\tlanguage")
    with pytest.raises(AccentError, match=r"speakers\.tsv: no column 'accent'; columns found: speaker, language"):
        open_corpus(tree)


@pytest.mark.parametrize("content", [[], ["speakers.tsv"]])
def test_an_empty_corpus_is_one_line(tmp_path: Path, content: list[str]) -> None:
    for _ in content:
        write_table(tmp_path, "ANNA\tNorwegian", header="speaker\taccent")
    with pytest.raises(AccentError) as caught:
        open_corpus(tmp_path)
    assert str(tmp_path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_folder_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(AccentError, match="nowhere: no such corpus"):
        open_corpus(tmp_path / "nowhere")


def test_two_files_with_one_key_are_both_named(tree: Path) -> None:
    write_sound(tree / "ANNA" / "wav" / "arctic_a0001.flac")
    with pytest.raises(AccentError, match=r"ANNA-arctic_a0001: .*a0001\.flac and .*a0001\.wav"):
        open_corpus(tree)


def test_a_kind_that_does_not_fit_the_source_is_told(tree: Path) -> None:
    for kind, source in (("table", tree), ("tree", tree / "speakers.tsv"), ("l2arctic", tree / "speakers.tsv")):
        with pytest.raises(AccentError, match=f"corpus.kind={kind} needs"):
            open_corpus(source, load(CorpusConfig, {"kind": kind}))
    with pytest.raises(AccentError, match="suitcase"):
        open_corpus(tree, CorpusConfig(part="suitcase"))


def test_a_choice_listed_twice_is_refused() -> None:
    with pytest.raises(AccentError, match="speakers: 'ANNA' is listed twice"):
        load(CorpusConfig, {"speakers": ["ANNA", "ANNA"]})


names = st.text(alphabet="aA1_-. é张", min_size=1, max_size=6)


@given(st.sets(names, min_size=2, max_size=8))
def test_names_that_need_cleaning_keep_different_keys(several: set[str]) -> None:
    keys = {key_of("S", name) for name in several}
    assert len(keys) == len(several)
    assert all(re.fullmatch(r"[A-Za-z0-9_-]+", key) for key in keys)


@given(st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from((None, "One, two.", "one two", "Three"))), max_size=8))
def test_transcribed_utterances_share_a_prompt_exactly_when_they_share_the_text(
    rows: list[tuple[str, str | None]],
) -> None:
    prompts = prompts_by_name_and_text(
        [name for name, _ in rows], [text for _, text in rows], [f"key{number}" for number in range(len(rows))]
    )
    for (_, text), prompt in zip(rows, prompts, strict=True):
        for (_, other), another in zip(rows, prompts, strict=True):
            if text and other:
                assert (prompt == another) == (normalise_text(text) == normalise_text(other))


def test_a_name_is_the_prompt_while_it_stands_for_one_text() -> None:
    assert prompts_by_name_and_text(["a", "a", "a"], ["Go on.", "go on", None], ["k1", "k2", "k3"]) == ["a", "a", "a"]
    assert prompts_by_name_and_text(["a", "a"], [None, None], ["k1", "k2"]) == ["a", "a"]


def test_an_untranscribed_utterance_under_an_ambiguous_name_has_a_prompt_of_its_own() -> None:
    prompts = prompts_by_name_and_text(["a", "a", "a"], ["Go on.", "Stop.", None], ["k1", "k2", "k3"])
    assert prompts[2] == "k3"
    assert len(set(prompts)) == 3


@pytest.mark.parametrize(
    ("one", "other"),
    [("दिन", "दीन"), ("ไก่", "ไก้"), ("kí", "kì"), ("naïve", "naive"), ("کِتاب", "کُتاب")],
)
def test_texts_that_differ_in_a_sign_of_a_letter_differ(one: str, other: str) -> None:
    assert normalise_text(one) != normalise_text(other)


@pytest.mark.parametrize("apostrophe", "\u2019\u2018\u02bc\u0060\u00b4\uff07")
def test_an_apostrophe_is_one_however_it_is_typed(apostrophe: str) -> None:
    assert normalise_text(f"Don{apostrophe}t go") == "don't go"
    assert normalise_text(f"{apostrophe}Go!{apostrophe} she said.") == "go she said"


@pytest.mark.parametrize(
    ("one", "other"), [("Jos\u00e9", "Jose\u0301"), ("go\u200b on", "go on"), ("Go \u2764\ufe0f on", "go on")]
)
def test_texts_that_sound_the_same_are_the_same(one: str, other: str) -> None:
    assert normalise_text(one) == normalise_text(other)


def test_a_name_that_is_not_utf_8_is_refused_under_an_escaped_name(tree: Path) -> None:
    sound = (tree / "ANNA" / "wav" / "arctic_a0001.wav").read_bytes()
    with open(bytes(tree) + b"/ANNA/wav/caf\xe9.wav", "wb") as file:
        file.write(sound)
    assert refusals(tree) == [("ANNA/wav/caf\\xe9.wav", "its name is not UTF-8; rename it")]
    assert len(open_corpus(tree).utterances) == 6


def test_a_speakers_folder_in_the_other_composition_is_found(tree: Path) -> None:
    write_speaker(tree / "Jose\u0301")
    write_table(tree, "Jos\u00e9\tSpanish", header="speaker\taccent")
    assert {one.speaker for one in open_corpus(tree).utterances} == {"Jos\u00e9"}


def test_sound_in_folders_of_a_speakers_own_is_named_by_its_path(tree: Path) -> None:
    for video in ("1zcI", "7hY"):
        write_sound(tree / "id10001" / video / "00001.wav")
    write_table(tree, "id10001\tIndia", header="speaker\taccent")
    assert [one.key for one in open_corpus(tree).utterances] == ["id10001-1zcI_00001", "id10001-7hY_00001"]


def test_a_folder_that_cannot_be_listed_is_refused_and_the_rest_is_used(
    tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    listed = Path.iterdir

    def refusing(folder: Path) -> object:
        if folder == tree / "ANNA" / "wav":
            raise PermissionError(13, "Permission denied", str(folder))
        return listed(folder)

    monkeypatch.setattr(Path, "iterdir", refusing)
    assert ("ANNA/wav", "cannot be listed: Permission denied") in refusals(tree)
    assert {one.speaker for one in open_corpus(tree).utterances} == {"BERIT", "CARWYN"}
