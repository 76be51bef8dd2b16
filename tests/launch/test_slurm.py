"""Job scripts: the rendered text, what the command refuses, and what the script does, on stand-ins for Slurm."""

import dataclasses
import difflib
import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import pytest
import yaml

from launch.slurm import SCRIPT, SHORTEST_SECONDS, TrainingJob, render
from tests.conftest import REPOSITORY

READY = SCRIPT.read_text()
EXAMPLE = TrainingJob(
    config="configs/demo.yaml",
    words=("optimizer.lr=3e-4", "run=/big disk/runs/it's"),
    run="/big disk/runs/it's",
    nodes=4,
    gpus_per_node=0,
    processes_per_node=6,
    cores_per_process=3,
    launcher="configs/accelerate/cpu.yaml",
    time="2-00:00:00",
    partition="long",
    account="phonetics",
)
GOLDEN = """\
-#SBATCH --job-name=l2arctic
-#SBATCH --nodes=2
+#SBATCH --job-name=it-s
+#SBATCH --nodes=4
-#SBATCH --gpus-per-node=8
+##SBATCH --gpus-per-node=8
-#SBATCH --cpus-per-task=40
+#SBATCH --cpus-per-task=18
-#SBATCH --time=24:00:00
+#SBATCH --time=2-00:00:00
-##SBATCH --partition=NAME
-##SBATCH --account=NAME
+#SBATCH --partition=long
+#SBATCH --account=phonetics
-CONFIG=configs/l2arctic.yaml
-WORDS=()
+CONFIG=configs/demo.yaml
+WORDS=(optimizer.lr=3e-4 'run=/big disk/runs/it'"'"'s')
-RUN=runs/l2arctic
+RUN='/big disk/runs/it'"'"'s'
-PROCESSES_PER_NODE=8
+PROCESSES_PER_NODE=6
-LAUNCHER=configs/accelerate/nodes.yaml
+LAUNCHER=configs/accelerate/cpu.yaml
"""

Accent = Callable[..., tuple[int, str, str]]


@pytest.fixture
def accent(accent: Accent) -> Accent:
    """Run `accent slurm` with these words; return its status and what it printed."""
    return partial(accent, "slurm")


def programs(folder: Path, **texts: str) -> dict[str, str]:
    """Write shell programs into a folder; return an environment that finds them first."""
    folder.mkdir()
    for name, text in texts.items():
        (folder / name).write_text(f"#!/bin/bash\n{text}\n")
        (folder / name).chmod(0o755)
    return {**os.environ, "PATH": f"{folder}:{os.environ['PATH']}"}


def test_rendering_the_defaults_gives_the_ready_script():
    assert render(TrainingJob()) == READY


def test_the_defaults_are_what_the_command_makes_of_the_same_job(accent, monkeypatch):
    monkeypatch.chdir(REPOSITORY)
    assert accent("configs/l2arctic.yaml", "--nodes", 2, "--gpus-per-node", 8) == (0, READY, "")


def test_an_example_is_the_ready_script_with_these_lines_changed():
    lines = difflib.unified_diff(READY.splitlines(), render(EXAMPLE).splitlines(), n=0, lineterm="")
    assert "".join(f"{line}\n" for line in lines if line[:2] not in ("--", "++", "@@")) == GOLDEN


def test_every_value_of_a_job_changes_the_script():
    changed = {**{field.name: "other" for field in dataclasses.fields(TrainingJob)}, "words": ("a=b",)}
    changed |= {"nodes": 3, "gpus_per_node": 3, "processes_per_node": 3, "cores_per_process": 3}
    for name, value in changed.items():
        assert render(dataclasses.replace(TrainingJob(), **{name: value})) != READY, name


@pytest.mark.parametrize(
    "hostile", ["a b", "it's", '"', "$HOME", "`true`", "\\1", "a\\", "#", "*", "(", "line\nline", "é"]
)
def test_bash_reads_back_whatever_a_value_holds(hostile):
    job = dataclasses.replace(
        EXAMPLE, config=hostile, words=(f"a={hostile}", "", hostile), run=hostile, launcher=hostile
    )
    head = render(job).split("set -euo pipefail")[0]
    show = 'printf "%s\\0" "$CONFIG" "$RUN" "$LAUNCHER" "${WORDS[@]}"'
    done = subprocess.run(["bash", "-c", head + show], capture_output=True, text=True, timeout=120, check=True)
    assert done.stdout.split("\0")[:-1] == [hostile, hostile, hostile, f"a={hostile}", "", hostile]


def test_a_job_is_told_to_save_before_the_shortest_time_limit_is_over():
    notice = int(READY.split("#SBATCH --signal=B:USR1@")[1].split()[0])
    # Slurm may be a minute early; a start takes some time, too.
    assert notice + 60 < SHORTEST_SECONDS


