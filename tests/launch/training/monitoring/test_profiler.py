"""Steps that a profiler records, and nothing else."""

import json

import pytest

from accent import EnhancedAccentEncoder, ModelConfig
from accent.configuration import load
from accent.errors import AccentError
from launch import train_accent_encoder
from launch.run_config import MonitorConfig, RunConfig, TrainingConfig
from launch.training.run import train_run
from tests.support.training.small_runs import small_config, small_loaders


def test_the_trace_has_the_parts_of_every_step_asked_for(shards, tmp_path, capsys):
    train_run(small_config(tmp_path / "run", shards, "epochs=2", "monitor.profile=2..4"))
    folder = tmp_path / "run" / "profile"
    assert {path.name for path in folder.iterdir()} == {"steps_000002_000004.json", "steps_000002_000004.txt"}
    events = json.loads((folder / "steps_000002_000004.json").read_text())["traceEvents"]
    parts = [event["name"] for event in events if event.get("cat") == "user_annotation"]
    assert {name: parts.count(name) for name in ("forward", "loss", "backward", "optimizer")} == {
        "forward": 3,
        "loss": 3,
        "backward": 3,
        "optimizer": 3,
    }
    assert "Self CPU" in (folder / "steps_000002_000004.txt").read_text()
    assert "profile: " in capsys.readouterr().out


def test_a_run_that_ends_before_keeps_what_was_recorded(shards, tmp_path):
    train_run(small_config(tmp_path / "run", shards, "epochs=1", "monitor.profile=3..99"))
    assert (tmp_path / "run" / "profile" / "steps_000003_000003.json").is_file()


def test_a_profile_without_a_folder_is_refused(shards):
    training = TrainingConfig(epochs=1, monitor=MonitorConfig(profile="1..2"))
    model = EnhancedAccentEncoder(ModelConfig.from_preset("tiny"))
    with pytest.raises(AccentError, match=r"monitor\.profile: there is no run folder"):
        train_accent_encoder(model, *small_loaders(shards), training=training, device="cpu")


@pytest.mark.parametrize("word", ["20", "30..20", "0..3", "steps"])
def test_other_words_are_refused(word):
    with pytest.raises(AccentError, match=f"profile: '{word}' is not a first and a last step, as in 20..30"):
        load(RunConfig, overrides=[f"monitor.profile={word}"])
