"""N processes train as one, dropout on: weights after the same steps, whoever shares out what, whatever changes.

AdamW divides a gradient by its own size: with its usual epsilon even rounding noise where the gradient is zero becomes
a whole step.  A large epsilon makes the weights a smooth function of the gradients.
"""

import signal
from pathlib import Path

import pytest
import torch

from launch.run_config import write_config
from tests.support.training.ranks import Ranks
from tests.support.training.small_runs import assert_same_weights, last_weights, small_config

SMOOTH = (
    "model.dropout=0.2",
    "optimizer.epsilon=1e-3",
    "epochs=4",
    "validate_every_epochs=4",
    "checkpoints.every_steps=6",
    "checkpoints.keep_last=9",
)
"""Twelve steps."""


@pytest.fixture(scope="module")
def alone(shards: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run on one process; its `config.yaml` is what the others are started with."""
    folder = tmp_path_factory.mktemp("alone")
    train(folder / "run.yaml", folder / "run", shards, *SMOOTH)
    return folder / "run"


def train(
    config: Path, run: Path, shards: Path, *words: str, processes: int = 1, zero_stage: int = 0, statuses: tuple = ()
) -> str:
    """Train on so many processes; return what they printed."""
    write_config(small_config(run, shards, *words), config)
    with Ranks([str(config)], run.with_name(f"{run.name}-printed"), processes, zero_stage) as ranks:
        assert ranks.wait() == list(statuses or [0] * processes), ranks.printed()
        return ranks.printed()


def largest_difference(one: Path, other: Path) -> float:
    mine, theirs = last_weights(one), last_weights(other)
    assert mine.keys() == theirs.keys()
    return max(float((mine[name].double() - theirs[name].double()).abs().max()) for name in mine)


@pytest.mark.parametrize("processes", [2, pytest.param(4, marks=pytest.mark.slow)])
def test_whole_copies_end_with_the_weights_of_one_process(shards, alone, tmp_path, processes):
    printed = train(tmp_path / "run.yaml", tmp_path / "run", shards, *SMOOTH, processes=processes)
    assert f"training on {processes} processes, backend gloo, device cpu" in printed
    assert f"ZeRO off, global batch 12 = {12 // processes} rows x {processes} processes" in printed
    assert largest_difference(alone, tmp_path / "run") < 1e-6


@pytest.mark.parametrize("stage", [*(pytest.param(stage, marks=pytest.mark.slow) for stage in (1, 2)), 3])
def test_zero_ends_with_the_weights_of_one_process_and_resumes_exactly(shards, alone, tmp_path, stage):
    run = tmp_path / "run"
    printed = train(tmp_path / "run.yaml", run, shards, *SMOOTH, processes=2, zero_stage=stage)
    assert f"ZeRO stage {stage}, global batch 12 = 6 rows x 2 processes" in printed
    assert largest_difference(alone, run) < 1e-6
    assert sorted(path.name for path in (run / "checkpoints" / "step_00000012").iterdir()) == [
        "module.safetensors",
        "state.json",
        "zero",
    ]

    # The last six steps again, from the checkpoint at step 6.
    resumed = tmp_path / "resumed"
    (resumed / "checkpoints").mkdir(parents=True)
    (run / "checkpoints" / "step_00000006").rename(resumed / "checkpoints" / "step_00000006")
    (run / "config.yaml").rename(resumed / "config.yaml")
    printed = train(tmp_path / "run.yaml", resumed, shards, *SMOOTH, processes=2, zero_stage=stage)
    assert "resuming at step 6 of 12" in printed
    assert_same_weights(run, resumed)


@pytest.mark.slow
def test_zero_refuses_the_shares_of_another_number_of_processes_and_another_stage(shards, tmp_path):
    config, run = tmp_path / "run.yaml", tmp_path / "run"
    train(config, run, shards, *SMOOTH, processes=2, zero_stage=2)
    again = {"statuses": (2, 2)}
    printed = train(config, run, shards, *SMOOTH, processes=1, zero_stage=2, statuses=(2,))
    assert "ZeRO's shares are those of 2 processes, 1 are running; start it with --num_processes 2" in printed
    assert "saved ZeRO stage 2, started ZeRO stage 1" in train(
        config, run, shards, *SMOOTH, processes=2, zero_stage=1, **again
    )
    assert "saved ZeRO stage 2, started without ZeRO" in train(config, run, shards, *SMOOTH, processes=2, **again)
    assert "zero_stage: 3 asked for, the launcher started stage 2" in train(
        config, run, shards, *SMOOTH, "zero_stage=3", processes=2, zero_stage=2, **again
    )


def test_a_run_that_moves_from_two_processes_to_one_and_to_four_ends_with_the_same_weights(shards, alone, tmp_path):
    run = tmp_path / "run"
    words = [*SMOOTH, "monitor.every_steps=1", "monitor.line_seconds=1e-6"]
    write_config(small_config(run, shards, *words), tmp_path / "run.yaml")
    for stop, processes in (("step 3/12", 2), ("step 6/12", 1), (None, 4)):
        with Ranks([str(tmp_path / "run.yaml")], tmp_path / f"printed{processes}", processes) as ranks:
            if stop is not None:
                ranks.wait_for(stop)
                ranks.kill(0, number=signal.SIGTERM)
            assert ranks.wait() == [0 if stop is None else 75] * processes, ranks.printed()
            assert ("resuming at step" in ranks.printed(0)) == (processes != 2)
    assert largest_difference(alone, run) < 1e-6


@pytest.mark.parametrize("stage", [0, pytest.param(2, marks=pytest.mark.slow)])
def test_accumulated_batches_and_their_clipped_gradient_mean_the_same_in_every_mode(shards, tmp_path, stage):
    words = [*SMOOTH, "gradient_accumulation_steps=2", "optimizer.grad_clip=0.5"]
    train(tmp_path / "one.yaml", tmp_path / "one", shards, *words)
    train(tmp_path / "two.yaml", tmp_path / "two", shards, *words, processes=2, zero_stage=stage)
    assert largest_difference(tmp_path / "one", tmp_path / "two") < 1e-6


@pytest.mark.parametrize("stage", [0, pytest.param(3, marks=pytest.mark.slow)])
def test_rows_encoded_in_chunks_train_as_a_whole_batch(shards, alone, tmp_path, stage):
    train(tmp_path / "run.yaml", tmp_path / "run", shards, *SMOOTH, "chunk_rows=4", processes=2, zero_stage=stage)
    assert largest_difference(alone, tmp_path / "run") < 1e-6


@pytest.mark.parametrize(
    ("stage", "precision"),
    [
        (0, "bf16"),
        (2, "fp16"),
        pytest.param(0, "fp16", marks=pytest.mark.slow),
        pytest.param(2, "bf16", marks=pytest.mark.slow),
    ],
)
def test_half_precision_learns_in_every_mode(shards, tmp_path, stage, precision):
    words = ["epochs=8", "validate_every_epochs=8", f"mixed_precision={precision}"]
    printed = train(tmp_path / "run.yaml", tmp_path / "run", shards, *words, processes=2, zero_stage=stage)
    assert f"precision {precision}" in printed
    weights = last_weights(tmp_path / "run")
    assert all(value.isfinite().all() and value.dtype == torch.float32 for value in weights.values())
    assert float(printed.split("validation  balanced_accuracy ")[1].split()[0]) > 0.6  # chance is 1/3
