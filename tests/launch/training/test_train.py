"""Training from end to end on a small shard set: in this process."""

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from accent import EnhancedAccentEncoder, ModelConfig
from accent.errors import AccentError
from accent.features.schema import FAMILY_NAMES
from accent.inference.model_file import load_model
from launch import train_accent_encoder
from launch.run_config import MonitorConfig, TrainingConfig
from launch.training import agreed
from launch.training.run import train_run
from launch.training.validation import Validation
from shards import ShardSet, TrainingLoader
from shards.loading.config import BatchConfig
from shards.splits.split import make_split
from tests.support.training.small_runs import at_step, small_config, small_loaders


def test_the_call_of_the_first_design_trains_the_model_in_place(shards):
    model = EnhancedAccentEncoder(ModelConfig.from_preset("tiny", accents=("to", "be", "replaced")))
    train_loader, val_loader = small_loaders(shards)
    device = torch.device("cpu")

    result = train_accent_encoder(model, train_loader, val_loader, num_epochs=8, device=device)

    assert result.step == 8 * train_loader.steps_per_epoch
    assert len(result.history) == 8
    assert result.run is None
    assert model.config.accents == ("Arabic", "Hindi", "Spanish")
    assert not model.training
    first, last = result.history[0], result.history[-1]
    assert last["cross_entropy"] < 0.5 * first["cross_entropy"]
    assert result.best is not None
    assert result.best > 0.9  # chance is 1/3; the set's accents lie far apart


