"""A run that stopped resumes bit for bit; a folder of another run is refused."""

import os
import signal

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from accent import EnhancedAccentEncoder, ModelConfig
from accent.errors import AccentError
from launch import train_accent_encoder
from launch.runtime.signals import Interrupted
from launch.training.run import train_run
from shards import ShardSet, TrainingLoader
from shards.loading.config import BatchConfig
from shards.splits.split import make_split
from tests.support.training.small_runs import assert_same_weights, at_step, small_config, small_shards


@pytest.mark.usefixtures("ctrl_c")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("step", [8, 12])
def test_a_run_stopped_by_a_signal_resumes_bit_for_bit(shards, uninterrupted, tmp_path, monkeypatch, number, step):
    # After step 12 a validation is due: it must be made up for.
    run = tmp_path / "run"
    at_step(monkeypatch, step, lambda: os.kill(os.getpid(), number))
    with pytest.raises(Interrupted) as stop:
        train_run(small_config(run, shards))
    assert stop.value.number == number
    assert sorted((run / "checkpoints").iterdir())[-1].name == f"step_{step:08d}"
    monkeypatch.undo()
    result = train_run(small_config(run, shards))
    assert [metrics["step"] for metrics in result.history] == [6, 12, 18]
    assert_same_weights(run, uninterrupted)


def test_a_run_that_died_resumes_from_its_last_checkpoint_bit_for_bit(shards, uninterrupted, tmp_path, monkeypatch):
    run = tmp_path / "run"

    def die() -> None:
        raise RuntimeError("died")

    at_step(monkeypatch, 13, die)
    with pytest.raises(RuntimeError, match="died"):
        train_run(small_config(run, shards))
    monkeypatch.undo()
    assert sorted((run / "checkpoints").iterdir())[-1].name == "step_00000012"
    train_run(small_config(run, shards))
    assert_same_weights(run, uninterrupted)

    curves = EventAccumulator(str(run / "tensorboard"))
    curves.Reload()
    steps = [point.step for point in curves.Scalars("loss/total")]
    assert steps == sorted(set(steps))


def test_a_finished_run_started_again_does_nothing(shards, tmp_path, capsys):
    config = small_config(tmp_path / "run", shards, "epochs=2")
    first = train_run(config)
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "run" / "checkpoints").rglob("*")}
    assert train_run(config) == first
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "run" / "checkpoints").rglob("*")} == before
    assert "nothing left to train: 6 steps are done" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["optimizer.lr=2"], r"holds another run \(optimizer\.lr: 0\.003 -> 2\.0\); give a new folder: run="),
        (["model.layers=2"], r"holds another run \(model\.layers: 1 -> 2\)"),
        (["resume=false"], r"holds checkpoints up to step_00000018; leave resume on"),
    ],
)
def test_a_folder_of_another_run_is_refused(shards, uninterrupted, words, says):
    with pytest.raises(AccentError, match=says):
        train_run(small_config(uninterrupted, shards, *words))
    assert (uninterrupted / "checkpoints" / "step_00000018").is_dir()


def test_a_run_on_another_shard_set_is_refused(uninterrupted, tmp_path):
    other = small_shards(tmp_path / "other", speakers=5, seed=1).root
    before = {path: path.read_bytes() for path in uninterrupted.rglob("*") if path.is_file()}
    with pytest.raises(AccentError, match=r"holds a run on another shard set than .*other \(content"):
        train_run(small_config(uninterrupted, other))
    assert {path: path.read_bytes() for path in uninterrupted.rglob("*") if path.is_file()} == before


def test_a_damaged_configuration_of_a_run_is_one_line(shards, tmp_path):
    (tmp_path / "config.yaml").write_text("epochs: [")
    with pytest.raises(AccentError, match=r"config\.yaml: not valid YAML"):
        train_run(small_config(tmp_path, shards))
    assert [path.name for path in tmp_path.iterdir()] == ["config.yaml"]


def test_a_run_does_not_resume_with_other_crops(shards, tmp_path):
    shard_set = ShardSet.open(shards)
    for crop_frames in (40, 30):
        config = BatchConfig(utterances_per_speaker=2, crop_frames=crop_frames)
        loader = TrainingLoader(shard_set, make_split(shard_set), config)
        model = EnhancedAccentEncoder(ModelConfig.from_preset("tiny"))
        if crop_frames == 40:
            train_accent_encoder(model, loader, None, num_epochs=1, device="cpu", run=tmp_path / "run")
    with pytest.raises(AccentError, match=r"belongs to another run \(batch\.crop_frames: 40 -> 30\)"):
        train_accent_encoder(model, loader, None, num_epochs=1, device="cpu", run=tmp_path / "run")
