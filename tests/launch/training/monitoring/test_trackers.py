"""wandb (offline) and mlflow (in files) hold what TensorBoard holds, after a crash and a resume too."""

import json
import os
import subprocess
import sys

import pytest

from accent.errors import AccentError
from launch.training.monitoring.trackers import Trackers
from launch.training.run import train_run
from tests.conftest import REPOSITORY
from tests.support.training.small_runs import at_step, small_config
from tests.support.training.wandb_file import scalars

WITHOUT_ACCOUNT = """
import sys
from pathlib import Path
from accent.errors import AccentError
from launch.training.monitoring.trackers import Trackers
try:
    Trackers(["wandb"], Path(sys.argv[1]), 0, {}, print)
except AccentError as error:
    print(error)
"""


@pytest.fixture(autouse=True)
def no_service(monkeypatch):
    """No server, no account; and mlflow's choice of a store is put back."""
    monkeypatch.setenv("WANDB_MODE", "offline")
    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_EXPERIMENT_NAME", "WANDB_PROJECT"):
        monkeypatch.delenv(name, raising=False)


def of_tensorboard(curves):
    return {
        name: [(point.step, point.value) for point in curves.Scalars(name)]
        for name in curves.Tags()["scalars"]
        if not name.startswith("_hparams_")
    }


def of_mlflow(run):
    import mlflow

    client = mlflow.MlflowClient((run / "mlruns").as_uri())
    (experiment,) = client.search_experiments(filter_string="name = 'accent'")
    (one,) = client.search_runs([experiment.experiment_id])
    metrics = {name: client.get_metric_history(one.info.run_id, name) for name in one.data.metrics}
    return {name: sorted((point.step, point.value) for point in points) for name, points in metrics.items()}, one


def assert_same_points(found, expected):
    assert found.keys() == expected.keys()
    for name, points in expected.items():
        assert [step for step, _ in found[name]] == [step for step, _ in points], name
        # TensorBoard stores float32.
        assert [value for _, value in found[name]] == pytest.approx([value for _, value in points], rel=1e-6), name


@pytest.mark.parametrize("name", ["wandb", "mlflow"])
def test_a_tracker_holds_the_curves_of_tensorboard_after_a_crash_and_a_resume(
    shards, tmp_path, monkeypatch, read_curves, name
):
    pytest.importorskip(name)
    run = tmp_path / "run"
    # Steps 6 to 9 are trained twice: the only checkpoint before the crash is that of the validation after step 6.
    words = [
        f"monitor.trackers=[tensorboard,{name}]",
        "epochs=4",
        "monitor.every_steps=1",
        "checkpoints.every_steps=99",
    ]

    def die() -> None:
        raise RuntimeError("died")

    at_step(monkeypatch, 9, die)
    with pytest.raises(RuntimeError, match="died"):
        train_run(small_config(run, shards, *words))
    monkeypatch.undo()
    monkeypatch.setenv("WANDB_MODE", "offline")
    train_run(small_config(run, shards, *words))

    expected = of_tensorboard(read_curves(run))
    assert [step for step, _ in expected["loss/total"]] == list(range(1, 13))
    assert [step for step, _ in expected["accuracy/validation_accuracy"]] == [6, 12]
    if name == "wandb":
        found = scalars(run)
    else:
        found, one = of_mlflow(run)
        assert one.data.params["optimizer.lr"] == "0.003" and one.info.status == "FINISHED"
    repeated = {curve for curve in expected if curve.startswith(("time/", "speed/", "memory/"))}
    assert repeated
    assert {curve: [step for step, _ in found[curve]] for curve in repeated} == {
        curve: [step for step, _ in expected[curve]] for curve in repeated
    }
    # Steps 7 to 9 have been timed twice, and the trackers keep their first time.
    assert_same_points(
        {curve: points for curve, points in found.items() if curve not in repeated},
        {curve: points for curve, points in expected.items() if curve not in repeated},
    )


@pytest.mark.parametrize("name", ["wandb", "mlflow"])
def test_a_missing_package_is_one_line(tmp_path, monkeypatch, name):
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(
        AccentError, match=rf"monitor\.trackers: {name} is not installed .* 'accent-embeddings\[{name}\]'"
    ):
        Trackers([name], tmp_path, 0, {}, print)


def test_wandb_without_an_account_is_one_line(tmp_path):
    pytest.importorskip("wandb")
    # In a process of its own: wandb reads its environment once.
    kept = {name: value for name, value in os.environ.items() if name not in ("WANDB_API_KEY", "WANDB_MODE", "NETRC")}
    environment = {**kept, "HOME": str(tmp_path), "PYTHONPATH": str(REPOSITORY)}
    command = [sys.executable, "-c", WITHOUT_ACCOUNT, str(tmp_path)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.stdout, done.stderr
    line = done.stdout.splitlines()[-1]
    assert line.startswith("monitor.trackers: wandb does not start (")
    assert line.endswith("; log in (wandb login), or set WANDB_MODE=offline")


def test_a_service_that_fails_within_a_run_is_told_once_and_the_others_go_on(tmp_path, monkeypatch, read_curves):
    exceptions = pytest.importorskip("mlflow.exceptions")
    lines = []
    trackers = Trackers(["tensorboard", "mlflow"], tmp_path, 0, {"seed": 0}, lines.append)

    def fail(*_: object, **__: object) -> None:
        raise exceptions.MlflowException("the server is gone")

    monkeypatch.setattr("mlflow.log_metrics", fail)
    for step in (1, 2):
        trackers.log("training", {"loss/total": 1.0}, step)
    trackers.close()
    assert lines == ["warning: mlflow gets no more of this run (the server is gone)"]
    assert [point.step for point in read_curves(tmp_path).Scalars("loss/total")] == [1, 2]


def test_a_disk_that_refuses_the_curves_is_told_where_all_processes_meet(tmp_path, monkeypatch):
    trackers = Trackers(["tensorboard"], tmp_path, 0, {}, print)

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(trackers.writer, "add_scalar", full)
    trackers.log("training", {"loss/total": 1.0}, 1)
    with pytest.raises(AccentError, match=r"the curves cannot be written .*No space left.*; check free space"):
        trackers.flush()


def test_an_edited_record_is_one_line(tmp_path):
    (tmp_path / "trackers.json").write_text(json.dumps({"wandb": 3}))
    with pytest.raises(AccentError, match=r"trackers\.json: damaged or incomplete .*; remove it for new runs"):
        Trackers(["tensorboard"], tmp_path, 0, {}, print)
