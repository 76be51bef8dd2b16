"""What a launcher asks for and the machine does not have is one line."""

import pytest
import torch

from accent.errors import AccentError
from launch.runtime.start import start_runtime


@pytest.fixture(autouse=True)
def no_gpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    for name in ("CUDA_VISIBLE_DEVICES", "WORLD_SIZE", "MASTER_PORT", "ACCELERATE_MIXED_PRECISION"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(("processes", "precision"), [("2", "bf16"), ("2", "no"), ("1", "bf16")])
def test_a_launcher_for_gpus_does_not_train_on_a_cpu_without_a_word(monkeypatch, processes, precision):
    monkeypatch.setenv("WORLD_SIZE", processes)
    monkeypatch.setenv("ACCELERATE_MIXED_PRECISION", precision)
    with pytest.raises(AccentError, match=r"set up for GPUs, and this machine has none.*cpu\.yaml, or add device=cpu"):
        start_runtime()


def test_a_launcher_that_hides_the_gpus_means_the_cpu(monkeypatch):
    # What configs/accelerate/cpu.yaml makes of the environment, on one process.
    monkeypatch.setenv("ACCELERATE_MIXED_PRECISION", "bf16")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "-1,-1")
    runtime = start_runtime()
    assert (runtime.device.type, runtime.precision_name, runtime.backend) == ("cpu", "bf16", "none")


@pytest.mark.parametrize(("variable", "name"), [("ACCELERATE_USE_FSDP", "FSDP"), ("ACCELERATE_USE_MEGATRON_LM", "Meg")])
def test_a_mode_that_training_does_not_know_is_one_line(monkeypatch, variable, name):
    monkeypatch.setenv(variable, "true")
    with pytest.raises(AccentError, match=f"the launcher asks for {name}"):
        start_runtime("cpu")


def test_a_launcher_that_made_one_process_where_several_were_asked_for_is_refused(monkeypatch):
    # What `accelerate launch --cpu --num_processes 2` leaves in the environment of the one process it starts.
    monkeypatch.setenv("ACCELERATE_MIXED_PRECISION", "no")
    monkeypatch.setenv("MASTER_PORT", "29500")
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    with pytest.raises(AccentError, match="was asked for several processes and started one"):
        start_runtime("cpu")


def test_a_missing_gpu_is_one_line(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(AccentError, match="no GPU that torch can use; take device cpu"):
        start_runtime("cuda")
