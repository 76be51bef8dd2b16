"""Training on several processes, through both launchers: stopped and resumed, and what they refuse."""

import os
import shutil
import signal

import pytest
import torch

from launch.run_config import write_config
from launch.training.run import train_run
from tests.support.training.ranks import Ranks
from tests.support.training.small_runs import (
    accent_train,
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

    job = accent_train(arguments)
    assert job.stdout is not None
    while "step " not in (line := job.stdout.readline()):
        assert line, job.stderr and job.stderr.read()
    os.killpg(job.pid, signal.SIGINT)  # what a terminal does at Ctrl-C: the launcher and every process get it
    _, errors = job.communicate(timeout=120)
    assert job.returncode == 130, errors
    (line,) = errors.splitlines()
    assert line.startswith("accent: ") and "rerun the same command to resume" in line
    stopped = sorted((two / "checkpoints").iterdir())
    assert stopped
    assert stopped[-1].name < "step_00000060"

    with Ranks(arguments, tmp_path / "printed") as ranks:
        assert ranks.wait() == [0, 0], ranks.printed()
        printed = ranks.printed(0)
    assert "trained 60 steps" in printed
    assert "training on 2 processes, backend gloo, device cpu" in printed
    assert "resuming at step" in printed
    mine, theirs, first = last_weights(one), last_weights(two), first_weights(one)
    assert max(float((value - first[name]).abs().max()) for name, value in mine.items()) > 0.02
    for name, value in mine.items():
        assert torch.allclose(value.float(), theirs[name].float(), rtol=0, atol=1e-5), name


@pytest.mark.slow
def test_three_processes_that_resume_have_the_same_weights_bit_for_bit(shards, tmp_path):
    # Two processes would not show it: a + b is b + a, but the sum of three numbers depends on the order.
    config, whole, resumed = (tmp_path / name for name in ("run.yaml", "whole", "resumed"))
    write_config(small_config(whole, shards, "epochs=4", "model.hidden=64"), config)
    with Ranks([str(config)], tmp_path / "printed", 3) as ranks:
        assert ranks.wait() == [0, 0, 0], ranks.printed()
    shutil.copytree(whole, resumed)
    shutil.rmtree(resumed / "checkpoints" / "step_00000012")
    with Ranks([str(config), f"run={resumed}"], tmp_path / "printed", 3) as ranks:
        assert ranks.wait() == [0, 0, 0], ranks.printed()
        assert "resuming at step 10 of 12" in ranks.printed(0)
    assert_same_weights(whole, resumed)


@pytest.mark.slow
@pytest.mark.parametrize("stage", [1, 2, 3])
def test_the_zero_files_start_what_they_say(shards, tmp_path, stage):
    config = tmp_path / "run.yaml"
    write_config(small_config(tmp_path / "run", shards, "epochs=1"), config)
    job = launch_several([str(config)], launcher=f"zero{stage}.yaml")
    output, errors = job.communicate(timeout=200)
    assert (
        f"training on 2 processes, backend gloo, device cpu (1 threads each), precision bf16, "
        f"TF32 off, deterministic algorithms off, ZeRO stage {stage}" in output
    ), errors
    assert "trained 3 steps" in output


def test_a_global_batch_that_two_processes_cannot_share_is_one_line(shards, tmp_path):
    run = tmp_path / "run"
    words = ["configs/demo.yaml", f"run={run}", f"shards={shards}", "batch.accents_per_batch=1"]
    words += ["batch.speakers_per_accent=1", "batch.utterances_per_speaker=3"]
    with Ranks(words, tmp_path / "printed") as ranks:
        assert ranks.wait() == [2, 2], ranks.printed()
        (line,) = ranks.printed().splitlines()
    assert line.startswith("accent: ") and "global batch 3" in line and "2 processes" in line
    assert not run.exists()
