import dataclasses
import json
import shutil
from pathlib import Path

import pytest
import torch
from torch import nn

from accent.errors import AccentError
from launch.run_config import OptimizerConfig, TrainingConfig
from launch.runtime.start import start_runtime
from launch.training import checkpoint
from launch.training.checkpoint import (
    Checkpoints,
    Progress,
    complete_checkpoints,
    replace_folder,
)
from launch.training.engines.data_parallel import DataParallelEngine
from launch.training.identity import shard_set_fingerprint
from launch.training.step_timer import StepTimer
from tests.support.training.small_runs import small_shards

IDENTITY = {"configuration": {"model": {"layers": 2}, "seed": 0}, "shards": "a" * 64, "global_batch": 12}


class Small:
    """A module and an optimizer that have stepped, and their checkpoints."""

    def __init__(self, folder: Path, keep_last: int = 2, identity: dict = IDENTITY, seed: int = 0) -> None:
        runtime = start_runtime("cpu")
        torch.manual_seed(seed)
        self.module = nn.Sequential(nn.Linear(3, 4), nn.LayerNorm(4))
        self.engine = DataParallelEngine(
            self.module, TrainingConfig(optimizer=OptimizerConfig(lr=0.1)), runtime, StepTimer()
        )
        self.checkpoints = Checkpoints(folder, keep_last, identity, runtime)

    def step(self, number: int) -> torch.Tensor:
        """Do one step on data that the number decides; return the output."""
        data = torch.randn(5, 3, generator=torch.Generator().manual_seed(number))
        output = self.module(data)
        output.square().mul(torch.arange(4.0)).sum().backward()
        assert self.engine.step(0.1).applied
        return output.detach()

    def save(self, step: int, **progress: float) -> Path:
        folder = self.checkpoints.save(self.engine, Progress(step=step, **progress))
        self.checkpoints.wait()
        return folder

    def names(self) -> list[str]:
        return [path.name for path in complete_checkpoints(self.checkpoints.folder)]


def test_a_loaded_checkpoint_continues_exactly_as_the_one_saved(tmp_path):
    one = Small(tmp_path)
    for number in range(3):
        one.step(number)
    progress = Progress(step=3, validated_step=2, best=0.5, best_step=2, history=[{"step": 2.0, "accuracy": 0.5}])
    folder = one.checkpoints.save(one.engine, progress)
    # Steps done while it is written change nothing in it.
    further = [one.step(number) for number in range(3, 6)]
    one.checkpoints.wait()

    other = Small(tmp_path, seed=1)
    assert other.checkpoints.newest() == folder
    assert other.checkpoints.load(folder, other.engine) == progress
    for number, expected in zip(range(3, 6), further, strict=True):
        assert torch.equal(other.step(number), expected)


def test_the_newest_and_the_best_stay(tmp_path):
    small = Small(tmp_path, keep_last=2)
    for step, best_step in ((10, 10), (20, 20), (30, 20), (40, 20), (50, 20)):
        small.save(step, best_step=best_step)
    assert small.names() == ["step_00000020", "step_00000040", "step_00000050"]
    small.save(60, best_step=60)
    assert small.names() == ["step_00000050", "step_00000060"]


def test_a_run_killed_while_it_deletes_an_old_checkpoint_leaves_none_that_is_torn(tmp_path, monkeypatch):
    small = Small(tmp_path, keep_last=1)
    small.save(10)

    def killed(folder: Path, ignore_errors: bool = False) -> None:
        if folder.is_dir():
            (folder / "module.safetensors").unlink()
            raise KeyboardInterrupt

    monkeypatch.setattr(checkpoint.shutil, "rmtree", killed)
    with pytest.raises(KeyboardInterrupt):
        small.save(20)
    monkeypatch.undo()
    assert small.names() == ["step_00000020"]
    small.save(30)
    assert [path.name for path in tmp_path.iterdir()] == ["step_00000030"]


