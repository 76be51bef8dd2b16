"""L2-ARCTIC as distributed, in miniature."""

import re
from collections import Counter
from pathlib import Path

import pytest

from accent.configuration import load
from accent.errors import AccentError
from shards.corpora import CorpusConfig, open_corpus
from shards.corpora.l2arctic import SPEAKERS
from shards.writing.plan import FeaturizeConfig
from tests.conftest import REPOSITORY
from tests.support.sound.corpus_trees import write_speaker

HINDI_SPANISH = {
    "ASI": "Hindi", "RRBI": "Hindi", "SVBI": "Hindi", "TNI": "Hindi",
    "EBVS": "Spanish", "ERMS": "Spanish", "MBMPS": "Spanish", "NJS": "Spanish",
}  # fmt: skip


@pytest.fixture
def l2arctic(tmp_path: Path) -> Path:
    """All 24 speakers with two sentences, some nested as unzipping leaves them, and the suitcase stories."""
    root = tmp_path / "l2arctic_release_v5.0"
    for position, name in enumerate(SPEAKERS):
        folder = root / name / name if position % 3 == 0 else root / name
        write_speaker(folder, annotated=("arctic_a0002",))
    told = [name.lower() for name in SPEAKERS if name not in ("SKA", "ASI")]
    write_speaker(root / "suitcase_corpus", told, annotated=told)
    (root / "LICENSE").write_text("CC BY-NC 4.0", encoding="utf-8")
    (root / "PROMPTS").mkdir()
    return root


def corpus_section(name: str) -> CorpusConfig:
    return load(FeaturizeConfig, REPOSITORY / "configs" / "corpora" / name).corpus


def test_the_table_has_six_languages_with_two_women_and_two_men_each() -> None:
    assert len(SPEAKERS) == 24
    assert set(Counter(SPEAKERS.values()).values()) == {2}
    assert {language for language, _ in SPEAKERS.values()} == {
        "Arabic", "Hindi", "Korean", "Mandarin", "Spanish", "Vietnamese",
    }  # fmt: skip


def test_every_speaker_of_the_table_is_read_with_language_and_sex(l2arctic: Path) -> None:
    corpus = open_corpus(l2arctic)
    assert corpus.name == "l2arctic"
    assert corpus.refused == ()
    assert {(one.speaker, one.accent, one.sex) for one in corpus.utterances} == {
        (name, accent, sex) for name, (accent, sex) in SPEAKERS.items()
    }


def test_keys_are_unique_sorted_and_plain(l2arctic: Path) -> None:
    keys = [one.key for one in open_corpus(l2arctic).utterances]
    assert keys == sorted(set(keys))
    assert len(keys) == 24 * 2
    assert all(re.fullmatch(r"[A-Za-z0-9_-]+", key) for key in keys)


def test_nested_and_flat_folders_read_alike(tmp_path: Path) -> None:
    write_speaker(tmp_path / "flat" / "NJS")
    write_speaker(tmp_path / "nested" / "NJS" / "NJS")
    flat, nested = (open_corpus(tmp_path / name).utterances for name in ("flat", "nested"))
    assert [(one.key, one.text, one.prompt) for one in flat] == [(one.key, one.text, one.prompt) for one in nested]
    assert all(one.path.is_file() and one.textgrid and one.textgrid.is_file() for one in (*flat, *nested))


def test_an_utterance_carries_transcript_textgrid_prompt_and_annotation(l2arctic: Path) -> None:
    first, second = (one for one in open_corpus(l2arctic).utterances if one.speaker == "SKA")
    assert first.key == "SKA-arctic_a0001"
    assert (first.prompt, first.text) == ("arctic_a0001", "Author of the danger trail 1.")
    assert first.path == l2arctic / "SKA" / "wav" / "arctic_a0001.wav"
    assert first.textgrid == l2arctic / "SKA" / "textgrid" / "arctic_a0001.TextGrid"
    assert dict(first.extra) == {}
    assert dict(second.extra) == {"annotation": "SKA/annotation/arctic_a0002.TextGrid"}


def test_speakers_share_the_prompts_of_read_speech(l2arctic: Path) -> None:
    prompts = Counter(one.prompt for one in open_corpus(l2arctic).utterances)
    assert prompts == {"arctic_a0001": 24, "arctic_a0002": 24}


def test_read_speech_leaves_the_suitcase_corpus_out(l2arctic: Path) -> None:
    assert not any("suitcase" in str(one.path) for one in open_corpus(l2arctic).utterances)


