"""Converted speech whose direction is known: itself, another speaker of the target accent, another voice."""

import json
import shutil

import numpy as np
import pytest
import soundfile

import accent as accent_package
from tests.support.sound.changed_voice import change_voice

SOURCE = "ARA004"
NAMES = [f"arctic_a000{number}" for number in (1, 2)]


@pytest.fixture(scope="module")
def folders(saa, tmp_path_factory):
    """Two recordings of an Arab, and what they are "converted" into: themselves (`same`), themselves with other words
    (`words`) or in another voice (`voice`), the same texts by another Arab (`own`) and by a Mandarin (`target`).

    All three speakers trained the model, which is too small to know the accents of others.
    """
    root = tmp_path_factory.mktemp("conversions")
    for folder, speaker in (("source", SOURCE), ("same", SOURCE), ("target", "CMN007"), ("own", "ARA086")):
        (root / folder).mkdir()
        for name in NAMES:
            shutil.copy(saa / speaker / "wav" / f"{name}.wav", root / folder)
    (root / "words").mkdir()
    for name, other in zip(NAMES, [*NAMES[1:], NAMES[0]], strict=True):
        shutil.copy(root / "source" / f"{other}.wav", root / "words" / f"{name}.wav")
        change_voice(root / "source" / f"{name}.wav", root / "voice" / f"{name}.wav", formants=0.9, pitch=0.8)
    return root


@pytest.fixture(scope="module")
def judged():
    """Answers that there are already."""
    return {}


@pytest.fixture
def judge(accent, saa_listening_run, folders, judged):
    def run(converted):
        if converted not in judged:
            words = ["convert-eval", saa_listening_run, folders / "source", folders / converted, "Mandarin"]
            status, lines, errors = accent(*words, "--own", "Arabic", "--json")
            assert status == 0 and errors == []
            judged[converted] = [json.loads(line) for line in lines]
        return judged[converted]

    return run


def mean(rows, name):
    return np.mean([row[name] for row in rows])


def test_what_was_not_converted_has_not_moved(judge):
    rows = judge("same")
    assert [row["name"] for row in rows] == NAMES
    for row in rows:
        assert row["progress"] == row["toward_target"] == row["away_from_own"] == row["phone_error_rate"] == 0
        assert row["log_odds_before"] == row["log_odds_after"]
        assert row["speaker_similarity"] == pytest.approx(1) and row["same_speaker"]


def test_a_speaker_of_the_target_accent_moves_toward_it_and_is_another_speaker(judge):
    target, own = judge("target"), judge("own")
    assert mean(target, "progress") > 0.3 and mean(target, "progress") > mean(own, "progress") + 0.2
    assert mean(target, "toward_target") > 0.1 and mean(target, "away_from_own") > 0.1
    assert mean(target, "log_odds_after") > mean(target, "log_odds_before")
    assert not any(row["same_speaker"] for row in target)


def test_another_voice_keeps_the_words_and_other_words_keep_the_voice(judge):
    voice, words, target = judge("voice"), judge("words"), judge("target")
    assert mean(voice, "phone_error_rate") < 0.7 * mean(words, "phone_error_rate")
    assert all(row["same_speaker"] for row in words) and not any(row["same_speaker"] for row in voice)
    assert mean(voice, "speaker_similarity") < mean(words, "speaker_similarity") - 0.1
    assert mean(target, "speaker_similarity") < mean(voice, "speaker_similarity")
    assert abs(mean(voice, "progress")) < mean(target, "progress")


def test_the_figures_are_those_of_their_definitions(judge, saa_listening_run, folders):
    model = accent_package.load(saa_listening_run)
    own, target = (model.profiles.embedding_AE[model.accents.index(name)] for name in ("Arabic", "Mandarin"))
    for row in judge("target"):
        before, after = (model.embed(folders / place / f"{row['name']}.wav") for place in ("source", "target"))
        assert row["toward_target"] == pytest.approx(float(after @ target - before @ target), abs=1e-4)
        assert row["away_from_own"] == pytest.approx(float(before @ own - after @ own), abs=1e-4)
        share = np.dot(after - before, target - own) / np.dot(target - own, target - own)
        assert row["progress"] == pytest.approx(share, abs=1e-4)
        for name, place in (("log_odds_before", "source"), ("log_odds_after", "target")):
            chances = model.identify(folders / place / f"{row['name']}.wav").probabilities
            assert row[name] == pytest.approx(np.log(chances["Mandarin"] / chances["Arabic"]), abs=1e-3)


def test_a_folder_of_speech_can_be_the_target_and_people_read_a_table(
    accent, saa_listening_run, folders, saa, tmp_path
):
    pd = pytest.importorskip("pandas")
    table = tmp_path / "conversion.csv"
    words = ["convert-eval", saa_listening_run, folders / "source", folders / "target", saa / "CMN007", "-o", table]
    status, lines, errors = accent(*words, "--own", "Arabic")
    found = pd.read_csv(table)
    assert status == 0 and errors == [] and any("phone error rate of other words" in line for line in lines)
    assert found["log_odds_after"].isna().all() and (found["progress"] > 0.3).all() and len(found) == 2


def test_what_cannot_be_matched_or_used_is_named(accent, saa_listening_run, folders, saa, tmp_path):
    shutil.copytree(folders / "source", tmp_path / "source")
    shutil.copytree(folders / "target", tmp_path / "converted")
    shutil.copy(folders / "source" / "arctic_a0001.wav", tmp_path / "source" / "third.wav")
    shutil.copy(folders / "target" / "arctic_a0001.wav", tmp_path / "converted" / "other.wav")
    soundfile.write(tmp_path / "converted" / "arctic_a0002.wav", np.zeros(16_000), 16_000)
    words = ["convert-eval", saa_listening_run, tmp_path / "source", tmp_path / "converted"]
    status, lines, errors = accent(*words, "Mandarin", "--own", "Arabic", "--json")
    assert status == 1 and [json.loads(line)["name"] for line in lines] == ["arctic_a0001"]
    assert [error.split(":")[1].strip() for error in errors] == ["third", "other", "arctic_a0002"]
    status, lines, errors = accent(*words, "Arabic", "--own", "Arabic")
    assert status == 2 and "already speaks Arabic" in errors[-1]
    status, lines, errors = accent(*words, "Klingon")
    assert status == 2 and lines == [] and "it knows Arabic, French, Mandarin" in errors[-1]
    status, lines, errors = accent(*words[:3], saa / "CMN007", "Mandarin")
    assert status == 2 and lines == [] and "no recording of" in errors[-1]
