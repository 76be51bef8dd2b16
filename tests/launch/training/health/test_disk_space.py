"""What a checkpoint takes is known beforehand, and a disk that has no room for it ends the run at its start."""

import shutil

import pytest

from accent import EnhancedAccentEncoder, ModelConfig
from accent.errors import AccentError
from accent.losses import AccentObjective
from launch.run_config import CheckpointConfig
from launch.training.health.disk_space import check_space, checkpoint_bytes
from launch.training.module import TrainingModule
from launch.training.run import train_run
from tests.support.training.small_runs import small_config


def free(monkeypatch, count):
    usage = shutil.disk_usage("/")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=count))


def test_a_checkpoint_is_about_as_large_as_was_said(shards, tmp_path):
    config = small_config(tmp_path / "run", shards, "epochs=1", "model.hidden=96")
    train_run(config)
    (folder,) = (tmp_path / "run" / "checkpoints").iterdir()
    written = sum(path.stat().st_size for path in folder.iterdir() if path.name != "state.json")
    model = EnhancedAccentEncoder(ModelConfig(**{**vars(config.model), "accents": ("a", "b", "c")}))
    said = checkpoint_bytes(TrainingModule(model, AccentObjective()))
    # The rest is names and headers.
    assert 0.9 * written < said < written


def test_a_disk_without_room_for_one_ends_the_run_before_it_begins(shards, tmp_path, monkeypatch):
    free(monkeypatch, 1000)
    with pytest.raises(AccentError, match=r"a checkpoint takes .* MB, and 0\.00 MB are free there; free space, or"):
        train_run(small_config(tmp_path / "run", shards))
    assert not (tmp_path / "run" / "checkpoints").exists()


def test_a_disk_without_room_for_all_that_are_kept_is_a_warning(tmp_path, monkeypatch):
    model = EnhancedAccentEncoder(ModelConfig.from_preset("tiny"))
    one = checkpoint_bytes(model)
    free(monkeypatch, 4 * one)
    assert check_space(tmp_path, model, CheckpointConfig(keep_last=2)) == []
    (line,) = check_space(tmp_path, model, CheckpointConfig(keep_last=2, keep_best=5))
    assert line.startswith("warning: ") and "8 more checkpoints" in line