def test_the_device_may_be_a_name_and_the_validation_may_be_left_out(shards, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    model = EnhancedAccentEncoder(ModelConfig.from_preset("tiny"))
    result = train_accent_encoder(model, small_loaders(shards)[0], None, num_epochs=1, device="cpu")
    assert (result.best, result.history) == (None, ())
    assert list(tmp_path.iterdir()) == []


def test_normalisation_comes_from_the_training_speakers_only(shards):
    model = EnhancedAccentEncoder(ModelConfig.from_preset("tiny"))
    train_loader, val_loader = small_loaders(shards)
    train_accent_encoder(model, train_loader, val_loader, num_epochs=1, device="cpu")
    expected = EnhancedAccentEncoder(model.config)
    statistics = train_loader.shard_set.statistics(train_loader.split.train)
    expected.set_normalisation(statistics.mean_D, statistics.std_D)
    for name, value in expected.normalisation.state_dict().items():
        assert torch.equal(value, model.normalisation.state_dict()[name])


def test_a_run_folder_holds_all_that_is_needed_to_use_it_and_to_resume(uninterrupted):
    assert {path.name for path in uninterrupted.iterdir()} == {
        "config.yaml",
        "environment.json",
        "health.json",
        "split.json",
        "checkpoints",
        "model",
        "tensorboard",
    }
    kept = [path.name for path in sorted((uninterrupted / "checkpoints").iterdir())]
    assert kept[-1] == "step_00000018"
    assert len(kept) <= 3
    model, _ = load_model(uninterrupted)
    assert model.config.accents == ("Arabic", "Hindi", "Spanish")


def test_the_curves_hold_every_loss_and_measure_by_name(uninterrupted):
    curves = EventAccumulator(str(uninterrupted / "tensorboard"))
    curves.Reload()
    tags = set(curves.Tags()["scalars"])
    names = {f"loss/{name}" for name in ("total", "contrastive", "triplet", "reconstruction", "cross_entropy")}
    names |= {f"optimizer/{name}" for name in ("lr", "gradient_norm", "skipped_steps", "loss_scale", "loss_spikes")}
    names |= {"speed/utterances_per_second", "speed/data_wait_share", "memory/process_gib", "progress/epoch"}
    names |= {f"space/{name}" for name in ("temperature", "triplet_active", "embedding_spread", "validation_spread")}
    names |= {f"time/{part}_ms" for part in ("data_wait", "forward", "loss", "backward", "optimizer")}
    names |= {f"weights/fusion_{name}" for name in FAMILY_NAMES}
    names |= {f"accuracy/validation_{name}" for name in ("balanced_accuracy", "accuracy", "macro_f1", "best")}
    names |= {"accuracy/training_accuracy", "loss/validation_cross_entropy"}
    assert names == tags
    assert [point.step for point in curves.Scalars("loss/total")] == list(range(2, 19, 2))
    assert [point.step for point in curves.Scalars("accuracy/validation_accuracy")] == [6, 12, 18]
    assert all(0 <= point.value <= 1 for point in curves.Scalars("speed/data_wait_share"))
    shares = [curves.Scalars(f"weights/fusion_{name}")[-1].value for name in FAMILY_NAMES]
    assert sum(shares) == pytest.approx(1, abs=1e-5)
    total = [point.value for point in curves.Scalars("loss/total")]
    assert total[-1] < 0.7 * total[0]


def test_the_model_of_the_best_validation_is_the_one_exported(shards, tmp_path, monkeypatch):
    told = iter([0.4, 0.9, 0.5])
    weights = []

    def validation(encoder: EnhancedAccentEncoder, *_: object) -> Validation:
        weights.append({name: value.clone() for name, value in encoder.state_dict().items()})
        return Validation({"balanced_accuracy": next(told), "spread": 1.0})

    monkeypatch.setattr("launch.training.tasks.accent_task.validate", validation)
    result = train_run(small_config(tmp_path / "run", shards))
    assert (result.best, result.best_step) == (0.9, 12)
    exported = load_model(tmp_path / "run")[0].state_dict()
    assert all(torch.equal(exported[name], value) for name, value in weights[1].items())
    assert not all(torch.equal(exported[name], value) for name, value in weights[2].items())
    assert (tmp_path / "run" / "checkpoints" / "step_00000012").is_dir()


def test_a_loader_made_for_other_processes_is_refused(shards):
    shard_set = ShardSet.open(shards)
    loader = TrainingLoader(shard_set, make_split(shard_set), BatchConfig(), rank=1, world_size=2)
    with pytest.raises(AccentError, match="made for process 1 of 2, but this is process 0 of 1"):
        train_accent_encoder(EnhancedAccentEncoder(ModelConfig.from_preset("tiny")), loader, None, device="cpu")


def test_progress_is_told_in_lines_where_there_is_no_terminal(shards, capsys):
    model = EnhancedAccentEncoder(ModelConfig.from_preset("tiny"))
    training = TrainingConfig(monitor=MonitorConfig(every_steps=1, line_seconds=1e-6))
    train_accent_encoder(model, *small_loaders(shards), num_epochs=1, device="cpu", training=training)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("training on 1 process, backend none, device cpu")
    assert "precision float32, TF32 off, deterministic algorithms off, ZeRO off, global batch 12, " in lines[0]
    assert lines[1].startswith("step 1/3  loss ")
    assert lines[-1].startswith("step 3/3  validation  balanced_accuracy")


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_a_gpu_trains_in_half_precision(shards):
    model = EnhancedAccentEncoder(ModelConfig.from_preset("tiny"))
    result = train_accent_encoder(model, *small_loaders(shards), num_epochs=8, device="cuda", mixed_precision="bf16")
    assert next(model.parameters()).is_cuda
    assert result.history[-1]["cross_entropy"] < 0.5 * result.history[0]["cross_entropy"]


def test_checkpoints_are_saved_by_the_clock_too(shards, tmp_path, monkeypatch):
    clock = [0.0]
    monkeypatch.setattr(agreed.time, "monotonic", lambda: clock[0])
    at_step(monkeypatch, 8, lambda: clock.__setitem__(0, 61.0))
    words = ("checkpoints.every_minutes=1", "checkpoints.every_steps=1000", "validate_every_epochs=6")
    train_run(small_config(tmp_path / "run", shards, *words))
    # The batch of step 8 is fetched in the step before, which is the eighth to end.
    assert sorted(path.name for path in (tmp_path / "run" / "checkpoints").iterdir()) == [
        "step_00000008",
        "step_00000018",
    ]
