"""What should have been said: a text is aligned, and what comes first where several say it."""

import json
import shutil

import numpy as np
import pytest

from accent.features.textgrid import read_alignment, read_words

pytest.importorskip("pocketsphinx")


@pytest.fixture
def sounds(saa, tmp_path):
    """Two recordings with their transcripts in the corpus's layout; the first has a TextGrid too."""
    folder = tmp_path / "sounds" / "ENG036"
    for kind, ending in (("wav", "wav"), ("transcript", "txt")):
        (folder / kind).mkdir(parents=True)
        for number in (1, 2):
            shutil.copy(saa / "ENG036" / kind / f"arctic_a000{number}.{ending}", folder / kind)
    (folder / "textgrid").mkdir()
    shutil.copy(saa / "ENG036/textgrid/arctic_a0001.TextGrid", folder / "textgrid")
    return folder


def scored(lines):
    return {one["input"][-5]: one for one in map(json.loads, lines)}


def test_a_textgrid_comes_before_a_transcript_and_a_transcript_before_nothing(accent, saa_phones_run, sounds, saa):
    found = scored(accent("score", saa_phones_run, sounds, "--json")[1])
    assert [found[one]["basis"] for one in "12"] == ["TextGrid", "text"]
    assert found["2"]["text"] == (sounds / "transcript" / "arctic_a0002.txt").read_text().strip()

    # The corpus's own TextGrid comes from an alignment of the whole paragraph at another rate.
    textgrid = saa / "ENG036" / "textgrid" / "arctic_a0002.TextGrid"
    words = [(start, word) for start, _, word in read_words(textgrid) if word]
    assert [one["word"] for one in found["2"]["words"]] == [word for _, word in words]
    differences = [abs(one["start"] - start) for one, (start, _) in zip(found["2"]["words"], words, strict=True)]
    assert np.median(differences) < 0.05
    phones = [phone for _, _, phone in read_alignment(textgrid).intervals if phone != "sil"]
    assert [one["phone"] for one in found["2"]["phones"]] == phones

    without = scored(accent("score", saa_phones_run, sounds, "--textgrid", "none", "--text", "none", "--json")[1])
    assert {one["basis"] for one in without.values()} == {"decoded"}


def test_a_text_that_is_given_comes_before_what_lies_there_and_people_read_who_aligned_it(
    accent, saa_phones_run, sounds
):
    path = sounds / "wav" / "arctic_a0001.wav"
    text = (sounds / "transcript" / "arctic_a0001.txt").read_text()
    status, [line], _ = accent("score", saa_phones_run, path, "--text", text)
    assert status == 0 and "expected phones, aligned by PocketSphinx" in line


def test_a_text_with_a_word_that_the_dictionary_lacks_is_refused(accent, saa_phones_run, sounds):
    path = sounds / "wav" / "arctic_a0001.wav"
    status, lines, errors = accent("score", saa_phones_run, path, "--text", "please call xyzzyx")
    assert (
        status == 2
        and lines == []
        and errors == [f"refused: {path}: its text 'please call xyzzyx' has words that the dictionary lacks: xyzzyx"]
    )
