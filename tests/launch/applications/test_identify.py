"""`accent identify` and `accent verify` on real recordings, through the command line."""

import json
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest
import soundfile

import accent as accent_package
from tests.conftest import REPOSITORY
from tests.support.sound.not_speech import MUSIC, NOISE, RATE, synthesise


@pytest.fixture
def sounds(saa, tmp_path):
    """Two speakers of three recordings; noise, music, silence and no sound beside them."""
    root = tmp_path / "sounds"
    for speaker in ("ARA016", "FRA037"):
        (root / speaker / "wav").mkdir(parents=True)
        for number in (1, 2, 3):
            shutil.copy(saa / speaker / "wav" / f"arctic_a000{number}.wav", root / speaker / "wav")
    soundfile.write(root / "noise.wav", synthesise(NOISE[1], 1), RATE)
    soundfile.write(root / "music.flac", synthesise(MUSIC[0], 1), RATE)
    soundfile.write(root / "silent.wav", np.zeros(RATE), RATE)
    (root / "torn.wav").write_bytes(b"RIFF")
    return root


def test_a_folder_is_answered_file_by_file_and_what_is_no_speech_is_named(accent, saa_run, sounds):
    status, lines, errors = accent("identify", saa_run, sounds, "--json")
    assert status == 1
    found = [json.loads(line) for line in lines]
    answered = {one["input"]: one for one in found if "error" not in one}
    refused = {one["input"].rsplit("/")[-1]: one["error"] for one in found if "error" in one}
    model = accent_package.load(saa_run)
    files = sorted(sounds.glob("*/wav/*.wav"))
    assert list(answered) == [str(path) for path in files]
    for path, one in zip(files, model.identify(files), strict=True):
        given = answered[str(path)]
        assert given["accent"] == one.accent and given["known"] == (one.accent != "unknown")
        assert given["probabilities"] == pytest.approx(dict(one.probabilities), abs=1e-6)
        assert given["seconds"] == one.seconds
    assert sorted(refused) == ["music.flac", "noise.wav", "silent.wav", "torn.wav"]
    assert "noise, not speech" in refused["noise.wav"] and "music or a tone" in refused["music.flac"]
    assert "silent" in refused["silent.wav"] and "not readable" in refused["torn.wav"]
    assert len([line for line in errors if line.startswith("refused: ")]) == 4


def test_people_read_one_line_a_recording(accent, saa_run, saa):
    path = saa / "ARA016" / "wav" / "arctic_a0001.wav"
    status, lines, errors = accent("identify", saa_run, path)
    assert status == 0 and errors == [] and len(lines) == 1
    assert lines[0].startswith(f"{path}: ") and any(
        name in lines[0] for name in ("Arabic 0.", "French 0.", "Mandarin 0.")
    )


def test_several_processes_give_the_same_answers(accent, saa_run, sounds):
    assert accent("identify", saa_run, sounds, "--json", "--workers", 2) == accent(
        "identify", saa_run, sounds, "--json"
    )


def answers_by_speaker(lines):
    return {one["speaker"]: one for one in map(json.loads, lines) if "speaker" in one}


def test_speakers_come_from_folders_names_or_a_table(accent, saa_run, sounds, tmp_path):
    model = accent_package.load(saa_run)
    speakers = [sounds / "ARA016", sounds / "FRA037"]
    _, lines, _ = accent("identify", saa_run, *speakers, "--speaker-from", "folder", "--json")
    found = answers_by_speaker(lines)
    assert list(found) == ["ARA016", "FRA037"]
    for speaker, given in found.items():
        files = sorted((sounds / speaker / "wav").glob("*"))
        assert given["inputs"] == [str(path) for path in files]
        assert given["probabilities"] == pytest.approx(dict(model.identify_speaker(files).probabilities), abs=1e-6)

    named = tmp_path / "named"
    named.mkdir()
    for path in sounds.glob("*/wav/*"):
        shutil.copy(path, named / f"{path.parents[1].name}_{path.name}")
    _, lines, _ = accent("identify", saa_run, named, "--speaker-from", "name", "--json")
    for speaker, given in answers_by_speaker(lines).items():
        assert given["probabilities"] == pytest.approx(found[speaker]["probabilities"], abs=1e-6)

    table = tmp_path / "who.tsv"
    rows = [f"{os.path.relpath(path, tmp_path)}\tone\n" for path in sorted(sounds.glob("ARA016/wav/*"))[:2]]
    table.write_text("path\tspeaker\n" + "".join(rows))
    status, lines, errors = accent("identify", saa_run, sounds / "ARA016", "--speaker-from", table, "--json")
    assert status == 1 and len(answers_by_speaker(lines)["one"]["inputs"]) == 2
    assert "does not say who speaks" in errors[0]


