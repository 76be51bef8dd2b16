"""Common Voice in miniature: the layout and the quirks of a release, listed and featurized."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from accent.configuration import load
from accent.errors import AccentError
from launch.run_config import find_config
from shards.corpora import Corpus, CorpusConfig, open_corpus
from shards.writing.processor import FeatureProcessor, FeaturizeConfig
from tests.support.sound.synthesis import vowel

HEADER = (
    "client_id\tpath\tsentence_id\tsentence\tsentence_domain\tup_votes\tdown_votes\tage\tgender\taccents\tvariant\tlocale"
    "\tsegment"
)
ANN, BOB, CEM, DEE, EVA, FAY = (f"{letter}{'0' * 127}" for letter in "abcdef")
US, ENGLAND, INDIA = "United States English", "England English", "India and South Asia (India, Pakistan, Sri Lanka)"
# client_id, number of the clip, sentence, age, gender, accents
CLIPS = [
    (ANN, 1, '"Oh no,', "twenties", "female_feminine", US),
    (ANN, 2, "don’t go", "twenties", "female_feminine", US),
    (ANN, 3, 'he said "yes"', "", "", ""),
    (BOB, 4, "don't go", "fourties", "male_masculine", f"{ENGLAND}|Received Pronunciation"),
    (BOB, 5, 'yes"', "fourties", "male_masculine", f"{ENGLAND},Received Pronunciation"),
    (CEM, 6, "fine", "", "do_not_wish_to_say", f"{INDIA}"),
    (CEM, 7, "a clip that is missing", "", "", INDIA),
    (CEM, 8, "a clip of no length", "", "", INDIA),
    (DEE, 9, "no accent", "", "", ""),
    (EVA, 10, "two accents", "", "other", f"{US}|{ENGLAND}"),
    (FAY, 11, "its own words", "", "", "a bit of everything"),
]


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of one language."""
    root = tmp_path_factory.mktemp("cv-corpus-21.0-2025-03-14") / "en"
    (root / "clips").mkdir(parents=True)
    rows = []
    for number, (client, clip, sentence, age, gender, accents) in enumerate(CLIPS):
        name = f"common_voice_en_{clip}.mp3"
        if clip == 8:
            (root / "clips" / name).touch()
        elif clip != 7:
            sound = vowel(100 + 10 * number, (600, 1200, 2500, 3500), 1.0)
            soundfile.write(root / "clips" / name, 0.3 * sound / np.abs(sound).max(), 16_000)
        cells = (client, name, f"{number:064x}", sentence, "", "2", "0", age, gender, accents, "", "en", "")
        rows.append("\t".join(cells))
    write(root / "validated.tsv", rows)
    write(root / "train.tsv", rows[:3])
    write(root / "dev.tsv", rows[3:5])
    write(root / "test.tsv", rows[5:6])
    write(root / "other.tsv", [])
    return root


def write(path: Path, rows: list[str], header: str = HEADER) -> None:
    path.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")


def packaged() -> CorpusConfig:
    settings = load(FeaturizeConfig, find_config("configs/corpora/common_voice.yaml", "corpora"))
    return replace(settings.corpus, min_clips=1)


def accents(corpus: Corpus) -> dict[str, str]:
    return {one.speaker: one.accent for one in corpus.utterances}


def reasons(corpus: Corpus) -> list[str]:
    return [one.reason for one in corpus.refused]


def test_accents_are_mapped_by_the_packaged_table_and_the_rest_is_counted(release: Path) -> None:
    corpus = open_corpus(release, packaged())
    assert corpus.name == "en"
    assert accents(corpus) == {ANN: "American", BOB: "English", CEM: "South Asian"}
    assert {
        "no accent given: 1 clips of 1 speakers",
        "several accents: American, English: 1 clips of 1 speakers",
        "accent not in corpus.accent_groups: a bit of everything: 1 clips of 1 speakers",
    } <= set(reasons(corpus))


def test_every_clip_keeps_what_the_release_says_of_it(release: Path) -> None:
    by_name = {one.path.stem.rpartition("_")[2]: one for one in open_corpus(release, packaged()).utterances}
    assert sorted(by_name, key=int) == ["1", "2", "3", "4", "5", "6", "8"]
    assert [by_name[name].text for name in ("1", "3", "5")] == ['"Oh no,', 'he said "yes"', 'yes"']
    assert by_name["2"].prompt == by_name["4"].prompt != by_name["1"].prompt
    assert [by_name[name].sex for name in ("1", "3", "4", "6")] == ["female", "female", "male", None]
    assert by_name["1"].extra["age"] == "twenties" and by_name["1"].extra["accents"] == US
    assert by_name["1"].key == "a00000000000-common_voice_en_1"


def test_a_clip_that_is_missing_is_refused_by_name(release: Path) -> None:
    missing = [one for one in open_corpus(release, packaged()).refused if one.path.startswith("clips/")]
    assert [(one.path, one.reason) for one in missing] == [
        ("clips/common_voice_en_7.mp3", "validated.tsv, line 8: no such file")
    ]


def test_without_groups_an_accent_is_what_speakers_write(release: Path) -> None:
    found = accents(open_corpus(release, CorpusConfig(kind="common_voice")))
    assert found == {ANN: US, CEM: INDIA, FAY: "a bit of everything"}


def test_speakers_with_few_clips_are_left_out_and_counted(release: Path) -> None:
    corpus = open_corpus(release, replace(packaged(), min_clips=3))
    assert set(accents(corpus)) == {ANN}
    assert "fewer than 3 clips (corpus.min_clips): 4 clips of 2 speakers" in reasons(corpus)


def test_the_releases_own_splits_are_taken_where_they_are_asked_for(release: Path) -> None:
    assert {one.split for one in open_corpus(release, packaged()).utterances} == {None}
    split = {one.speaker: one.split for one in open_corpus(release, replace(packaged(), use_splits=True)).utterances}
    assert split == {ANN: "train", BOB: "validation", CEM: "test"}


def test_the_column_of_older_releases_is_read(tmp_path: Path) -> None:
    (tmp_path / "clips").mkdir()
    (tmp_path / "clips" / "1.mp3").touch()
    write(
        tmp_path / "validated.tsv",
        [f"{ANN}\t1.mp3\thello\t2\t0\ttwenties\tfemale\tus\ten\t"],
        "client_id\tpath\tsentence\tup_votes\tdown_votes\tage\tgender\taccent\tlocale\tsegment",
    )
    assert accents(open_corpus(tmp_path, packaged())) == {ANN: "American"}


def test_a_release_of_which_nothing_can_be_used_is_one_line(release: Path) -> None:
    with pytest.raises(AccentError, match=r"validated\.tsv: no clip can be used: .*corpus\.accent_groups"):
        open_corpus(release, CorpusConfig(accent_groups={"Martian": "Martian"}))


def test_the_release_becomes_shards_and_a_clip_of_no_length_is_refused(release: Path, tmp_path: Path) -> None:
    shard_set = FeatureProcessor(release, tmp_path / "shards", FeaturizeConfig(packaged()), workers=2).process_dataset()
    assert len(shard_set) == 6 and shard_set.accents == ["American", "English", "South Asian"]
    refused = {one.path: one.reason for one in shard_set.manifest.refused}
    assert refused["clips/common_voice_en_8.mp3"] == "an empty file, 0 bytes"
