"""A shard set and runs small enough to train in a second, shared by the tests of training."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from accent.configuration import load
from launch.run_config import RunConfig
from launch.runtime.signals import Interrupted
from launch.training.run import train_run
from shards.loading.batch import Batch
from shards.loading.config import BatchConfig
from shards.loading.loader import EvaluationLoader, TrainingLoader
from shards.shard_set.manifest import ShardSet
from shards.splits.split import make_split
from tests.conftest import REPOSITORY
from tests.support.shard_sets.synthetic import make_shard_set

ACCENTS = ("Arabic", "Hindi", "Spanish")
LAUNCHERS = REPOSITORY / "configs" / "accelerate"


def small_shards(folder: Path, speakers: int = 4, **options: Any) -> ShardSet:
    """Three accents of four speakers; six utterances each."""
    names = {accent: [f"{accent[0]}{n}" for n in range(speakers)] for accent in ACCENTS}
    return make_shard_set(folder, names, 6, **options)


def small_config(run: Path, shards: Path, *words: str) -> RunConfig:
    """Six epochs of three steps: eighteen steps of twelve rows."""
    return load(RunConfig, SMALL, [f"run={run}", f"shards={shards}", "device=cpu", *words])


SMALL: dict[str, Any] = {
    "epochs": 6,
    "validate_every_epochs": 2,
    "model": {"preset": "tiny", "hidden": 16, "layers": 1, "heads": 2, "embedding_dim": 16},
    "batch": {"speakers_per_accent": 2, "utterances_per_speaker": 2, "crop_frames": 40},
    "optimizer": {"lr": 3e-3, "warmup_steps": 4},
    "checkpoints": {"every_steps": 5},
    "monitor": {"every_steps": 2, "pictures": False},
}
SMALL_PHONES = (
    "device=cpu",
    "epochs=2",
    "phones.epochs=1",
    "phones.batch.speakers_per_accent=2",
    "phones.batch.crop_frames=40",
    "batch.speakers_per_accent=2",
    "batch.utterances_per_speaker=3",
    "model.phone_channels=8",
    "model.directions=16",
    "model.embedding_dim=8",
)
"""What makes configs/saa8k.yaml, of the branch `phones`, small."""


def small_loaders(shards: Path) -> tuple[TrainingLoader, EvaluationLoader]:
    """Loaders of training and of validation."""
    shard_set = ShardSet.open(shards)
    split = make_split(shard_set)
    config = BatchConfig(utterances_per_speaker=2, crop_frames=40)
    return TrainingLoader(shard_set, split, config), EvaluationLoader(shard_set, split.validation, config)


def last_weights(run: Path) -> dict[str, torch.Tensor]:
    """The module's weights in the newest checkpoint of a run."""
    newest = sorted((run / "checkpoints").glob("step_*"))[-1]
    return load_file(newest / "module.safetensors")


def launch_several(
    words: list[str],
    processes: int = 2,
    program: tuple[str, ...] = ("-m", "launch.train"),
    launcher: str = "cpu.yaml",
    **options: Any,
) -> subprocess.Popen[str]:
    """Start processes by `accelerate launch`, as a user would."""
    command = ["-m", "accelerate.commands.launch", "--config_file", str(LAUNCHERS / launcher)]
    return _start([*command, "--num_processes", str(processes), *program, *words], **options)


def accent_train(words: list[str], processes: int = 2, launcher: str = "cpu.yaml") -> subprocess.Popen[str]:
    """Start processes by `accent train`."""
    command = ["-m", "launch.cli", "train", *words, "--launcher", str(LAUNCHERS / launcher)]
    return _start([*command, "--processes", str(processes)])


def _start(words: list[str], **options: Any) -> subprocess.Popen[str]:
    """Run Python in a process group of its own, without what this process knows of others."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo", "PYTHONPATH": str(REPOSITORY)}
    for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT", "ACCELERATE_USE_CPU"):
        environment.pop(name, None)
    return subprocess.Popen(
        [sys.executable, *words],
        cwd=REPOSITORY,
        env=environment,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
        **options,
    )


def at_step(monkeypatch: pytest.MonkeyPatch, number: int, do: object) -> None:
    """Have the training loader call `do` before it yields a step's batch, which is during the step before."""
    genuine = TrainingLoader.steps

    def steps(loader: TrainingLoader, first: int, last: int) -> Iterator[Batch]:
        for step, batch in zip(range(first, last), genuine(loader, first, last), strict=True):
            if step == number:
                do()
            yield batch

    monkeypatch.setattr(TrainingLoader, "steps", steps)


def first_weights(run: Path) -> dict[str, torch.Tensor]:
    """The module's weights before the first step of a run on one process."""
    with pytest.MonkeyPatch.context() as patch:
        at_step(patch, 0, lambda: os.kill(os.getpid(), signal.SIGTERM))
        config = load(
            RunConfig, run / "config.yaml", [f"run={run}-first", "optimizer.lr=1e-30", "optimizer.final_lr=0"]
        )
        with pytest.raises(Interrupted):
            train_run(config)
    return last_weights(Path(f"{run}-first"))


def assert_same_weights(one: Path, other: Path) -> None:
    mine, theirs = last_weights(one), last_weights(other)
    assert mine.keys() == theirs.keys()
    different = [name for name in mine if not torch.equal(mine[name], theirs[name])]
    assert not different
