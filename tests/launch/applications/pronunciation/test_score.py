"""`accent score` on real recordings, through the command line."""

import json
import shutil

import numpy as np
import pytest
import soundfile

import accent as accent_package


@pytest.fixture
def sounds(saa, tmp_path):
    """A recording with a TextGrid in the corpus's layout, one with it beside, one without, and silence."""
    root = tmp_path / "sounds"
    (root / "ENG036" / "wav").mkdir(parents=True)
    (root / "ENG036" / "textgrid").mkdir()
    for number in (1, 2, 3):
        name = f"arctic_a000{number}"
        shutil.copy(saa / "ENG036" / "wav" / f"{name}.wav", root / "ENG036" / "wav")
        place = {1: "textgrid", 2: "wav"}.get(number)
        if place:
            shutil.copy(saa / "ENG036" / "textgrid" / f"{name}.TextGrid", root / "ENG036" / place)
    soundfile.write(root / "silent.wav", np.zeros(16_000), 16_000)
    return root


def test_a_folder_is_scored_file_by_file_with_the_textgrids_there_are(accent, saa_phones_run, sounds):
    status, lines, errors = accent("score", saa_phones_run, sounds, "--json")
    found = [json.loads(line) for line in lines]
    scored = [one for one in found if "error" not in one]
    assert status == 1 and [one["input"] for one in found if "error" in one] == [str(sounds / "silent.wav")]
    assert len(errors) == 1 and "silent" in errors[0]
    wav, textgrid = sounds / "ENG036" / "wav", sounds / "ENG036" / "textgrid"
    places = [str(textgrid / "arctic_a0001.TextGrid"), str(wav / "arctic_a0002.TextGrid"), None]
    assert [one["textgrid"] for one in scored] == places
    model = accent_package.load(saa_phones_run)
    for given in scored:
        answer = model.score(given["input"], given["textgrid"])
        assert given["goodness"] == answer.goodness
        assert given["phones"] == [vars(one) for one in answer.phones]
        assert given["words"] == [vars(one) for one in answer.words]
        assert bool(given["words"]) == (given["textgrid"] is not None)


def test_people_read_the_mean_and_the_worst_phones(accent, saa_phones_run, sounds):
    path = sounds / "ENG036" / "wav" / "arctic_a0001.wav"
    status, [line], errors = accent("score", saa_phones_run, path)
    phones = accent_package.load(saa_phones_run).score(path, sounds / "ENG036/textgrid/arctic_a0001.TextGrid").phones
    worst = min((one for one in phones if one.goodness is not None), key=lambda one: one.goodness)
    assert status == 0 and errors == []
    assert line.startswith(f"{path}: goodness -") and "expected phones" in line
    assert f"worst: {worst.phone} at {worst.start:.2f} s ({worst.goodness:.2f}, heard {worst.heard})" in line


def test_a_model_without_phone_heads_is_one_line(accent, saa_run, sounds):
    status, lines, errors = accent("score", saa_run, sounds)
    assert status == 2 and lines == [] and len(errors) == 1 and "no phone heads" in errors[0]


def test_a_folder_of_textgrids_is_used_by_speaker_and_what_has_none_is_refused(accent, saa_phones_run, saa, tmp_path):
    sounds, textgrids = tmp_path / "sounds", tmp_path / "textgrids"
    places = {
        "ENG036": "ENG036/textgrid/arctic_a0001.TextGrid",
        "SPA071": "SPA071/arctic_a0001.TextGrid",
        "ENG059": "arctic_a0001.TextGrid",
    }
    for speaker, place in places.items():
        (sounds / speaker / "wav").mkdir(parents=True)
        shutil.copy(saa / speaker / "wav" / "arctic_a0001.wav", sounds / speaker / "wav")
        (textgrids / place).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(saa / speaker / "textgrid" / "arctic_a0001.TextGrid", textgrids / place)
    status, lines, errors = accent("score", saa_phones_run, sounds, "--textgrid", textgrids, "--json")
    used = {one["input"]: one.get("textgrid") for one in map(json.loads, lines)}
    wav = {speaker: sounds / speaker / "wav" / "arctic_a0001.wav" for speaker in places}
    # Three recordings have that name: one TextGrid of the name that tells no speaker is nobody's.
    assert used == {
        str(wav["ENG036"]): str(textgrids / places["ENG036"]),
        str(wav["SPA071"]): str(textgrids / places["SPA071"]),
        str(wav["ENG059"]): None,
    }
    assert status == 1 and errors == [f"refused: {wav['ENG059']}: no TextGrid for it in {textgrids}"]
    status, [line], _ = accent("score", saa_phones_run, wav["ENG059"], "--textgrid", textgrids, "--json")
    assert status == 0 and json.loads(line)["textgrid"] == str(textgrids / places["ENG059"])


def test_no_textgrid_is_used_if_none_is_asked_for(accent, saa_phones_run, sounds):
    path = sounds / "ENG036" / "wav" / "arctic_a0001.wav"
    status, [line], _ = accent("score", saa_phones_run, path, "--textgrid", "none", "--json")
    given = json.loads(line)
    answer = accent_package.load(saa_phones_run).score(path)
    assert status == 0 and given["textgrid"] is None and given["words"] == []
    assert given["phones"] == [vars(one) for one in answer.phones] and given["goodness"] == answer.goodness


def test_a_folder_of_textgrids_that_is_not_there_is_one_line(accent, saa_phones_run, sounds):
    status, lines, errors = accent("score", saa_phones_run, sounds, "--textgrid", sounds / "nowhere")
    assert status == 2 and lines == [] and len(errors) == 1 and "no such folder" in errors[0]
