"""Switches of exactness: on for a run, said at its start, put back after it."""

import json

import pytest
import torch

from accent.errors import AccentError
from launch.run_config import LossConfig, TrainingConfig
from launch.runtime.arithmetic import WORKSPACE, arithmetic, is_deterministic, rounds_to_tf32
from launch.training.run import train_run
from tests.support.training.small_runs import small_config, small_shards

CPU, GPU = torch.device("cpu"), torch.device("cuda")


def state() -> tuple[bool, ...]:
    cudnn, products = torch.backends.cudnn, torch.backends.cuda.matmul
    enabled = torch.are_deterministic_algorithms_enabled()
    return enabled, cudnn.deterministic, cudnn.benchmark, cudnn.allow_tf32, products.allow_tf32


@pytest.mark.parametrize("deterministic", [False, True])
@pytest.mark.parametrize("tf32", [False, True])
def test_torch_computes_as_asked_for_and_as_before_afterwards(monkeypatch, deterministic, tf32):
    monkeypatch.setattr(torch.backends.cudnn, "benchmark", True)
    before = state()
    with pytest.raises(KeyError), arithmetic(TrainingConfig(deterministic=deterministic, tf32=tf32), CPU):
        assert state() == (deterministic, deterministic, not deterministic, tf32, tf32)
        assert (is_deterministic(), rounds_to_tf32()) == (deterministic, tf32)
        raise KeyError
    assert state() == before


def test_a_deterministic_run_on_a_gpu_says_what_is_missing(monkeypatch):
    before, training = state(), TrainingConfig(deterministic=True)
    monkeypatch.delenv(WORKSPACE, raising=False)
    with pytest.raises(AccentError, match=f"export {WORKSPACE}=:4096:8$"), arithmetic(training, GPU):
        pass
    monkeypatch.setenv(WORKSPACE, ":16:8")
    with arithmetic(training, GPU):
        assert is_deterministic()
    with (
        pytest.raises(AccentError, match=r"does not go with losses\.ctc on a GPU"),
        arithmetic(TrainingConfig(deterministic=True, losses=LossConfig(ctc=1.0)), GPU),
    ):
        pass
    assert state() == before


def test_a_run_states_its_switches_at_the_start_and_in_its_folder(tmp_path, capsys):
    shards = small_shards(tmp_path / "shards").root
    words = ("epochs=1", "validate_every_epochs=1", "deterministic=true", "augmentation.speed=0.1")
    train_run(small_config(tmp_path / "run", shards, *words, "losses.adversary=0.5"))
    train_run(
        small_config(tmp_path / "run", shards, *words, "losses.adversary=0.5", "deterministic=false", "tf32=true")
    )
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("training on")]
    assert "TF32 off, deterministic algorithms on, ZeRO off" in lines[0]
    assert "TF32 on, deterministic algorithms off, ZeRO off" in lines[1]
    starts = json.loads((tmp_path / "run" / "environment.json").read_text())["starts"]
    assert [(start["deterministic"], start["tf32"]) for start in starts] == [(True, False), (False, True)]
