"""Training from end to end on a small shard set: in this process."""

import math
import os
import signal
from pathlib import Path

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from accent import EnhancedAccentEncoder, ModelConfig
from accent.errors import AccentError
from accent.features.schema import FAMILY_NAMES
from accent.inference.embedder import load_model
from accent.losses.objective import AccentObjective
from launch import train_accent_encoder
from launch.run_config import MonitorConfig, TrainingConfig
from launch.runtime.exit_status import ExitStatus
from launch.runtime.signals import Interrupted
from launch.runtime.start import start_runtime
from launch.train import main
from launch.training.run import train_run
from shards import EvaluationLoader, ShardSet, TrainingLoader
from shards.loading.config import BatchConfig
from shards.splits.split import make_split
from tests.support.small_runs import assert_same_weights, at_step, small_config, small_shards

LAST = "step_00000018"


@pytest.fixture(scope="module")
def uninterrupted(shards: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of eighteen steps with dropout, in this process."""
    run = tmp_path_factory.mktemp("runs") / "uninterrupted"
    train_run(small_config(run, shards))
    return run


def small_loaders(shards: Path) -> tuple[TrainingLoader, EvaluationLoader]:
    shard_set = ShardSet.open(shards)
    split = make_split(shard_set)
    config = BatchConfig(utterances_per_speaker=2, crop_frames=40)
    return TrainingLoader(shard_set, split, config), EvaluationLoader(shard_set, split.validation, config)


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


def test_a_run_folder_holds_all_that_is_needed_to_use_it_and_to_go_on(uninterrupted):
    assert {path.name for path in uninterrupted.iterdir()} == {
        "config.yaml",
        "environment.json",
        "split.json",
        "checkpoints",
        "model",
        "tensorboard",
    }
    kept = [path.name for path in sorted((uninterrupted / "checkpoints").iterdir())]
    assert kept[-1] == LAST
    assert len(kept) <= 3
    model, _ = load_model(uninterrupted)
    assert model.config.accents == ("Arabic", "Hindi", "Spanish")


def test_the_curves_hold_every_loss_and_measure_by_name(uninterrupted):
    curves = EventAccumulator(str(uninterrupted / "tensorboard"))
    curves.Reload()
    tags = set(curves.Tags()["scalars"])
    names = {f"loss/{name}" for name in ("total", "contrastive", "triplet", "reconstruction", "cross_entropy")}
    names |= {f"train/{name}" for name in ("lr", "gradient_norm", "samples_per_second", "data_wait_share")}
    names |= {"train/skipped_steps", "train/loss_scale"}
    names |= {f"time/{part}_ms" for part in ("data_wait", "forward", "loss", "backward", "optimizer")}
    names |= {f"fusion/{name}" for name in FAMILY_NAMES}
    names |= {f"validation/{name}" for name in ("balanced_accuracy", "accuracy", "macro_f1", "cross_entropy", "spread")}
    assert names <= tags
    assert [point.step for point in curves.Scalars("loss/total")] == list(range(2, 19, 2))
    assert [point.step for point in curves.Scalars("validation/accuracy")] == [6, 12, 18]
    assert all(0 <= point.value <= 1 for point in curves.Scalars("train/data_wait_share"))
    shares = [curves.Scalars(f"fusion/{name}")[-1].value for name in FAMILY_NAMES]
    assert sum(shares) == pytest.approx(1, abs=1e-5)
    total = [point.value for point in curves.Scalars("loss/total")]
    assert total[-1] < 0.7 * total[0]


@pytest.mark.usefixtures("ctrl_c")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("step", [8, 12])
def test_a_run_stopped_by_a_signal_goes_on_bit_for_bit(shards, uninterrupted, tmp_path, monkeypatch, number, step):
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


def test_a_run_that_died_goes_on_from_its_last_checkpoint_bit_for_bit(shards, uninterrupted, tmp_path, monkeypatch):
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


def test_the_model_of_the_best_validation_is_the_one_exported(shards, tmp_path, monkeypatch):
    told = iter([0.4, 0.9, 0.5])
    weights = []

    def validation(encoder: EnhancedAccentEncoder, *_: object) -> dict[str, float]:
        weights.append({name: value.clone() for name, value in encoder.state_dict().items()})
        return {"balanced_accuracy": next(told), "spread": 1.0}

    monkeypatch.setattr("launch.training.accent_task.validate", validation)
    result = train_run(small_config(tmp_path / "run", shards))
    assert (result.best, result.best_step) == (0.9, 12)
    exported = load_model(tmp_path / "run")[0].state_dict()
    assert all(torch.equal(exported[name], value) for name, value in weights[1].items())
    assert not all(torch.equal(exported[name], value) for name, value in weights[2].items())
    assert (tmp_path / "run" / "checkpoints" / "step_00000012").is_dir()


def test_a_loss_that_is_not_finite_stops_before_the_weights_change(shards, tmp_path, monkeypatch):
    genuine, calls = AccentObjective.forward, []
    model = EnhancedAccentEncoder(ModelConfig.from_preset("tiny"))
    weights: dict[str, torch.Tensor] = {}

    def poisoned(objective: AccentObjective, *arguments: object) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        calls.append(0)
        total, losses = genuine(objective, *arguments)
        if len(calls) == 4:
            weights.update({name: value.clone() for name, value in model.state_dict().items()})
            total = total * math.nan
        return total, losses

    monkeypatch.setattr(AccentObjective, "forward", poisoned)
    with pytest.raises(AccentError, match=r"step 4: the loss is not finite, nothing was updated.*optimizer\.lr"):
        train_accent_encoder(model, small_loaders(shards)[0], None, num_epochs=3, device="cpu", run=tmp_path / "run")
    assert weights
    assert all(torch.equal(value, weights[name]) for name, value in model.state_dict().items())


def test_a_sample_that_cannot_be_read_stops_the_run_with_all_it_has_learnt_saved(shards, tmp_path, monkeypatch):
    def unreadable() -> None:
        raise AccentError("shard-000000.tar: sample 3 is damaged")

    run = tmp_path / "run"
    at_step(monkeypatch, 8, unreadable)
    with pytest.raises(AccentError, match="sample 3 is damaged"):
        train_run(small_config(run, shards))
    assert sorted((run / "checkpoints").iterdir())[-1].name == "step_00000008"
    monkeypatch.undo()
    at_step(monkeypatch, 0, unreadable)
    with pytest.raises(AccentError, match="sample 3 is damaged"):
        train_run(small_config(tmp_path / "other", shards))


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
    assert (uninterrupted / "checkpoints" / LAST).is_dir()


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


def test_a_run_does_not_go_on_with_other_crops(shards, tmp_path):
    shard_set = ShardSet.open(shards)
    for crop_frames in (40, 30):
        config = BatchConfig(utterances_per_speaker=2, crop_frames=crop_frames)
        loader = TrainingLoader(shard_set, make_split(shard_set), config)
        model = EnhancedAccentEncoder(ModelConfig.from_preset("tiny"))
        if crop_frames == 40:
            train_accent_encoder(model, loader, None, num_epochs=1, device="cpu", run=tmp_path / "run")
    with pytest.raises(AccentError, match=r"belongs to another run \(batch\.crop_frames: 40 -> 30\)"):
        train_accent_encoder(model, loader, None, num_epochs=1, device="cpu", run=tmp_path / "run")


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["configs/nothing.yaml"], "no such configuration file"),
        (["configs/demo.yaml", "epoch=3"], "unknown key 'epoch'; did you mean epochs?"),
        (["configs/demo.yaml", "epochs"], "an override is written key=value"),
        (["configs/demo.yaml", "shards=nowhere"], "nowhere: no such folder"),
        ([], "required: config; usage: CONFIG"),
        (["configs/demo.yaml", "--quiet"], "unrecognized arguments: --quiet; usage: CONFIG"),
        (["configs/demo.yaml", "processes=3"], "processes: 3 asked for, 1 running"),
    ],
)
def test_bad_input_is_one_line_and_status_2(words, says, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(words) == 2
    error = capsys.readouterr().err
    assert says in error
    assert error.count("\n") == 1
    assert error.startswith("accent: ")
    assert list(tmp_path.iterdir()) == []


def test_a_traceback_comes_only_when_asked_for(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["configs/demo.yaml", "--debug", "shards=nowhere"]) == 2
    assert "Traceback" in capsys.readouterr().err
    monkeypatch.setenv("ACCENT_DEBUG", "1")
    assert main(["configs/demo.yaml", "shards=nowhere"]) == 2
    assert "Traceback" in capsys.readouterr().err


def test_what_ends_a_program_decides_its_status(capsys):
    def ends_with(error: BaseException) -> int:
        with ExitStatus() as status:
            raise error
        return status.code

    with ExitStatus() as status:
        pass
    assert status.code == 0
    assert ends_with(AccentError("mend me")) == 2
    assert ends_with(Interrupted(signal.SIGINT, "saved")) == 130
    assert ends_with(Interrupted(signal.SIGTERM, "saved")) == 75
    assert ends_with(KeyboardInterrupt()) == 130
    assert capsys.readouterr().err.splitlines()[:2] == ["accent: mend me", "accent: saved"]
    with pytest.raises(ZeroDivisionError):
        ends_with(ZeroDivisionError())


def test_a_launcher_that_made_one_process_where_several_were_asked_for_is_refused(monkeypatch):
    # What `accelerate launch --cpu --num_processes 2` leaves in the environment of the one process it starts.
    monkeypatch.setenv("ACCELERATE_MIXED_PRECISION", "no")
    monkeypatch.setenv("MASTER_PORT", "29500")
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    with pytest.raises(AccentError, match="was asked for several processes and started one"):
        start_runtime("cpu")


def test_a_loader_made_for_other_processes_is_refused(shards):
    shard_set = ShardSet.open(shards)
    loader = TrainingLoader(shard_set, make_split(shard_set), BatchConfig(), rank=1, world_size=2)
    with pytest.raises(AccentError, match="made for process 1 of 2, but this is process 0 of 1"):
        train_accent_encoder(EnhancedAccentEncoder(ModelConfig.from_preset("tiny")), loader, None, device="cpu")


def test_a_missing_gpu_is_one_line(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(AccentError, match="no GPU that torch can use; take device cpu"):
        start_runtime("cuda")


def test_validation_tells_what_a_direct_forward_of_each_utterance_tells(shards):
    train_loader, val_loader = small_loaders(shards)
    model = EnhancedAccentEncoder(ModelConfig.from_preset("tiny"))
    result = train_accent_encoder(model, train_loader, val_loader, num_epochs=1, device="cpu")
    right, entropy, embeddings, accents = [], [], [], []
    with torch.no_grad():
        for batch in EvaluationLoader(val_loader.shard_set, val_loader.speakers, BatchConfig()):
            for row in range(len(batch.sample_B)):
                length = int(batch.valid_BT[row].sum())
                output = model(batch.frames_BTD[row : row + 1, :length], batch.valid_BT[row : row + 1, :length])
                accent = int(batch.accent_B[row])
                right.append(float(output.accent_logits_BA.argmax() == accent))
                entropy.append(float(-output.accent_logits_BA.log_softmax(-1)[0, accent]))
                embeddings.append(output.embedding_BE[0])
                accents.append(accent)
    told = result.history[-1]
    assert len(right) == 18
    assert told["accuracy"] == pytest.approx(sum(right) / 18)
    recalls = [[hit for hit, accent in zip(right, accents, strict=True) if accent == one] for one in range(3)]
    assert told["balanced_accuracy"] == pytest.approx(sum(sum(hits) / len(hits) for hits in recalls) / 3)
    assert told["cross_entropy"] == pytest.approx(sum(entropy) / 18, rel=1e-4)
    assert told["spread"] == pytest.approx(float(torch.stack(embeddings).var(0, correction=0).sum()), rel=1e-4)
    assert "map_at_r" not in told  # one validation speaker an accent: nothing to retrieve


def test_progress_is_told_in_lines_where_there_is_no_terminal(shards, capsys):
    model = EnhancedAccentEncoder(ModelConfig.from_preset("tiny"))
    training = TrainingConfig(monitor=MonitorConfig(every_steps=1, line_seconds=1e-6))
    train_accent_encoder(model, *small_loaders(shards), num_epochs=1, device="cpu", training=training)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("training on 1 process, backend none, device cpu")
    assert "precision float32, ZeRO off, global batch 12, " in lines[0]
    assert lines[1].startswith("step 1/3  loss ")
    assert lines[-1].startswith("step 3/3  validation  balanced_accuracy")


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_a_gpu_trains_in_half_precision(shards):
    model = EnhancedAccentEncoder(ModelConfig.from_preset("tiny"))
    result = train_accent_encoder(model, *small_loaders(shards), num_epochs=8, device="cuda", mixed_precision="bf16")
    assert next(model.parameters()).is_cuda
    assert result.history[-1]["cross_entropy"] < 0.5 * result.history[0]["cross_entropy"]
