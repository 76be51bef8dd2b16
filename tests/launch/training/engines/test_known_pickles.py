"""Files that torch has pickled are loaded without running what is in them, under ZeRO too."""

import json
import os
import pickle
from collections import OrderedDict
from pathlib import Path

import pytest
import torch

from accent.errors import AccentError
from launch.run_config import write_config
from launch.runtime.precision import LossScale
from launch.runtime.start import start_runtime
from launch.training.engines.known_pickles import load_known, refuse_unknown
from launch.training.engines.zero import ZeroEngine
from launch.training.saved_state import file_digests
from tests.support.training.ranks import Ranks
from tests.support.training.small_runs import small_config

GOOD = {"step": 3, "names": ["a"], "state": OrderedDict(x=torch.arange(4.0)), "shape": torch.Size([2, 2])}


class Runs:
    """What an attacker pickles: a command that runs when it is loaded."""

    def __init__(self, note: Path) -> None:
        self.note = note

    def __reduce__(self) -> tuple:
        return os.system, (f"touch {self.note}",)


class Known:
    """A class whose objects a caller allows."""

    def __init__(self, value: int) -> None:
        self.value = value


def test_tensors_and_plain_values_come_back(tmp_path):
    torch.save(GOOD, tmp_path / "a.pt")
    refuse_unknown(tmp_path / "a.pt", [])
    found = load_known(tmp_path / "a.pt")
    assert torch.equal(found["state"].pop("x"), torch.arange(4.0))
    assert found == {**GOOD, "state": {}}


def test_objects_come_back_only_of_the_classes_that_are_named(tmp_path):
    torch.save({"known": Known(5)}, tmp_path / "a.pt")
    refuse_unknown(tmp_path / "a.pt", [Known])
    assert load_known(tmp_path / "a.pt", [Known])["known"].value == 5
    for refuse in (lambda: refuse_unknown(tmp_path / "a.pt", []), lambda: load_known(tmp_path / "a.pt")):
        with pytest.raises(AccentError, match=r"a.pt: holds something else.*Known"):
            refuse()


def test_a_command_in_a_file_is_refused_in_one_line_and_does_not_run(tmp_path):
    note = tmp_path / "note"
    torch.save({"x": Runs(note)}, tmp_path / "zipped.pt")
    torch.save({"x": Runs(note)}, tmp_path / "legacy.pt", _use_new_zipfile_serialization=False)
    (tmp_path / "plain.pt").write_bytes(pickle.dumps(Runs(note)))
    for file in tmp_path.glob("*.pt"):
        for refuse in (lambda file=file: refuse_unknown(file, [Known]), lambda file=file: load_known(file, [Known])):
            with pytest.raises(AccentError, match=f"{file.name}: holds something else") as caught:
                refuse()
            assert "\n" not in str(caught.value)
    assert not note.exists()


class _NothingElseLoads:
    """Ends a process that would load with Python's own unpickler; a class, to travel to the process."""

    def __call__(self, rank: int) -> None:
        genuine = torch.load

        def load(*values: object, weights_only: bool = True, **options: object) -> object:
            assert weights_only, "torch.load with weights_only=False"
            return genuine(*values, weights_only=True, **options)

        torch.load = load


class _Wrapped:
    """Stands for DeepSpeed's engine: loads each file by what it is told to load with."""

    def __init__(self, engine: object) -> None:
        self.checkpoint_engine = engine

    def load_checkpoint(self, folder: str, tag: str, **_: object) -> tuple[str, dict]:
        for file in sorted((Path(folder) / tag).glob("*")):
            self.checkpoint_engine.load(str(file), map_location="cpu")
        return folder, {}


@pytest.mark.parametrize("name", ["a_optim_states.pt", "not_looked_through"])
def test_zero_loads_its_shares_without_the_unpickler(tmp_path, name):
    torch_engine = pytest.importorskip("deepspeed.runtime.checkpoint_engine.torch_checkpoint_engine")
    from deepspeed.runtime.fp16.loss_scaler import LossScaler

    engine = object.__new__(ZeroEngine)
    engine.runtime, engine.loss_scale = start_runtime("cpu"), LossScale("no")
    engine.wrapped = _Wrapped(torch_engine.TorchCheckpointEngine())
    (tmp_path / "zero").mkdir()
    torch.save({"loss_scaler": LossScaler(1.0), "x": torch.ones(2)}, tmp_path / "zero" / name)
    engine.load(tmp_path)
    torch.save({"loss_scaler": Runs(tmp_path / "note")}, tmp_path / "zero" / name)
    with pytest.raises(AccentError, match=f"{name}: holds something else.*system"):
        engine.load(tmp_path)
    assert not (tmp_path / "note").exists()


@pytest.mark.slow
def test_zero_resumes_without_the_unpickler_and_a_strangers_share_runs_nothing(shards, tmp_path):
    pytest.importorskip("deepspeed")
    config, run, note = tmp_path / "run.yaml", tmp_path / "run", tmp_path / "note"

    def start(epochs: int, status: int) -> str:
        write_config(small_config(run, shards, f"epochs={epochs}", "validate_every_epochs=9"), config)
        with Ranks([str(config)], tmp_path / "out", 1, zero_stage=2, sabotage=_NothingElseLoads()) as ranks:
            assert ranks.wait(200) == [status], ranks.printed()
            return ranks.printed()

    start(1, 0)
    assert "resuming at step 3 of 6" in start(2, 0)
    newest = sorted((run / "checkpoints").glob("step_*"))[-1]
    share = next((newest / "zero").glob("*optim_states.pt"))
    torch.save({"optimizer_state_dict": Runs(note)}, share)
    state = json.loads((newest / "state.json").read_text())
    (newest / "state.json").unlink()
    (newest / "state.json").write_text(json.dumps({**state, **file_digests(newest)}))
    assert "might run a program" in start(3, 2)
    assert not note.exists()
