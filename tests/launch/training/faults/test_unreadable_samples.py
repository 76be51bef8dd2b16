"""A sample that cannot be read stops a run with all that it has learned saved."""

import pytest

from accent.errors import AccentError
from launch.training.run import train_run
from shards.loading.loader import EvaluationLoader, TrainingLoader
from tests.support.training.small_runs import at_step, small_config
from tests.support.training.two_processes import started


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


def _damaged_in_the_middle_of_a_step(rank: int) -> None:
    genuine = TrainingLoader.steps

    def steps(loader, first, last):
        for number, batch in zip(range(first, last), genuine(loader, first, last), strict=True):
            if rank == 1 and number == 7:
                raise AccentError("shard-000000.tar: sample 3 is damaged")
            yield batch

    TrainingLoader.steps = steps


def test_a_batch_that_one_process_cannot_read_within_a_step_stops_all_after_the_step_before(shards, tmp_path):
    with started(tmp_path, shards, "gradient_accumulation_steps=2", sabotage=_damaged_in_the_middle_of_a_step) as ranks:
        assert ranks.wait() == [2, 2], ranks.printed()
        assert "accent: shard-000000.tar: sample 3 is damaged" in ranks.printed(0)
    with started(tmp_path, shards, "gradient_accumulation_steps=2") as ranks:
        assert ranks.wait() == [0, 0], ranks.printed()
        assert "resuming at step 3 of 12" in ranks.printed(0)


def _damaged_in_the_first_validation(rank: int) -> None:
    genuine = EvaluationLoader.__iter__

    def batches(loader):
        if rank == 1:
            raise AccentError("shard-000000.tar: sample 5 is damaged")
        yield from genuine(loader)

    EvaluationLoader.__iter__ = batches


def test_a_validation_that_one_process_cannot_read_ends_all_with_one_line(shards, tmp_path):
    with started(tmp_path, shards, sabotage=_damaged_in_the_first_validation) as ranks:
        assert ranks.wait() == [2, 2], ranks.printed()
        assert ranks.printed(0).splitlines()[-1] == "accent: shard-000000.tar: sample 5 is damaged"
