"""Nobody makes a shard that somebody else is making."""

import fcntl
import os
from contextlib import ExitStack

import pytest

from accent.errors import AccentError
from shards.writing.lock import LOCK_NAME, lock_name, locked
from shards.writing.partition import Partition

WHOLE = Partition()


# A lock belongs to the open file, so a second one in this process counts as another's.
@pytest.mark.parametrize(
    ("one", "other"),
    [
        (WHOLE, WHOLE),
        (Partition(2, 3), Partition(2, 3)),
        (WHOLE, Partition(1, 3)),
        (Partition(1, 3), WHOLE),
        (Partition(1, 3), Partition(2, 4)),
    ],
    ids=str,
)
def test_two_processes_cannot_make_the_same_shards(tmp_path, one, other):
    with locked(tmp_path, one):
        with (
            pytest.raises(AccentError, match=f"^{tmp_path}: process {os.getpid()} on .* has been writing "),
            locked(tmp_path, other),
        ):
            pass
        assert os.listdir(tmp_path) == [lock_name(one)]
    assert os.listdir(tmp_path) == []
    with locked(tmp_path, other):
        pass


def test_parts_of_the_same_count_are_made_at_the_same_time(tmp_path):
    with ExitStack() as stack:
        for number in range(1, 6):
            stack.enter_context(locked(tmp_path, Partition(number, 5)))
        assert len(os.listdir(tmp_path)) == 5
    assert os.listdir(tmp_path) == []


def test_the_line_names_the_part(tmp_path):
    with (
        locked(tmp_path, Partition(3, 16)),
        pytest.raises(AccentError, match=f"^{tmp_path}: process .* has been writing part 3/16 of the shards since "),
        locked(tmp_path),
    ):
        pass


@pytest.mark.parametrize("left", [WHOLE, Partition(1, 3), Partition(2, 5)], ids=str)
@pytest.mark.parametrize("share", [WHOLE, Partition(2, 5)], ids=str)
def test_a_lock_left_by_a_dead_process_does_not_hold(tmp_path, left, share):
    (tmp_path / lock_name(left)).touch()
    with locked(tmp_path, share):
        pass
    assert os.listdir(tmp_path) == []


def test_where_files_cannot_be_locked_there_is_a_warning_and_work_continues(tmp_path, monkeypatch, caplog):
    def refuse(*_: object) -> None:
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(fcntl, "flock", refuse)
    with locked(tmp_path):
        assert "cannot be locked" in caplog.text and LOCK_NAME in caplog.text