def test_what_follows_from_the_configuration_is_filled_in(accent, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config = {"run": "first", "batch": {"workers": 3}}
    Path("mine.yaml").write_text(yaml.safe_dump(config))
    words = ("mine.yaml", "run=runs/mine", "seed=3", "--nodes", 3, "--gpus-per-node", 0, "--processes-per-node", 2)
    status, script, _ = accent(*words)
    assert status == 0
    lines = script.splitlines()
    assert "RUN=runs/mine" in lines and "WORDS=(run=runs/mine seed=3)" in lines
    assert "#SBATCH --job-name=mine" in lines and "#SBATCH --cpus-per-task=8" in lines
    # Away from the checkout it is the file that comes with the package.
    (launcher,) = [line for line in lines if line.startswith("LAUNCHER=")]
    assert launcher == f"LAUNCHER={REPOSITORY / 'configs' / 'accelerate' / 'cpu.yaml'}"


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("nowhere.yaml",), "nowhere.yaml"),
        (("configs/demo.yaml", "lr=3"), "unknown key 'lr'"),
        (("configs/demo.yaml", "--launcher", "zero9"), "zero9"),
        (("configs/demo.yaml", "--processes-per-node", "3"), "--processes-per-node 3"),
        (("configs/demo.yaml", "--partition", "a b"), "--partition: 'a b'"),
        (("configs/demo.yaml", "--account", "x\n#SBATCH --nodes=99"), "--account"),
        *((("configs/demo.yaml", "--time", time), f"--time {time}") for time in ("1h", "60", "1:2:3", "0:99:00")),
        (("configs/demo.yaml", "--time", "00:04:59"), "00:05:00"),
    ],
)
def test_a_wrong_word_is_one_line_that_names_it(accent, words, expected):
    status, printed, errors = accent(*words, "--nodes", 2, "--gpus-per-node", 2)
    assert (status, printed) == (2, "")
    assert errors.startswith("accent: ") and errors.count("\n") == 1 and expected in errors


@pytest.mark.parametrize("words", [("--nodes", 0, "--gpus-per-node", 1), ("--nodes", 1, "--gpus-per-node", -1), ()])
def test_impossible_or_missing_numbers_have_status_2(accent, words):
    status, printed, _ = accent("configs/demo.yaml", *words)
    assert (status, printed) == (2, "")


JOB = ("configs/demo.yaml", "--nodes", 2, "--gpus-per-node", 0)


def test_output_goes_to_a_file(accent, tmp_path):
    assert accent(*JOB, "--output", tmp_path / "job.sbatch") == (0, "", "")
    assert (tmp_path / "job.sbatch").read_text() == accent(*JOB)[1]
    assert "cannot be written" in accent(*JOB, "--output", tmp_path / "nowhere" / "job.sbatch")[2]


def test_submit_hands_the_script_to_sbatch_and_prints_the_number(accent, tmp_path, monkeypatch):
    found = programs(tmp_path / "bin", sbatch=f'cat > "{tmp_path}/submitted"; echo "$@" >&2; echo "4242;north"')
    monkeypatch.setenv("PATH", found["PATH"])
    assert accent(*JOB, "--submit")[:2] == (0, "4242\n")
    assert (tmp_path / "submitted").read_text() == accent(*JOB)[1]


def test_a_job_that_slurm_refuses_is_one_line(accent, tmp_path, monkeypatch):
    found = programs(tmp_path / "bin", sbatch="cat > /dev/null; echo 'sbatch: error: invalid account' >&2; exit 1")
    monkeypatch.setenv("PATH", found["PATH"])
    status, printed, errors = accent(*JOB, "--submit")
    assert (status, printed) == (2, "")
    assert errors == "accent: --submit: Slurm refuses the job: sbatch: error: invalid account\n"