def test_stdin_is_a_sound_file(accent, saa_run, saa):
    path = saa / "FRA037" / "wav" / "arctic_a0002.wav"
    _, [from_stdin], _ = accent("identify", saa_run, "-", "--json", stdin=path.read_bytes())
    _, [from_file], _ = accent("identify", saa_run, path, "--json")
    assert {**json.loads(from_stdin), "input": str(path)} == json.loads(from_file)


def test_nothing_usable_is_status_two(accent, saa_run, sounds, tmp_path):
    status, lines, errors = accent("identify", saa_run, sounds / "noise.wav", tmp_path / "nowhere")
    assert status == 2 and lines == []
    assert len(errors) == 2 and "no such file or folder" in errors[0]


@pytest.mark.parametrize("speaker_from", ["neighbour", "nowhere.tsv"])
def test_an_unknown_source_of_speakers_is_one_line(accent, saa_run, sounds, speaker_from):
    status, lines, errors = accent("identify", saa_run, sounds, "--speaker-from", speaker_from)
    assert status == 2 and lines == [] and len(errors) == 1 and speaker_from in errors[0]


def test_two_speakers_are_verified_by_files_and_folders(accent, saa_run, sounds):
    first, second = sounds / "ARA016", sounds / "FRA037" / "wav" / "arctic_a0001.wav"
    status, [line], _ = accent("verify", saa_run, first, second, "--json")
    expected = accent_package.load(saa_run).verify(sorted((first / "wav").glob("*")), second)
    given = json.loads(line)
    assert status == 0 and given["same_accent"] == expected.same_accent
    assert given["score"] == pytest.approx(expected.score, abs=1e-6)
    assert given["threshold"] == pytest.approx(expected.threshold)


def test_a_list_of_trials_is_answered_line_by_line(accent, saa_run, sounds):
    first, second = sounds / "ARA016", sounds / "FRA037"
    trials = f"1 {first} {first}\n\n{first} {second}\n0 {second} {sounds / 'noise.wav'}\n"
    status, lines, errors = accent("verify", saa_run, "--trials", "-", "--json", stdin=trials.encode())
    found = [json.loads(line) for line in lines if "score" in line]
    assert status == 1 and [(one["first"], one["second"]) for one in found] == [
        (str(first), str(first)), (str(first), str(second)),
    ]  # fmt: skip
    assert found[0]["score"] == pytest.approx(1, abs=1e-5)
    assert found[1]["score"] < 1
    assert any("noise, not speech" in line for line in errors)


@pytest.mark.parametrize("words", [[], ["a.wav"], ["a.wav", "b.wav", "c.wav"], ["a.wav", "b.wav", "--trials", "x"]])
def test_another_number_of_sides_is_one_line(accent, saa_run, words):
    status, _, errors = accent("verify", saa_run, *words)
    assert status == 2 and errors == ["accent: give two inputs, FIRST and SECOND, or a list: --trials FILE"]


def test_trials_of_another_form_are_one_line(accent, saa_run):
    status, _, errors = accent("verify", saa_run, "--trials", "-", stdin=b"a b c d\n")
    assert status == 2 and "line 1: 4 words" in errors[0]


def test_the_way_to_an_answer_imports_neither_training_nor_plots(saa_run, saa):
    path = saa / "ARA016" / "wav" / "arctic_a0001.wav"
    program = (
        "import sys; from launch.commands.app import app\n"
        "try: app(sys.argv[1:], prog_name='accent')\n"
        "except SystemExit as leaving: assert not leaving.code\n"
        "heavy = {'accelerate', 'matplotlib', 'sklearn', 'pandas', 'librosa', 'parselmouth', 'tensorboard'}\n"
        "heavy |= {'scipy.signal', 'scipy.stats', 'scipy.optimize', 'torch._dynamo', 'webdataset', 'rich.progress'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, "identify", str(saa_run), str(path)],
        cwd=REPOSITORY, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "[]"
