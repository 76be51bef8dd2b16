import dataclasses
import itertools
import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from accent.errors import AccentError
from launch.run_config import OptimizerConfig, TrainingConfig
from launch.runtime.start import start_runtime
from launch.training import checkpoint
from launch.training.checkpoint import Checkpoints, replace_folder
from launch.training.engines.data_parallel import DataParallelEngine
from launch.training.identity import shard_set_fingerprint
from launch.training.saved_state import DamagedCheckpointError, Progress, complete_checkpoints, file_digests, read_state
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

    def save(self, step: int, **progress: Any) -> Path:
        folder = self.checkpoints.save(self.engine, Progress(step=step, **progress))
        self.checkpoints.wait()
        return folder

    def resumed_step(self) -> int:
        progress, _ = self.checkpoints.resume(self.engine)
        return progress.step

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
    assert folder.is_dir()
    assert other.checkpoints.resume(other.engine) == (progress, [])
    for number, expected in zip(range(3, 6), further, strict=True):
        assert torch.equal(other.step(number), expected)


def test_the_newest_and_the_best_stay(tmp_path):
    small = Small(tmp_path, keep_last=2)
    for step, best_step in ((10, 10), (20, 20), (30, 20), (40, 20), (50, 20)):
        small.save(step, best_step=best_step)
    assert small.names() == ["step_00000020", "step_00000040", "step_00000050"]
    small.save(60, best_step=60)
    assert small.names() == ["step_00000050", "step_00000060"]


def test_several_of_the_best_stay_and_of_equal_ones_the_later(tmp_path):
    small = Small(tmp_path, keep_last=1)
    small.checkpoints.keep_best, small.checkpoints.selection = 2, "accuracy"
    history = []
    for step, accuracy in ((10, 0.7), (20, 0.9), (30, 0.7), (40, 0.1), (50, 0.2)):
        history.append({"step": float(step), "accuracy": accuracy})
        small.save(step, best_step=20, history=list(history))
    assert small.names() == ["step_00000020", "step_00000030", "step_00000050"]


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
    assert small.resumed_step() == 10
    small.save(20)
    assert small.names() == ["step_00000010", "step_00000020"]
    assert not list(tmp_path.glob(".*"))


def test_a_folder_under_its_temporary_name_is_no_checkpoint(tmp_path):
    small = Small(tmp_path)
    whole = small.save(10)
    shutil.copytree(whole, tmp_path / ".step_00000020.partial")
    assert small.resumed_step() == 10


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
    assert small.resumed_step() == 10
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
        other.checkpoints.resume(other.engine)
    assert folder.is_dir()
    assert all(torch.equal(before[name], value) for name, value in other.module.state_dict().items())