@pytest.mark.parametrize(
    "broken", ["engines.data_parallel.save_file", "engines.data_parallel.torch.save", "checkpoint.replace_folder"]
)
def test_a_full_disk_leaves_the_last_good_checkpoint_and_says_so(tmp_path, monkeypatch, broken):
    small = Small(tmp_path)
    small.step(0)
    small.save(10)

    def full(*_: object, **__: object) -> None:
        if broken == "engines.data_parallel.torch.save":
            raise RuntimeError("[enforce fail at inline_container.cc:672] . No space left on device\nframe #0")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(f"launch.training.{broken}", full)
    small.step(1)
    with pytest.raises(AccentError, match=r"No space left on device.*the last good one is .*step_00000010"):
        small.save(20)
    monkeypatch.undo()
    assert small.names() == ["step_00000010"]
    assert small.checkpoints.newest().name == "step_00000010"
    small.save(20)
    assert small.names() == ["step_00000010", "step_00000020"]
    assert not list(tmp_path.glob(".*"))


def test_a_folder_under_its_temporary_name_is_no_checkpoint(tmp_path):
    small = Small(tmp_path)
    whole = small.save(10)
    shutil.copytree(whole, tmp_path / ".step_00000020.partial")
    assert small.checkpoints.newest() == whole


def test_a_replacement_cut_in_half_is_undone(tmp_path, monkeypatch):
    small = Small(tmp_path)
    small.save(10, best=0.1)
    genuine = Path.rename

    def killed_between_the_renames(path: Path, target: Path) -> Path:
        if path.name.endswith(".partial"):
            raise KeyboardInterrupt
        return genuine(path, target)

    monkeypatch.setattr(Path, "rename", killed_between_the_renames)
    with pytest.raises(KeyboardInterrupt):
        small.save(10, best=0.9)
    monkeypatch.undo()
    assert small.names() == []
    assert small.checkpoints.newest().name == "step_00000010"
    assert json.loads((tmp_path / "step_00000010" / "state.json").read_text())["progress"]["best"] == 0.1


def test_a_folder_replaces_the_one_before_whole(tmp_path):
    for text in ("first", "second"):
        (tmp_path / "new").mkdir()
        (tmp_path / "new" / f"{text}.txt").write_text(text)
        replace_folder(tmp_path / "new", tmp_path / "kept")
    assert [path.name for path in (tmp_path / "kept").iterdir()] == ["second.txt"]
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"configuration": {"model": {"layers": 3}, "seed": 0}}, r"model\.layers: 2 -> 3"),
        ({"shards": "b" * 64}, "shard set: content aaaaaaaaaaaa -> bbbbbbbbbbbb"),
        ({"global_batch": 24}, "global batch: 12 -> 24"),
    ],
)
def test_a_checkpoint_of_another_run_is_refused_and_changes_nothing(tmp_path, change, says):
    folder = Small(tmp_path).save(10)
    other = Small(tmp_path, identity={**IDENTITY, **change}, seed=1)
    before = {name: value.clone() for name, value in other.module.state_dict().items()}
    with pytest.raises(AccentError, match=says):
        other.checkpoints.load(folder, other.engine)
    assert all(torch.equal(before[name], value) for name, value in other.module.state_dict().items())


@pytest.mark.parametrize("name", ["module.safetensors", "optimizer.pt", "state.json"])
def test_a_damaged_checkpoint_is_one_line_that_says_what_to_do(tmp_path, name):
    small = Small(tmp_path)
    folder = small.save(10)
    (folder / name).write_bytes((folder / name).read_bytes()[:40])
    with pytest.raises(AccentError, match="to resume from the one before"):
        small.checkpoints.load(folder, small.engine)


def test_progress_survives_json():
    progress = Progress(step=7, best=0.25, best_step=5, history=[{"step": 5.0, "macro_f1": 0.1}])
    assert Progress(**json.loads(json.dumps(dataclasses.asdict(progress)))) == progress


def test_the_fingerprint_of_a_shard_set_tells_its_content(tmp_path):
    one = small_shards(tmp_path / "one")
    same = small_shards(tmp_path / "same")
    other = small_shards(tmp_path / "other", seed=1)
    assert shard_set_fingerprint(one) == shard_set_fingerprint(same) != shard_set_fingerprint(other)