def test_the_suitcase_part_reads_only_stories_each_with_a_prompt_of_its_own(l2arctic: Path) -> None:
    corpus = open_corpus(l2arctic, corpus_section("l2arctic_suitcase.yaml"))
    assert corpus.name == "l2arctic-suitcase"
    assert {one.speaker for one in corpus.utterances} == set(SPEAKERS) - {"SKA", "ASI"}
    assert len({one.prompt for one in corpus.utterances}) == len(corpus.utterances) == 22
    assert all(one.path.parent == l2arctic / "suitcase_corpus" / "wav" for one in corpus.utterances)
    assert all(one.accent == SPEAKERS[one.speaker][0] for one in corpus.utterances)


def test_a_speaker_who_told_no_story_is_refused_by_name(l2arctic: Path) -> None:
    corpus = open_corpus(l2arctic, CorpusConfig(part="suitcase", speakers=("ASI", "TNI")))
    assert [one.speaker for one in corpus.utterances] == ["TNI"]
    assert [refusal.reason for refusal in corpus.refused] == ["ASI did not record the suitcase story"]


def test_the_hindi_spanish_configuration_selects_exactly_the_eight(l2arctic: Path) -> None:
    corpus = open_corpus(l2arctic, corpus_section("l2arctic_hindi_spanish.yaml"))
    assert {one.speaker: one.accent for one in corpus.utterances} == HINDI_SPANISH


def test_the_configuration_of_all_names_all_and_tells_of_a_missing_one(l2arctic: Path) -> None:
    config = corpus_section("l2arctic.yaml")
    assert sorted(config.speakers) == sorted(SPEAKERS)
    assert len(open_corpus(l2arctic, config).utterances) == 48
    (l2arctic / "TLV").rename(l2arctic.parent / "TLV")
    with pytest.raises(AccentError, match=r"no sound of TLV \(SPEAKER/wav\); unpack TLV\.zip there"):
        open_corpus(l2arctic, config)
    (l2arctic / "ABA").rename(l2arctic.parent / "ABA")
    with pytest.raises(AccentError, match=r"no sound of ABA, TLV \(SPEAKER/wav\); unpack ABA\.zip and the others"):
        open_corpus(l2arctic, config)


def test_accents_choose_their_speakers(l2arctic: Path) -> None:
    corpus = open_corpus(l2arctic, CorpusConfig(accents=("Korean",)))
    assert {one.speaker for one in corpus.utterances} == {"HJK", "HKK", "YDCK", "YKWK"}


def test_a_part_of_the_release_is_read_where_no_speaker_is_named(tmp_path: Path) -> None:
    write_speaker(tmp_path / "ABA")
    assert {one.speaker for one in open_corpus(tmp_path).utterances} == {"ABA"}


def test_a_stranger_among_the_speakers_is_refused_and_the_rest_is_used(l2arctic: Path) -> None:
    write_speaker(l2arctic / "BDL")
    corpus = open_corpus(l2arctic)
    assert len(corpus.utterances) == 48
    assert [(refusal.path, "not a speaker" in refusal.reason) for refusal in corpus.refused] == [("BDL", True)]


@pytest.mark.parametrize(
    ("config", "line"),
    [
        (CorpusConfig(speakers=("EBSV",)), "no speaker 'EBSV' .*did you mean 'EBVS'"),
        (CorpusConfig(accents=("French",)), "no accent 'French' .*there are: Arabic, Hindi"),
        (CorpusConfig(speakers=("TNI",), accents=("Korean",)), "none of corpus.speakers has one of corpus.accents"),
    ],
)
def test_a_choice_that_does_not_exist_is_one_line(l2arctic: Path, config: CorpusConfig, line: str) -> None:
    with pytest.raises(AccentError, match=line) as caught:
        open_corpus(l2arctic, config)
    assert "\n" not in str(caught.value)


def test_packed_archives_are_to_be_unzipped(tmp_path: Path) -> None:
    (tmp_path / "ABA.zip").touch()
    with pytest.raises(AccentError, match=r"still packed here \(ABA\.zip"):
        open_corpus(tmp_path)


def test_a_corpus_one_folder_deeper_is_pointed_at(l2arctic: Path) -> None:
    with pytest.raises(AccentError, match=f"one folder deeper; give {re.escape(str(l2arctic))}"):
        open_corpus(l2arctic.parent)
