"""Pretraining without labels: it learns, it is exact over processes and resumes, and a run begins with it."""

import signal
from pathlib import Path

import pytest
import torch

from accent.errors import AccentError
from accent.inference.model_file import load_model
from launch.run_config import write_config
from launch.training.run import train_run
from tests.support.shard_sets.synthetic import make_shard_set
from tests.support.training.ranks import Ranks
from tests.support.training.small_runs import assert_same_weights, last_weights, small_config

PRETRAIN = (
    "objective=reconstruction",
    "model.dropout=0.2",
    "optimizer.epsilon=1e-3",
    "epochs=4",
    "validate_every_epochs=2",
    "augmentation.gain_db=3",
)
UNTRAINED = ("encoder.pooling", "encoder.embedding", "encoder.accent_head")


@pytest.fixture(scope="module")
def speech(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Speech whose accents nobody knows."""
    folder = tmp_path_factory.mktemp("speech")
    return make_shard_set(folder, {"unknown": [f"u{number}" for number in range(9)]}, 6).root


def configured(run: Path, speech: Path, *words: str):
    return small_config(run, speech, "batch.speakers_per_accent=6", "split.test_speakers=0", *PRETRAIN, *words)


@pytest.fixture(scope="module")
def pretrained(speech: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("pretrained") / "run"
    train_run(configured(run, speech))
    return run


def test_validation_reports_every_family(speech, tmp_path):
    last = train_run(configured(tmp_path / "run", speech, "epochs=1", "validate_every_epochs=1")).history[-1]
    families = ("mel", "mfcc", "chroma", "spectral", "prosody", "formants", "voice")
    assert set(last) == {"step", "explained", *(f"explained_{name}" for name in families)}
    assert all(last[name] < 1 for name in last if name != "step")


def test_two_processes_train_as_one(speech, pretrained, tmp_path):
    write_config(configured(tmp_path / "run", speech), tmp_path / "run.yaml")
    with Ranks([str(tmp_path / "run.yaml")], tmp_path / "printed", 2) as ranks:
        assert ranks.wait() == [0, 0], ranks.printed()
    mine, theirs = last_weights(pretrained), last_weights(tmp_path / "run")
    assert max(float((mine[name] - theirs[name]).abs().max()) for name in mine) < 1e-6


def test_a_run_that_was_stopped_and_resumed_is_the_same_run(speech, pretrained, tmp_path):
    run = tmp_path / "run"
    config = configured(run, speech, "monitor.every_steps=1", "monitor.line_seconds=1e-6")
    write_config(config, tmp_path / "run.yaml")
    for stop in ("step 3/", None):
        with Ranks([str(tmp_path / "run.yaml")], tmp_path / "printed", 1) as ranks:
            if stop is not None:
                ranks.wait_for(stop)
                ranks.kill(0, number=signal.SIGTERM)
            assert ranks.wait() == [75 if stop else 0], ranks.printed()
    assert_same_weights(run, pretrained)


def test_a_run_begins_with_the_pretrained_encoder_and_its_own_accents(shards, pretrained, tmp_path):
    words = (f"init={pretrained}", "epochs=1", "validate_every_epochs=1", "optimizer.lr=1e-12", "optimizer.final_lr=0")
    result = train_run(small_config(tmp_path / "run", shards, *words))
    begun, _ = load_model(result.run)
    before, _ = load_model(pretrained)
    assert begun.config.accents == ("Arabic", "Hindi", "Spanish") and before.config.accents == ("unknown",)
    for name, weight in before.transformer.state_dict().items():
        torch.testing.assert_close(begun.transformer.state_dict()[name], weight, atol=1e-9, rtol=0)
    assert all(parameter.requires_grad for parameter in begun.parameters())


def test_what_pretraining_does_not_reach_is_left_as_it_was(speech, pretrained, tmp_path):
    longer = configured(tmp_path / "run", speech, "epochs=2")
    train_run(longer)
    one, other = last_weights(pretrained), last_weights(tmp_path / "run")
    for name, weight in one.items():
        if name.startswith(UNTRAINED):
            assert torch.equal(weight, other[name]), name
    assert not torch.equal(one["encoder.fusion.logits_F"], other["encoder.fusion.logits_F"])


@pytest.mark.parametrize(
    ("word", "says"),
    [("model.branch=phones", "the only one that reconstructs frames"), ("chunk_rows=2", "leave out chunk_rows")],
)
def test_what_does_not_go_with_it_is_refused_in_one_line(speech, tmp_path, word, says):
    with pytest.raises(AccentError, match=says) as fault:
        train_run(configured(tmp_path / "run", speech, word))
    assert "\n" not in str(fault.value)
