"""Perturbation and speaker head in real runs: off they change nothing; on they are exact over processes and resumes."""

import signal
from pathlib import Path

import pytest
import torch

from accent.augmentation import AugmentationConfig, augment
from accent.errors import AccentError
from launch.run_config import write_config
from launch.training.module import TrainingModule
from launch.training.run import train_run
from shards.loading.loader import TrainingLoader
from shards.shard_set.manifest import ShardSet
from shards.splits.split import make_split
from tests.support.training.ranks import Ranks
from tests.support.training.small_runs import assert_same_weights, last_weights, small_config, small_shards

ON = (
    "augmentation.tempo=0.2",
    "augmentation.vocal_tract=0.1",
    "augmentation.gain_db=6",
    "augmentation.time_masks=2",
    "losses.adversary=0.5",
)
SMOOTH = (
    "model.dropout=0",
    "optimizer.epsilon=1e-3",
    "epochs=4",
    "validate_every_epochs=4",
    "checkpoints.every_steps=5",
)
"""Twelve steps whose weights are a smooth function of the gradients."""


@pytest.fixture(scope="module")
def alone(shards: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with everything on, on one process."""
    run = tmp_path_factory.mktemp("alone") / "run"
    train_run(small_config(run, shards, *SMOOTH, *ON))
    return run


@pytest.mark.parametrize("stage", [0, 3])
def test_two_processes_train_as_one(shards, alone, tmp_path, stage):
    write_config(small_config(tmp_path / "run", shards, *SMOOTH, *ON), tmp_path / "run.yaml")
    with Ranks([str(tmp_path / "run.yaml")], tmp_path / "printed", 2, stage) as ranks:
        assert ranks.wait() == [0, 0], ranks.printed()
    mine, theirs = last_weights(alone), last_weights(tmp_path / "run")
    assert mine.keys() == theirs.keys()
    assert max(float((mine[name] - theirs[name]).abs().max()) for name in mine) < 1e-6


def test_a_run_that_was_stopped_and_resumed_is_the_same_run(shards, alone, tmp_path):
    run = tmp_path / "run"
    words = [*SMOOTH, *ON, "monitor.every_steps=1", "monitor.line_seconds=1e-6"]
    write_config(small_config(run, shards, *words), tmp_path / "run.yaml")
    for stop in ("step 7/12", None):
        with Ranks([str(tmp_path / "run.yaml")], tmp_path / "printed", 1) as ranks:
            if stop is not None:
                ranks.wait_for(stop)
                ranks.kill(0, number=signal.SIGTERM)
            assert ranks.wait() == [75 if stop else 0], ranks.printed()
            assert ("resuming at step" in ranks.printed(0)) == (stop is None)
    assert_same_weights(run, alone)


@pytest.mark.parametrize("switch", ON)
def test_each_switch_makes_another_training(shards, tmp_path, switch):
    words = ("model.dropout=0", "epochs=1", "validate_every_epochs=1")
    for name, more in (("off", ()), ("on", (switch,))):
        train_run(small_config(tmp_path / name, shards, *words, *more))
    off, on = last_weights(tmp_path / "off"), last_weights(tmp_path / "on")
    assert any(not torch.equal(off[name], on[name]) for name in off)
    has_head = any(name.startswith("objective.adversary.head") for name in on)
    assert has_head == switch.startswith("losses.adversary")


def test_training_sees_what_the_perturbation_makes_of_the_loaders_batches(shards, tmp_path, monkeypatch):
    seen = []
    genuine = TrainingModule.forward

    def spy(module, batch):
        seen.append(batch)
        return genuine(module, batch)

    monkeypatch.setattr(TrainingModule, "forward", spy)
    words = ("epochs=1", "validate_every_epochs=1", "gradient_accumulation_steps=2", "augmentation.gain_db=6", "seed=3")
    train_run(small_config(tmp_path / "run", shards, *words))
    shard_set = ShardSet.open(shards)
    config = small_config(tmp_path / "run", shards, *words)
    loader = TrainingLoader(shard_set, make_split(shard_set, config.split), config.batch, seed=3)
    for number, batch in enumerate(loader.steps(0, len(seen))):
        expected = augment(AugmentationConfig(gain_db=6), *batch[:3], step=number, first_row=0, seed=3)
        torch.testing.assert_close(seen[number].frames_BTD, expected.frames_BTD, equal_nan=True, rtol=0, atol=0)
        assert not torch.equal(expected.frames_BTD.nan_to_num(), batch.frames_BTD.nan_to_num())


def test_loss_and_accuracy_of_the_speaker_head_are_curves(shards, alone):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    curves = EventAccumulator(str(alone / "tensorboard")).Reload()
    assert {"loss/adversary", "accuracy/training_speaker_accuracy"} <= set(curves.Tags()["scalars"])
    assert all(0 <= point.value <= 1 for point in curves.Scalars("accuracy/training_speaker_accuracy"))
    assert "time/augmentation_ms" in curves.Tags()["scalars"]


def test_a_speaker_head_without_two_speakers_of_an_accent_is_refused_in_one_line(tmp_path):
    shards = small_shards(tmp_path / "shards", speakers=3).root
    words = ("losses.adversary=0.5", "losses.positives=any", "batch.speakers_per_accent=1")
    with pytest.raises(AccentError, match=r"losses\.adversary: no accent has two training speakers.*give 0"):
        train_run(small_config(tmp_path / "run", shards, *words))


# --- the branch `phones` ----------------------------------------------------------------------------------------------

PHONETIC = (
    "model.preset=phonetic",
    "model.branch=phones",
    "model.normalisation=speaker",
    "model.phone_channels=8",
    "model.phone_dropout=0",
    "model.directions=8",
    "model.dropout=0",
    "phones.epochs=1",
    "phones.batch.speakers_per_accent=2",
    "phones.batch.crop_frames=60",
    "optimizer.epsilon=1e-3",
    "batch.crop_frames=80",
    "epochs=1",
    "validate_every_epochs=1",
)


@pytest.fixture(scope="module")
def phonetic_shards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("phonetic")
    return small_shards(folder, phones=True, phone_frames=6, lengths=(50, 80)).root


def test_perturbation_reaches_the_phone_heads_and_the_embedding_says_that_it_has_none(
    phonetic_shards, tmp_path, capsys
):
    for name, more in (("off", ()), ("on", ("augmentation.vocal_tract=0.2",))):
        train_run(small_config(tmp_path / name, phonetic_shards, *PHONETIC, *more))
    printed = capsys.readouterr().out
    assert printed.count("augmentation: perturbs the training of the phone heads only") == 1
    off, on = (last_weights(tmp_path / name / "phones") for name in ("off", "on"))
    assert any(not torch.equal(off[name], on[name]) for name in off if "heads" in name)


def test_the_speaker_head_of_a_phonetic_run_is_exact_on_two_processes(phonetic_shards, tmp_path):
    train_run(small_config(tmp_path / "first", phonetic_shards, *PHONETIC))
    words = (*PHONETIC, f"init={tmp_path / 'first' / 'phones'}", "losses.adversary=0.5", "epochs=3")
    train_run(small_config(tmp_path / "alone", phonetic_shards, *words))
    write_config(small_config(tmp_path / "run", phonetic_shards, *words), tmp_path / "run.yaml")
    with Ranks([str(tmp_path / "run.yaml")], tmp_path / "printed", 2) as ranks:
        assert ranks.wait() == [0, 0], ranks.printed()
    mine, theirs = last_weights(tmp_path / "alone"), last_weights(tmp_path / "run")
    assert any(name.startswith("objective.adversary.head") for name in mine)
    for name in mine:
        torch.testing.assert_close(mine[name].double(), theirs[name].double(), atol=1e-6, rtol=0)
