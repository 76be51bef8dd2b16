"""Cross-validation: runs are planned, trained, resumed, skipped, merged; a job array does the same."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml

from accent.errors import AccentError
from launch.cli import main
from launch.commands.evaluation.fold_options import parse_seeds
from launch.evaluation import fold_run
from launch.evaluation.crossval import merge_runs, plan_crossval, run_all
from launch.evaluation.fold_run import planned_runs
from launch.evaluation.folds import FoldConfig
from launch.evaluation.group_predictions import GroupPredictions
from launch.slurm import ARRAY_SCRIPT, render_array
from shards.splits.split import Split
from tests.support.training.small_runs import SMALL

TWO = FoldConfig("2")


@pytest.fixture(scope="module")
def config(tmp_path_factory) -> str:
    """A run of a few steps."""
    file = tmp_path_factory.mktemp("config") / "small.yaml"
    file.write_text(yaml.safe_dump({**SMALL, "epochs": 1, "device": "cpu"}))
    return str(file)


@pytest.fixture(scope="module")
def finished(tmp_path_factory, config, shards):
    """A cross-validation brought to its end."""
    output, said = tmp_path_factory.mktemp("crossval"), []
    runs = plan_crossval(config, shards, output, TWO, [0])
    run_all(runs, output, jobs=2, say=said.append)
    return output, runs, said


def test_every_fold_is_a_run_with_its_own_speakers_and_seed(finished):
    output, runs, said = finished
    assert [run.folder for run in runs] == [output / "fold-0" / "seed-0", output / "fold-1" / "seed-0"]
    assert sum("finished in" in line for line in said) == 2
    tested = []
    for run in runs:
        split = Split.load(run.folder / "split.json")
        assert split == Split.load(run.split) and split.validation
        predictions = GroupPredictions.load(run.folder / "predictions.npz")
        assert set(predictions.speaker_G) == set(split.test)
        np.testing.assert_allclose(np.linalg.norm(predictions.embedding_GE[predictions.size_G == 1], axis=1), 1, 1e-5)
        tested += split.test
    assert len(tested) == len(set(tested)) == 12


def test_figures_of_all_folds_are_merged(finished):
    output, runs, _ = finished
    report = merge_runs(runs, output, TWO)
    assert json.loads((output / "crossval.json").read_text()) == json.loads(json.dumps(report))
    encoder = report["systems"]["encoder"]
    assert (encoder["speakers"], encoder["utterances"]) == (12, 72)
    assert [one["steps"] for one in encoder["runs"]] == [encoder["runs"][0]["steps"]] * 2


def test_finished_runs_are_skipped_and_a_missing_one_is_made(finished, config, shards):
    output, runs, _ = finished
    before = {run.number: (run.folder / "predictions.npz").read_bytes() for run in runs}
    (runs[1].folder / "predictions.npz").unlink()
    with pytest.raises(AccentError, match="1 of 2 runs are not finished"):
        merge_runs(runs, output, TWO)
    said: list[str] = []
    run_all(plan_crossval(config, shards, output, TWO, [0]), output, say=said.append)
    assert said[0] == "1 of 2 runs are finished already" and len(said) == 3
    for run in runs:
        assert (run.folder / "predictions.npz").read_bytes() == before[run.number]


def test_another_configuration_or_protocol_in_the_same_folder_is_refused(finished, config, shards):
    output, _, _ = finished
    with pytest.raises(AccentError, match=r"holds another cross-validation.*optimizer.lr"):
        plan_crossval(config, shards, output, TWO, [0], ["optimizer.lr=1e-4"])
    with pytest.raises(AccentError, match="other folds"):
        plan_crossval(config, shards, output, FoldConfig("3"), [0])


def test_seeds_may_be_added_and_keep_the_numbers_of_those_before(tmp_path, config, shards):
    first = plan_crossval(config, shards, tmp_path, TWO, [1])
    more = plan_crossval(config, shards, tmp_path, TWO, [0, 1])
    assert more[: len(first)] == first == planned_runs(tmp_path)[:2]
    assert [(run.fold, run.seed) for run in more] == [(0, 1), (1, 1), (0, 0), (1, 0)]


def test_a_run_that_fails_says_why_in_one_line(tmp_path, config, shards):
    runs = plan_crossval(config, shards, tmp_path, TWO, [0], ["batch.accents_per_batch=50"])
    with pytest.raises(AccentError, match=r"fold 0, seed 0 failed \(.*50 accents a batch.*\); see .*output.log"):
        run_all(runs, tmp_path, say=lambda line: None)


def test_a_number_outside_the_plan_is_one_line(tmp_path, config, shards, capsys):
    plan_crossval(config, shards, tmp_path, TWO, [0])
    assert fold_run.main([str(tmp_path), "7"]) == 2
    assert "no run 7; the plan has runs 0 to 1" in capsys.readouterr().err


def test_baselines_of_other_folds_do_not_stand_in_the_same_table(finished, tmp_path):
    output, runs, _ = finished
    (tmp_path / "baselines.json").write_text(json.dumps({"systems": {}}))
    (tmp_path / "folds.json").write_text(json.dumps({"folds": [{"test": ["A0"]}]}))
    with pytest.raises(AccentError, match="other folds"):
        merge_runs(runs, output, TWO, tmp_path / "baselines.json")


@pytest.mark.parametrize("text", ["", "a", "1,1", "-1"])
def test_seeds_that_make_no_sense_are_one_line(text):
    with pytest.raises(AccentError, match="--seeds"):
        parse_seeds(text)


def test_the_job_array_has_one_task_for_each_unfinished_run(tmp_path):
    script = render_array(Path("runs/it's"), [0, 2, 3], 0, "01:00:00", "long")
    changed = set(script.splitlines()) - set(ARRAY_SCRIPT.read_text().splitlines())
    assert changed == {
        "#SBATCH --array=0,2,3",
        "#SBATCH --job-name=it-s",
        "##SBATCH --gpus-per-node=1",
        "#SBATCH --time=01:00:00",
        "#SBATCH --partition=long",
        "OUTPUT='runs/it'\"'\"'s'",
    }
    subprocess.run(["bash", "-n"], input=script, text=True, check=True)
    with pytest.raises(AccentError, match="all runs are finished"):
        render_array(Path("runs/x"), [], 1, "01:00:00")


def test_the_command_prints_one_table_of_finished_runs(finished, config, shards, monkeypatch, capsys):
    output, _, _ = finished
    words = ["accent", "crossval", config, str(shards), "--folds", "2", "--seeds", "0", "--output", str(output)]
    monkeypatch.setattr(sys, "argv", words)
    with pytest.raises(SystemExit) as leaving:
        main()
    assert leaving.value.code == 0
    printed = capsys.readouterr().out
    assert "2 of 2 runs are finished already" in printed and "figures are in" in printed
    for word in ("encoder (small)", "balanced", "chance", "majority"):
        assert word in printed
