"""The program `launch.train`: its arguments, its one line of error, its status."""

import signal
import subprocess
import sys
import traceback

import pytest
import torch

from accent.errors import AccentError
from launch.train import main


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["configs/nothing.yaml"], "no such configuration file"),
        (["configs/demo.yaml", "epoch=3"], "unknown key 'epoch'; did you mean epochs?"),
        (["configs/demo.yaml", "epochs"], "an override is written key=value"),
        (["configs/demo.yaml", "shards=nowhere"], "nowhere: no such folder"),
        ([], "required: config; usage: CONFIG"),
        (["configs/demo.yaml", "--quiet"], "unrecognized arguments: --quiet; usage: CONFIG"),
        (["configs/demo.yaml", "processes=3"], "processes: 3 asked for, 1 running"),
    ],
)
def test_bad_input_is_one_line_and_status_2(words, says, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(words) == 2
    error = capsys.readouterr().err
    assert says in error
    assert error.count("\n") == 1
    assert error.startswith("accent: ")
    assert list(tmp_path.iterdir()) == []


def test_a_traceback_comes_only_when_asked_for(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["configs/demo.yaml", "--debug", "shards=nowhere"]) == 2
    assert "Traceback" in capsys.readouterr().err
    monkeypatch.setenv("ACCENT_DEBUG", "1")
    assert main(["configs/demo.yaml", "shards=nowhere"]) == 2
    assert "Traceback" in capsys.readouterr().err


@pytest.mark.usefixtures("ctrl_c")
def test_ctrl_c_during_the_long_imports_is_one_line_and_status_130(tmp_path):
    command = [sys.executable, "-v", "-m", "launch.train", "configs/demo.yaml", f"run={tmp_path / 'run'}"]
    job = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    assert job.stderr is not None
    for line in job.stderr:
        if line.startswith("import 'torch._C'"):
            job.send_signal(signal.SIGINT)
            break
    _, errors = job.communicate(timeout=120)
    assert job.returncode == 130
    assert "Traceback" not in errors
    assert [line for line in errors.splitlines() if "accent: " in line] == ["accent: interrupted before anything began"]


@pytest.mark.parametrize(
    ("program", "options"),
    [
        (["launch.train"], []),
        (["launch.cli", "train"], []),
        pytest.param(
            ["launch.cli", "train"],
            ["--launcher", "configs/accelerate/cpu.yaml", "--processes", "2"],
            marks=pytest.mark.slow,
        ),
    ],
    ids=["the program", "accent train", "accent train with a launcher"],
)
def test_a_fault_is_one_line_and_status_2_however_it_is_started(program, options, tmp_path):
    command = [sys.executable, "-m", *program, "configs/demo.yaml", f"shards={tmp_path / 'nowhere'}", *options]
    job = subprocess.run(command, capture_output=True, text=True, timeout=240)
    assert job.returncode == 2
    assert job.stderr.startswith("accent: ")
    assert job.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--processes", "2"], "--processes: give --launcher too"),
        (["--launcher", "configs/accelerate/nowhere.yaml"], "no such configuration file"),
    ],
)
def test_a_launcher_that_is_missing_is_one_line(options, says, accent):
    status, printed, errors = accent("train", "configs/demo.yaml", *options)
    assert (status, printed) == (2, "")
    assert errors.count("\n") == 1 and says in errors


def test_the_way_from_main_to_the_backward_pass_is_short(shards, tmp_path, monkeypatch):
    way = list[tuple[str, str]]()

    def backward(loss: torch.Tensor) -> None:
        calls = [frame.f_code for frame, _ in traceback.walk_stack(sys._getframe(1))]
        calls = calls[: calls.index(main.__code__) + 1]
        way.extend((code.co_filename, code.co_name) for code in reversed(calls))
        raise AccentError("far enough")

    monkeypatch.setattr(torch.Tensor, "backward", backward)
    assert main(["configs/demo.yaml", f"shards={shards}", f"run={tmp_path / 'run'}", "model.preset=tiny"]) == 2
    assert way[0][1] == "main" and way[-1][1] == "accumulate"
    assert len(way) <= 7, way
    assert len({path for path, _ in way}) <= 4, way
