"""A job that failed is started again as long as its checkpoints advance, and a few times when they do not."""

import json

import pytest

from accent.errors import AccentError
from launch.training.health.restarts import MOST_WITHOUT_PROGRESS, decide, main


def saved(run, step):
    folder = run / "checkpoints" / f"step_{step:08d}"
    folder.mkdir(parents=True)
    (folder / "state.json").write_text("{}")


def healthy(run, **values):
    run.mkdir(parents=True, exist_ok=True)
    (run / "health.json").write_text(json.dumps({"state": "running", "restart": False, **values}))


def test_a_run_that_advances_comes_back_for_ever(tmp_path):
    for step in range(1, 20):
        saved(tmp_path, step)
        assert decide(tmp_path).restart


def test_a_run_that_stands_still_comes_back_a_few_times_and_again_once_it_has_advanced(tmp_path):
    healthy(tmp_path)
    still = [False] * 2
    assert [decide(tmp_path).restart for _ in range(MOST_WITHOUT_PROGRESS + 2)] == [
        True
    ] * MOST_WITHOUT_PROGRESS + still
    saved(tmp_path, 100)
    assert [decide(tmp_path).restart for _ in range(MOST_WITHOUT_PROGRESS + 3)] == [
        True, *[True] * MOST_WITHOUT_PROGRESS, *still,
    ]  # fmt: skip


def test_a_fault_to_mend_does_not_come_back_and_neither_does_a_run_that_never_began(tmp_path, capsys):
    assert not decide(tmp_path / "nowhere").restart
    saved(tmp_path, 5)
    # Died before its first step, but an earlier start has come far.
    assert decide(tmp_path).restart
    healthy(tmp_path, state="failed", restart=False)
    assert main([str(tmp_path)]) == 1
    assert capsys.readouterr().out == "not starting again: the fault would come again\n"
    healthy(tmp_path, state="failed", restart=True)
    assert main([str(tmp_path)]) == 0


def test_phone_heads_that_train_first_count_as_progress(tmp_path):
    healthy(tmp_path / "phones")
    for step in range(1, 3 * MOST_WITHOUT_PROGRESS):
        saved(tmp_path / "phones", step)
        assert decide(tmp_path).restart
    healthy(tmp_path / "phones", state="failed", restart=False)
    assert not decide(tmp_path).restart


def test_a_damaged_record_is_one_line(tmp_path, capsys):
    healthy(tmp_path)
    (tmp_path / "restarts.json").write_text("{")
    with pytest.raises(AccentError, match=r"restarts\.json.*remove it"):
        decide(tmp_path)
    assert main([str(tmp_path)]) == 1
    assert capsys.readouterr().err.count("\n") == 1