def test_submit_where_there_is_no_slurm_is_one_line(accent, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    status, printed, errors = accent(*JOB, "--submit")
    assert (status, printed) == (2, "")
    assert errors.count("\n") == 1 and "no sbatch on this machine" in errors


@pytest.mark.parametrize(
    "script", sorted((REPOSITORY / "configs" / "slurm").glob("*.sbatch")), ids=lambda path: path.name
)
def test_every_ready_script_is_valid_and_comes_back_after_a_preemption(script):
    assert subprocess.run(["bash", "-n", script], timeout=120).returncode == 0
    assert {"#SBATCH --requeue", "#SBATCH --open-mode=append"} <= set(script.read_text().splitlines())


class Job:
    """The training script in a folder, run with programs that stand in for Slurm's and write down what they are asked.

    Args:
        folder: where it runs; the run folder is `run` in it.
        bash_seconds: how long the job has been running already.
        stand_ins: shell texts of programs; those left out do what Slurm does when only the training fails.
    """

    def __init__(self, folder: Path, bash_seconds: int = 0, **stand_ins: str) -> None:
        folder.mkdir(exist_ok=True)
        self.run = folder / "run"
        note = f'echo "$(basename "$0") $*" >> {folder}/calls\n'
        texts = {
            "accelerate": "",
            "srun": note + "exit 1",
            "scancel": note,
            "squeue": "echo RUNNING",
            "python": f'PYTHONPATH={REPOSITORY} exec {sys.executable} "$@"',
            "scontrol": note + 'if [[ $1 == show ]]; then printf "north\\nsouth\\n"; fi',
            **{name: note + text for name, text in stand_ins.items()},
        }
        environment = {
            **programs(folder / "bin", **texts),
            "SLURM_JOB_ID": "25000",
            "SLURM_JOB_NODELIST": "[north,south]",
        }
        environment |= {"SLURM_NNODES": "2", "SLURM_CPUS_PER_TASK": "4"}
        script = render(dataclasses.replace(EXAMPLE, run=str(self.run)))
        done = subprocess.run(
            ["bash"],
            input=f"SECONDS={bash_seconds}\n{script}",
            env=environment,
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=120,
        )
        self.status, self.errors = done.returncode, done.stderr
        calls = folder / "calls"
        self.calls: Sequence[str] = calls.read_text().splitlines() if calls.exists() else ()

    @property
    def requeued(self) -> bool:
        """Whether it went back to the queue."""
        return "scontrol requeue 25000" in self.calls


SAVED = "mkdir -p run; touch run/PREEMPTED; exit 1"


def test_without_the_head_node_nothing_starts(tmp_path):
    job = Job(tmp_path, scontrol="exit 1")
    assert job.status == 2 and not any(call.startswith("srun") for call in job.calls)
    assert job.errors == "train.sbatch: scontrol cannot tell the hosts of [north,south], so the processes cannot meet\n"


@pytest.mark.parametrize("state", ["RUNNING", "SIGNALING"])
def test_training_that_has_saved_goes_back_to_the_queue(tmp_path, state):
    assert Job(tmp_path, srun=SAVED, squeue=f"echo {state}").requeued


def test_training_that_never_began_does_not_go_back(tmp_path):
    job = Job(tmp_path, srun="exit 3")
    assert job.status == 3 and not job.requeued


def _health(state: str, restart: bool) -> str:
    text = json.dumps({"state": state, "restart": restart})
    return f"mkdir -p run; echo '{text}' > run/health.json; exit 1"


@pytest.mark.parametrize(
    ("state", "restart", "comes_back"), [("running", False, True), ("failed", True, True), ("failed", False, False)]
)
def test_a_fault_that_the_user_need_not_mend_brings_the_job_back(tmp_path, state, restart, comes_back):
    assert Job(tmp_path, srun=_health(state, restart)).requeued == comes_back


def test_a_cancelled_job_is_not_even_asked_about(tmp_path):
    job = Job(tmp_path, srun=_health("running", False), squeue="echo COMPLETING")
    assert not job.requeued and not (job.run / "restarts.json").exists()


def test_a_cancelled_job_that_has_saved_does_not_go_back(tmp_path):
    job = Job(tmp_path, srun=SAVED, squeue="echo COMPLETING")
    assert job.status == 1 and not job.requeued


def test_what_an_earlier_start_saved_does_not_bring_a_failing_job_back(tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "PREEMPTED").touch()
    job = Job(tmp_path)
    assert job.status == 1 and not job.requeued


@pytest.mark.parametrize("number", ["USR1", "TERM"])
def test_a_signal_is_passed_on_once_and_training_is_waited_for(tmp_path, number):
    # The step's parent is the job's shell.
    tell = f"kill -{number} $PPID; sleep 0.3; kill -{number} $PPID; sleep 0.3; touch saved\n"
    job = Job(tmp_path, srun=tell + SAVED)
    assert (tmp_path / "saved").exists() and job.requeued
    assert [call for call in job.calls if call.startswith("scancel")] == ["scancel --signal=TERM 25000"]


def test_a_job_preempted_before_training_could_hear_of_it_begins_again(tmp_path):
    job = Job(tmp_path, srun="kill -USR1 $PPID; sleep 0.3; exit 1")
    assert job.status == 1 and job.requeued
    later = Job(tmp_path / "later", bash_seconds=60, srun="kill -USR1 $PPID; sleep 0.3; exit 1")
    assert later.status == 1 and not later.requeued


def test_a_finished_training_has_status_0_even_if_it_was_told_to_stop(tmp_path):
    job = Job(tmp_path, srun="kill -USR1 $PPID; sleep 0.3; exit 0")
    assert job.status == 0 and not job.requeued