def _torn(data: bytes) -> bytes:
    return data[: len(data) // 2]


def _flipped(data: bytes) -> bytes:
    at = len(data) // 2
    return data[:at] + bytes([data[at] ^ 8]) + data[at + 1 :]


# Not a flipped bit in state.json: it holds the hashes, and has none itself.
@pytest.mark.parametrize(
    ("name", "damage"),
    [
        *itertools.product(["module.safetensors", "optimizer.pt"], [_torn, _flipped, None]),
        ("state.json", _torn),
        ("state.json", None),
    ],
)
def test_a_damaged_newest_checkpoint_gives_way_to_the_one_before_and_is_told(tmp_path, name, damage):
    small = Small(tmp_path, keep_last=2)
    small.step(0)
    small.save(10)
    good = small.module.state_dict()["0.weight"].clone()
    small.step(1)
    newest = small.save(20)
    if damage is None:
        (newest / name).unlink()
    else:
        (newest / name).write_bytes(damage((newest / name).read_bytes()))

    other = Small(tmp_path, keep_last=2, seed=1)
    progress, notes = other.checkpoints.resume(other.engine)
    assert progress.step == 10
    assert torch.equal(other.module.state_dict()["0.weight"], good)
    assert len(notes) == 1 and "step_00000020" in notes[0] and name in notes[0] and "\n" not in notes[0]
    # It does not count among the newest, or the good ones would be deleted for its sake; and nothing is lost.
    other.save(12)
    other.save(14)
    assert other.names() == ["step_00000012", "step_00000014"]
    assert (tmp_path / "step_00000020.damaged").is_dir()


def test_where_no_checkpoint_is_whole_one_line_says_so_and_nothing_is_renamed(tmp_path):
    small = Small(tmp_path)
    for step in (10, 20):
        file = small.save(step) / "module.safetensors"
        file.write_bytes(_flipped(file.read_bytes()))
    with pytest.raises(
        AccentError, match=r"no checkpoint is whole \(.*step_00000020.*sha256.*give a new folder"
    ) as caught:
        small.checkpoints.resume(small.engine)
    assert "\n" not in str(caught.value)
    assert small.names() == ["step_00000010", "step_00000020"]


def test_a_checkpoint_without_hashes_is_read_and_the_user_is_told(tmp_path):
    small = Small(tmp_path)
    file = small.save(10) / "state.json"
    state = json.loads(file.read_text())
    del state["sha256"]
    # Python's JSON holds NaN: earlier versions wrote it.
    state["progress"]["history"] = [{"step": 5.0, "eer": float("nan")}]
    file.write_text(json.dumps(state))
    progress, notes = small.checkpoints.resume(small.engine)
    assert progress.step == 10
    assert len(notes) == 1 and "cannot be checked" in notes[0]


def test_whatever_is_missing_or_of_another_kind_in_a_state_is_one_line(tmp_path):
    folder = Small(tmp_path).save(10)
    file = folder / "state.json"
    good = json.loads(file.read_text())
    spoilt = [[], {}, None, 1, "x", [good]]
    for key in good:
        spoilt += [{**good, key: value} for value in (-1.5, "x", [], [0])]
        if key != "sha256":
            spoilt.append({name: value for name, value in good.items() if name != key})
    for values in spoilt:
        file.write_text(json.dumps(values))
        with pytest.raises(DamagedCheckpointError, match=r"state.json.*delete the folder") as caught:
            read_state(folder)
        assert "\n" not in str(caught.value)
    for text in ("", "{", "[" * 100_000, "\x00", json.dumps(good)[:200]):
        file.write_text(text)
        with pytest.raises(DamagedCheckpointError, match=r"state.json: cannot be read"):
            read_state(folder)


class _Runs:
    """What an attacker pickles: a command that runs when it is loaded."""

    def __init__(self, note: Path) -> None:
        self.note = note

    def __reduce__(self) -> tuple:
        return os.system, (f"touch {self.note}",)


def test_moments_that_somebody_else_pickled_run_nothing(tmp_path):
    small = Small(tmp_path / "run")
    folder = small.save(10)
    note = tmp_path / "note"
    torch.save({"state": _Runs(note)}, folder / "optimizer.pt")
    (folder / "state.json").rename(tmp_path / "state.json")
    state = {**json.loads((tmp_path / "state.json").read_text()), **file_digests(folder)}
    (folder / "state.json").write_text(json.dumps(state))
    with pytest.raises(AccentError, match="might run a program") as caught:
        small.checkpoints.resume(small.engine)
    assert "\n" not in str(caught.value) and not note.exists()


def test_progress_survives_json():
    progress = Progress(step=7, best=0.25, best_step=5, history=[{"step": 5.0, "macro_f1": 0.1}])
    assert Progress(**json.loads(json.dumps(dataclasses.asdict(progress)))) == progress


def test_the_fingerprint_of_a_shard_set_tells_its_content(tmp_path):
    one = small_shards(tmp_path / "one")
    same = small_shards(tmp_path / "same")
    other = small_shards(tmp_path / "other", seed=1)
    assert shard_set_fingerprint(one) == shard_set_fingerprint(same) != shard_set_fingerprint(other)
