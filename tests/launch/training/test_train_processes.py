"""Training in processes of its own: several through `accelerate launch`, or one as a program with a status."""

import os
import signal
import subprocess
import sys

import pytest
import torch

from launch.run_config import write_config
from launch.training.run import train_run
from tests.support.small_runs import (
    assert_same_weights,
    first_weights,
    last_weights,
    launch_several,
    small_config,
)


@pytest.mark.usefixtures("ctrl_c")
def test_two_processes_stopped_by_ctrl_c_and_started_again_equal_one(shards, tmp_path):
    # AdamW divides a gradient by its own size: with its usual epsilon even rounding noise where the gradient is zero
    # becomes a whole step.  A large epsilon makes the weights a smooth function of the gradients.
    words = ["model.dropout=0", "optimizer.epsilon=1e-3", "epochs=20", "validate_every_epochs=20"]
    words += ["monitor.line_seconds=0.01"]
    one, two = tmp_path / "one", tmp_path / "two"
    train_run(small_config(one, shards, *words))
    arguments = [str(one / "config.yaml"), f"run={two}"]

    job = launch_several(arguments)
    assert job.stdout is not None
    while "step " not in (line := job.stdout.readline()):
        assert line, job.stderr and job.stderr.read()
    os.killpg(job.pid, signal.SIGINT)  # what a terminal does at Ctrl-C: the launcher and every process get it
    _, errors = job.communicate(timeout=120)
    assert job.returncode != 0
    lines = [line for line in errors.splitlines() if line.startswith("accent: ")]
    assert len(lines) == 1, errors
    assert "rerun the same command to resume" in lines[0]
    stopped = sorted((two / "checkpoints").iterdir())
    assert stopped
    assert stopped[-1].name < "step_00000060"

    job = launch_several(arguments)
    output, errors = job.communicate(timeout=120)
    # Not by the launcher's status: a process that has finished may still be aborted while Python shuts down.
    assert "trained 60 steps" in output, errors
    assert "training on 2 processes, backend gloo, device cpu" in output
    assert "resuming at step" in output
    mine, theirs, first = last_weights(one), last_weights(two), first_weights(one)
    assert max(float((value - first[name]).abs().max()) for name, value in mine.items()) > 0.02
    for name, value in mine.items():
        assert torch.allclose(value.float(), theirs[name].float(), rtol=0, atol=1e-5), name


RESUMING = """
import shutil, sys
from pathlib import Path
from accent.configuration import load
from launch.run_config import RunConfig
from launch.runtime.start import start_runtime
from launch.run_config import write_config
from launch.training.run import train_run
config, whole, resumed = map(Path, sys.argv[1:])
runtime = start_runtime("cpu")
train_run(load(RunConfig, config))
if runtime.is_main:
    shutil.copytree(whole, resumed)
    shutil.rmtree(resumed / "checkpoints" / "step_00000012")
runtime.accelerator.wait_for_everyone()
train_run(load(RunConfig, config, [f"run={resumed}"]))
runtime.accelerator.end_training()
"""


def test_three_processes_that_go_on_have_the_same_weights_bit_for_bit(shards, tmp_path):
    # Two processes would not show it: a + b is b + a, but the sum of three numbers depends on the order.
    config, script, whole, resumed = (tmp_path / name for name in ("run.yaml", "script.py", "whole", "resumed"))
    write_config(small_config(whole, shards, "epochs=4", "model.hidden=64"), config)
    script.write_text(RESUMING)
    job = launch_several([str(config), str(whole), str(resumed)], processes=3, program=(str(script),))
    output, errors = job.communicate(timeout=120)
    assert "resuming at step 10 of 12" in output, errors
    assert_same_weights(whole, resumed)


@pytest.mark.parametrize("stage", [2, 3])
def test_the_zero_files_start_what_they_say(shards, tmp_path, stage):
    config = tmp_path / "run.yaml"
    write_config(small_config(tmp_path / "run", shards, "epochs=1"), config)
    job = launch_several([str(config)], launcher=f"zero{stage}.yaml")
    output, errors = job.communicate(timeout=200)  # the first on a machine compiles an operator of DeepSpeed's
    assert (
        f"training on 2 processes, backend gloo, device cpu (1 threads each), precision bf16, ZeRO stage {stage}"
        in (output)
    ), errors
    assert "trained 3 steps" in output


def test_a_global_batch_that_two_processes_cannot_share_is_one_line(shards, tmp_path):
    run = tmp_path / "run"
    words = ["configs/demo.yaml", f"run={run}", f"shards={shards}", "batch.accents_per_batch=1"]
    job = launch_several([*words, "batch.speakers_per_accent=1", "batch.utterances_per_speaker=3"])
    _, errors = job.communicate(timeout=120)
    assert job.returncode != 0
    lines = [line for line in errors.splitlines() if line.startswith("accent: ")]
    assert lines == [line for line in lines if "global batch 3" in line and "2 processes" in line]
    assert len(lines) == 1, errors
    assert "terminate called" not in errors
    assert not run.exists()


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


def test_a_program_of_one_process_passes_its_status_on(tmp_path):
    command = [sys.executable, "-m", "launch.train", "configs/demo.yaml", f"shards={tmp_path / 'nowhere'}"]
    job = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert job.returncode == 2
    assert job.stderr.startswith("accent: ")
    assert job.stderr.count("\n") == 1
