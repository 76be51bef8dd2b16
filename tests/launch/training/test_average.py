"""One model of several checkpoints: the plain mean of their weights, chosen by validation, a model like others."""

import json

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from accent.configuration import load
from accent.errors import AccentError
from accent.inference.model_file import load_model
from launch.run_config import RunConfig, find_config
from launch.training.average import average_run, mean_weights
from launch.training.run import train_run
from tests.support.training.small_runs import SMALL_PHONES, small_config, small_shards


@pytest.fixture(scope="module")
def run(shards, tmp_path_factory):
    folder = tmp_path_factory.mktemp("averaged") / "run"
    train_run(small_config(folder, shards, "validate_every_epochs=1", "checkpoints.keep_best=4"))
    return folder


def history_of(run):
    newest = sorted((run / "checkpoints").glob("step_*"))[-1]
    return json.loads((newest / "state.json").read_text())["progress"]["history"]


def test_the_weights_are_the_plain_mean_of_the_best_checkpoints(run, accent):
    status, printed, errors = accent("average", run, "--best", 3)
    assert (status, errors) == (0, "")
    # By hand: the highest, and of equal ones the later.
    ranked = sorted(history_of(run), key=lambda entry: (entry["balanced_accuracy"], entry["step"]))
    steps = [int(entry["step"]) for entry in ranked[::-1][:3]]
    assert list(json.loads((run / "average" / "average.json").read_text())["scores"]) == [str(step) for step in steps]
    assert all(f" {step} (" in printed for step in steps)

    states = [load_file(run / "checkpoints" / f"step_{step:08d}" / "module.safetensors") for step in steps]
    averaged, _ = load_model(run / "average")
    compared = 0
    for name, value in averaged.state_dict().items():
        expected = np.mean([state[f"encoder.{name}"].numpy().astype(np.float64) for state in states], axis=0)
        assert np.array_equal(value.numpy(), expected.astype(value.numpy().dtype)), name
        compared += 1
    assert compared > 20
    assert not torch.equal(averaged.state_dict()[name], states[0][f"encoder.{name}"]) or "normalisation" in name


def test_an_average_is_taken_like_a_run_and_may_be_made_again(run, shards, accent, tmp_path):
    output = tmp_path / "several" / "two"
    for _ in range(2):
        assert accent("average", run, "--best", 2, "-o", output)[0] == 0
    status, _, errors = accent("evaluate", output, shards)
    assert status == 0, errors
    assert sorted(path.name for path in output.iterdir()) == [
        "average.json", "config.yaml", "evaluation", "model", "split.json",
    ]  # fmt: skip


def test_whole_numbers_are_those_of_the_best():
    states = [{"steps": torch.tensor(number), "weight": torch.tensor([float(number)])} for number in (7, 2)]
    mean = mean_weights(states)
    assert mean["steps"].item() == 7 and mean["weight"].tolist() == [4.5]


def test_what_cannot_be_averaged_is_one_line(run, tmp_path):
    with pytest.raises(AccentError, match=r"--best 9: .* holds \d checkpoints.*checkpoints\.keep_best=9"):
        average_run(run, 9, tmp_path / "out")
    with pytest.raises(AccentError, match="no run folder"):
        average_run(tmp_path, 2, tmp_path / "out")
    (tmp_path / "mine").mkdir()
    with pytest.raises(AccentError, match="is no average of checkpoints"):
        average_run(run, 2, tmp_path / "mine")
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_a_phonetic_model_is_averaged_with_all_that_it_measured(tmp_path, accent):
    shard_set, run = small_shards(tmp_path / "shards", phones=True), tmp_path / "run"
    words = [*SMALL_PHONES, "validate_every_epochs=1", "checkpoints.keep_best=2"]
    train_run(load(RunConfig, find_config("configs/saa8k.yaml"), [*words, f"run={run}", f"shards={shard_set.root}"]))
    assert accent("average", run, "--best", 2)[0] == 0
    trained, averaged = load_model(run)[0].state_dict(), load_model(run / "average")[0].state_dict()
    assert trained.keys() == averaged.keys()
    states = [load_file(folder / "module.safetensors") for folder in sorted((run / "checkpoints").glob("step_*"))]
    mean = np.mean([state["encoder.embedding.map.weight"].numpy().astype(np.float64) for state in states], axis=0)
    np.testing.assert_array_equal(averaged["embedding.map.weight"].numpy(), mean.astype(np.float32))
    frozen = [name for name in trained if name.startswith(("recogniser.", "embedding.tables.", "embedding.directions"))]
    assert len(frozen) > 20 and all(torch.equal(trained[name], averaged[name]) for name in frozen)
