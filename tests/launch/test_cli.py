"""The command line: the whole way on a small corpus, and one clear line for everything a user can mend."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from typer.main import get_command

from launch.commands.app import app
from launch.train import main as train
from tests.conftest import REPOSITORY
from tests.support.sound.vowel_corpus import SPEAKERS, make_vowel_corpus


def refusal(result: tuple[int, str, str]) -> str:
    """Return the one line of a refused command."""
    status, _, errors = result
    lines = [line for line in errors.splitlines() if line.startswith("accent: ")]
    assert status == 2, errors
    assert len(lines) == 1, errors
    assert "Traceback" not in errors
    return lines[0]


@pytest.fixture(scope="module")
def corpus(tmp_path_factory) -> Path:
    return make_vowel_corpus(tmp_path_factory.mktemp("cli") / "corpus")


SMALL_RUN = (
    "model.preset=tiny", "epochs=3", "batch.speakers_per_accent=1", "batch.utterances_per_speaker=2",
    "batch.crop_frames=40", "optimizer.warmup_steps=1", "split.test_speakers=1", "device=cpu",
)  # fmt: skip


def test_the_whole_way_from_sound_to_embeddings(accent, corpus, tmp_path, capsys):
    shards, run, out = tmp_path / "shards", tmp_path / "run", tmp_path / "out.npz"
    status, printed, _ = accent("featurize", corpus, shards, "--workers", 2)
    assert status == 0
    assert "18 samples" in printed and "6 speakers, 2 accents" in printed
    status, printed, _ = accent("inspect", shards, "--verify")
    assert status == 0
    assert "f0_hz" in printed and "features.backend" in printed
    assert train(["configs/saa.yaml", f"run={run}", f"shards={shards}", *SMALL_RUN]) == 0
    capsys.readouterr()
    status, printed, _ = accent("evaluate", run, shards)
    assert status == 0
    assert "nearest centroid" in printed and "chance" in printed and f"{run / 'evaluation'}" in printed
    before = (run / "evaluation" / "evaluation.json").read_bytes()
    assert accent("evaluate", run, shards, "--split", "validation", "-o", tmp_path / "validation")[0] == 0
    assert (tmp_path / "validation" / "evaluation.json").is_file()
    assert (run / "evaluation" / "evaluation.json").read_bytes() == before
    report = json.loads((run / "evaluation" / "evaluation.json").read_text())
    assert report
    for source, rows in ((corpus / "C1" / "wav" / "arctic_a0000.wav", 1), (corpus, 18), (shards, 18)):
        status, _, _ = accent("embed", run, source, "-o", out)
        assert status == 0
        with np.load(out) as archive:
            assert len(archive["embeddings"]) == rows


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("featurize", "nowhere", "out"), "nowhere"),
        (("inspect", "nowhere"), "nowhere"),
        (("evaluate", "nowhere", "nowhere"), "nowhere"),
        (("embed", "nowhere", "nowhere", "-o", "out.npz"), "nowhere"),
        (("featurize", "corpus", "out", "--config", "configs/nothing.yaml"), "configs/nothing.yaml"),
        (("featurize", "corpus", "out", "features.pich_floor_hz=60"), "features.pitch_floor_hz"),
        (("featurize", "corpus", "out", "features.pitch_floor_hz=low"), "features.pitch_floor_hz"),
        (("featurize", "corpus", "out", "corpus.accents=[Klingon]"), "Klingon"),
        (("featurize", "corpus", "out", "--part", "0/3"), "--part 0/3"),
        (("shards", "merge", "nowhere"), "nowhere"),
    ],
)
def test_a_wrong_word_is_one_line_that_names_it(accent, corpus, tmp_path, monkeypatch, words, expected):
    monkeypatch.chdir(tmp_path)
    assert expected in refusal(accent(*(corpus if word == "corpus" else word for word in words)))
    assert not any(path.suffix in {".tar", ".npz"} for path in tmp_path.rglob("*"))


def test_parts_are_merged_into_one_set(accent, corpus, tmp_path):
    shards = tmp_path / "shards"
    words = ("featurize", corpus, shards, "--workers", 1, "samples_per_shard=7")
    status, printed, _ = accent(*words, "--part", "1/2")
    assert status == 0 and "part 1/2 is finished; 1 shards of other parts are still missing" in printed
    assert "1 of 3 shards are missing or damaged: 1 of part 2/2" in refusal(accent("shards", "merge", shards))
    status, printed, _ = accent(*words, "--part", "2/2")
    assert status == 0 and f"all shards are there: accent shards merge {shards}" in printed
    status, printed, _ = accent("shards", "merge", shards)
    assert status == 0 and "18 samples" in printed
    assert accent("inspect", shards, "--verify")[0] == 0
    status, printed, _ = accent(*words, "--part", "2/2")
    assert status == 0 and f"the set is merged: accent inspect {shards}" in printed


def test_inputs_that_were_refused_are_listed_on_stderr(accent, corpus, tmp_path):
    copy = shutil.copytree(corpus, tmp_path / "copy")
    broken = sorted(copy.rglob("*.wav"))[0]
    broken.write_bytes(b"no sound")
    status, printed, errors = accent("featurize", copy, tmp_path / "shards", "--workers", 1)
    assert status == 0
    assert "1 input refused" in errors and broken.name in errors and "17 samples" in printed


def test_a_wrong_command_has_status_2(accent):
    assert accent("bogus")[0] == 2
    assert accent("featurize")[0] == 2


def test_debug_shows_the_traceback_and_the_line(accent):
    status, _, errors = accent("inspect", "nowhere", "--debug")
    assert status == 2
    assert "Traceback" in errors and errors.splitlines()[-1].startswith("accent: ")


def test_an_empty_corpus_is_refused(accent, tmp_path):
    (tmp_path / "empty").mkdir()
    assert "empty" in refusal(accent("featurize", tmp_path / "empty", tmp_path / "out"))


def test_sound_that_cannot_be_used_is_listed_and_the_rest_is_used(accent, tmp_path):
    corpus = make_vowel_corpus(tmp_path / "corpus", utterances=1)
    first, *_ = SPEAKERS
    folder = corpus / first / "wav"
    (folder / "corrupt.wav").write_bytes(b"RIFF no sound at all")
    (folder / "zero.wav").write_bytes(b"")
    soundfile.write(folder / "silent.wav", np.zeros(16_000), 16_000)
    stranger = corpus / "STRANGER" / "wav"
    stranger.mkdir(parents=True)
    soundfile.write(stranger / "hello.wav", np.ones(16_000), 16_000)
    status, printed, errors = accent("featurize", corpus, tmp_path / "shards", "--workers", 1)
    assert status == 0, errors
    assert "6 samples" in printed and "4 inputs refused" in printed
    refused = json.loads((tmp_path / "shards" / "manifest.json").read_text())["refused"]
    reasons = {Path(one["path"]).name: one["reason"] for one in refused}
    assert {"corrupt.wav", "zero.wav", "silent.wav"} <= reasons.keys()
    assert "silent" in reasons["silent.wav"] and "empty" in reasons["zero.wav"]
    assert any("STRANGER" in one["path"] + one["reason"] and "speakers.tsv" in one["reason"] for one in refused)
    assert "corrupt.wav" in errors


def test_the_demo_replaces_no_run_but_its_own(accent, tmp_path):
    mine = tmp_path / "run" / "config.yaml"
    mine.parent.mkdir()
    mine.write_text("mine")
    assert str(tmp_path / "run") in refusal(accent("demo", tmp_path))
    assert mine.read_text() == "mine" and [path.name for path in tmp_path.iterdir()] == ["run"]


def test_an_accent_with_one_speaker_cannot_be_split(accent, tmp_path, capsys):
    corpus = make_vowel_corpus(tmp_path / "corpus", {"O1": "Open", "O2": "Open", "O3": "Open", "C1": "Close"}, 2)
    shards, run = tmp_path / "shards", tmp_path / "run"
    assert accent("featurize", corpus, shards, "--workers", 1)[0] == 0
    status = train(["configs/saa.yaml", f"run={run}", f"shards={shards}", *SMALL_RUN])
    line = refusal((status, "", capsys.readouterr().err))
    assert "Close" in line and "C1" in line
    assert not (run / "checkpoints").exists()


@pytest.mark.usefixtures("ctrl_c")
def test_ctrl_c_leaves_with_130_and_the_next_run_resumes(tmp_path):
    corpus = make_vowel_corpus(tmp_path / "corpus", utterances=6)
    command = [sys.executable, "-m", "launch.cli", "featurize", str(corpus), str(tmp_path / "shards"), "--workers", "1"]
    command.append("samples_per_shard=4")
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    featurizing = subprocess.Popen(
        command, cwd=REPOSITORY, env=environment, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True
    )
    deadline = time.monotonic() + 120
    while not (finished := list((tmp_path / "shards").glob("shard-*.tar"))) and time.monotonic() < deadline:
        time.sleep(0.05)
    featurizing.send_signal(signal.SIGINT)
    _, errors = featurizing.communicate(timeout=120)
    assert finished and featurizing.returncode == 130, errors
    assert "Traceback" not in errors
    assert subprocess.run(command, cwd=REPOSITORY, env=environment, capture_output=True, timeout=240).returncode == 0
    assert json.loads((tmp_path / "shards" / "manifest.json").read_text())["count"] == 36


def commands_of(group: Any, words: tuple[str, ...] = ()) -> Iterator[tuple[str, Any]]:
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands_of(command, (*words, name))
        else:
            yield " ".join((*words, name)), command


@pytest.mark.parametrize(("name", "command"), commands_of(get_command(app)), ids=lambda value: str(value))
def test_every_help_page_has_an_example_with_options_that_exist(name, command):
    [example] = [line for line in command.help.splitlines() if "Example: " in line]
    assert f"accent {name} " in example
    known = {option for parameter in command.params for option in parameter.opts}
    # Of a pipe, the part that is ours.
    ours = example[example.index(f"accent {name} ") :].split(" | ")[0]
    assert {word for word in ours.split() if word.startswith("-") and word != "-"} <= known
