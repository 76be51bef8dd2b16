"""The job scripts at work on a real Slurm of two nodes; skipped, with the reason, where Slurm is not installed.

`test_slurm.py` has the same properties on stand-ins for Slurm; here the quick suite keeps a preemption and an array.
"""

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from launch.run_config import write_config
from shards.writing.processor import FeatureProcessor, FeaturizeConfig
from tests.support.shard_sets.recorded_pool import hashes
from tests.support.sound.vowel_corpus import make_vowel_corpus
from tests.support.training.ranks import Ranks
from tests.support.training.slurm_cluster import JOB_SECONDS, NODES, SlurmCluster, slurm_cluster
from tests.support.training.small_runs import assert_same_weights, small_config, small_shards

SCRIPTS = Path(__file__).resolve().parents[2] / "configs" / "slurm"
# No checkpoint on the way: what a run resumes from can only be what was saved because of it.
WORDS = ("epochs=60", "validate_every_epochs=60", "checkpoints.every_steps=1000", "monitor.line_seconds=0.01")
STEPS = 180


@pytest.fixture(scope="module")
def cluster() -> Iterator[SlurmCluster]:
    with slurm_cluster() as running:
        yield running


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run on two processes without Slurm, never interrupted; its folder."""
    folder = tmp_path_factory.mktemp("whole")
    small_shards(folder / "shards")
    run = folder / "run"
    write_config(small_config(run, folder / "shards", *WORDS), folder / "run.yaml")
    with Ranks([str(folder / "run.yaml")], folder / "printed") as ranks:
        assert ranks.wait(JOB_SECONDS) == [0, 0], ranks.printed()
    return run


class Training:
    """The run of `whole` as a job of two nodes and one process each, submitted as a user would."""

    def __init__(self, cluster: SlurmCluster, whole: Path, folder: Path) -> None:
        self.cluster, self.run = cluster, folder / "run"
        words = (
            "accent",
            "slurm",
            whole.parent / "run.yaml",
            f"run={self.run}",
            "--nodes",
            "2",
            "--gpus-per-node",
            "0",
        )
        self.number = cluster.command(*words, "--time", "00:10:00", "--submit", cwd=folder).strip()
        self._log = folder / f"run-{self.number}.log"

    @property
    def log(self) -> str:
        return self._log.read_text() if self._log.exists() else ""

    def wait_for_steps(self) -> None:
        """Wait until training is well on its way."""
        deadline = time.monotonic() + JOB_SECONDS
        while f"/{STEPS}  loss" not in self.log:
            assert time.monotonic() < deadline, self.log
            time.sleep(0.02)

    def wait_for_end(self) -> dict[str, str]:
        return self.cluster.wait_for_end(self.number)


@pytest.fixture
def training(cluster: SlurmCluster, whole: Path, tmp_path: Path) -> Training:
    return Training(cluster, whole, tmp_path)


@pytest.mark.slow
def test_two_nodes_train_the_weights_of_two_processes_and_an_evaluation_follows(cluster, training, whole, tmp_path):
    evaluation = cluster.command(
        "sbatch", "--parsable", f"--dependency=afterok:{training.number}", "--kill-on-invalid-dep=yes",
        "--gpus-per-node=0", SCRIPTS / "evaluate.sbatch", training.run, whole.parent / "shards", cwd=tmp_path,
    ).strip()  # fmt: skip
    job = training.wait_for_end()
    assert (job["JobState"], job["ExitCode"], job["Restarts"]) == ("COMPLETED", "0:0", "0"), training.log
    assert "training on 2 processes on 2 machines, backend gloo" in training.log
    assert_same_weights(whole, training.run)
    assert cluster.wait_for_end(evaluation)["JobState"] == "COMPLETED"
    assert (training.run / "evaluation" / "evaluation.json").is_file()


@pytest.mark.slow
def test_a_preempted_job_saves_makes_room_and_ends_with_the_same_weights(cluster, training, whole, tmp_path):
    following = cluster.command(
        "sbatch", "--parsable", f"--dependency=afterok:{training.number}", "--kill-on-invalid-dep=yes",
        "--wrap", f"ls {training.run}/model", cwd=tmp_path,
    ).strip()  # fmt: skip
    training.wait_for_steps()
    nodes = {node: len(cluster.processes(SLURMD_NODENAME=node, LOCAL_RANK="0")) for node in NODES}
    assert nodes == dict.fromkeys(NODES, 1)
    script = f"#!/bin/bash\n#SBATCH --exclusive --nodes=2 --partition=urgent\nls {training.run}/checkpoints\n"
    urgent = cluster.command("sbatch", "--parsable", "--output=urgent.log", cwd=tmp_path, text=script).strip()
    assert cluster.wait_for_end(urgent)["JobState"] == "COMPLETED"
    (saved,) = (tmp_path / "urgent.log").read_text().split()
    assert "step_00000000" < saved < f"step_{STEPS:08}"

    job = training.wait_for_end()
    assert (job["JobState"], job["ExitCode"], job["Restarts"]) == ("COMPLETED", "0:0", "1"), training.log
    assert "told to stop; training saves" in training.log
    assert f"resuming at step {int(saved.removeprefix('step_'))} of {STEPS}" in training.log
    assert_same_weights(whole, training.run)
    assert not (training.run / "PREEMPTED").exists()

    # What waits for the training has waited through its interruption.
    assert cluster.wait_for_end(following)["JobState"] == "COMPLETED"


@pytest.mark.slow
def test_a_process_killed_on_one_node_ends_the_job_on_both_which_comes_back(cluster, training, whole):
    training.wait_for_steps()
    (process,) = cluster.processes(SLURM_JOB_ID=training.number, RANK="1", SLURMD_NODENAME=NODES[1])
    os.kill(process, signal.SIGKILL)
    job = training.wait_for_end()
    assert (job["JobState"], job["ExitCode"], job["Restarts"]) == ("COMPLETED", "0:0", "1"), training.log
    assert cluster.processes(SLURM_JOB_ID=training.number) == []
    assert "Signal 9 (SIGKILL) received" in training.log
    assert "starting again: restart 1 of 3 without a newer checkpoint than step 0" in training.log
    assert_same_weights(whole, training.run)


@pytest.mark.slow
def test_a_cancelled_job_saves_and_does_not_come_back(cluster, training):
    training.wait_for_steps()
    cluster.command("scancel", training.number)
    job = training.wait_for_end()
    assert (job["JobState"], job["Restarts"]) == ("CANCELLED", "0"), training.log
    assert len(list((training.run / "checkpoints").iterdir())) == 1
    assert (training.run / "PREEMPTED").exists()


def test_an_array_of_parts_and_a_merge_give_the_bytes_of_one_machine(cluster, tmp_path):
    corpus = make_vowel_corpus(tmp_path / "corpus", utterances=2)
    FeatureProcessor(corpus, tmp_path / "one", FeaturizeConfig(samples_per_shard=3), workers=1).process_dataset()
    shards = tmp_path / "several"
    array = cluster.command(
        "sbatch", "--parsable", "--array=1-2", "--cpus-per-task=1",
        SCRIPTS / "featurize.sbatch", corpus, shards, "samples_per_shard=3", cwd=tmp_path,
    ).strip()  # fmt: skip
    merge = cluster.command(
        "sbatch", "--parsable", f"--dependency=afterok:{array}", "--kill-on-invalid-dep=yes", "--wrap",
        f"accent shards merge {shards}", cwd=tmp_path,
    ).strip()  # fmt: skip
    job = cluster.wait_for_end(merge)
    assert job["JobState"] == "COMPLETED", [path.read_text() for path in tmp_path.glob("*.log")]
    assert {path.name for path in tmp_path.glob("*.log")} == {f"featurize-{array}-part{part}.log" for part in (1, 2)}
    assert hashes(shards) == hashes(tmp_path / "one")
