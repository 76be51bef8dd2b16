"""Workers answer in order, fail loudly, and leave nothing behind."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from functools import partial
from pathlib import Path

import pytest

from accent.errors import AccentError
from shards.writing.workers import pool as pool_module
from shards.writing.workers.pool import WorkerPool


def _double_slowest_first(number: int) -> int:
    time.sleep(0.2 / (1 + number))
    return 2 * number


def _die_on_three(number: int) -> int:
    if number == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return number


def _fail_on_two(number: int) -> int:
    if number == 2:
        raise ZeroDivisionError("a fault")
    return number


def _surroundings(_: int) -> tuple[str | None, str | None, bool]:
    main = sys.modules["__main__"]
    return os.environ.get("OMP_NUM_THREADS"), getattr(main, "__file__", None), "torch" in sys.modules


def _is_alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state not in "ZX"


def _sizes_swapped(number: int) -> int:
    return number % 7


def test_results_come_in_the_order_of_the_tasks():
    with WorkerPool(_double_slowest_first, 2) as pool:
        for blocks in ([range(20)], [range(3), range(3, 4), range(4, 20)], [[n] for n in range(20)]):
            for footprint in (lambda _: 1, _sizes_swapped):
                results = list(pool.in_order(blocks, str, footprint))
                assert results == [(n, 2 * n) for n in range(20)]


def test_every_result_is_told_when_it_comes():
    told = []
    with WorkerPool(_double_slowest_first, 2) as pool:
        for _ in pool.in_order([range(8)], str, footprint=lambda number: 8 - number, done=told.append):
            pass
    assert sorted(told) == [2 * n for n in range(8)]


def test_blocks_are_taken_only_as_they_are_needed():
    taken = []

    def blocks():
        for number in range(1000):
            taken.append(number)
            yield range(256 * number, 256 * (number + 1))

    with WorkerPool(_zero, 1) as pool:
        results = pool.in_order(blocks(), str)
        next(results)
        assert len(taken) <= 3
        results.close()


def _zero(_: int) -> int:
    return 0


def test_what_is_worked_on_at_once_is_bounded_in_bytes(monkeypatch):
    monkeypatch.setattr(pool_module, "available_memory", lambda: 10)
    with WorkerPool(_when, 3) as pool:
        # Half of ten bytes: two tasks of two at once, and one of seven alone.
        results = dict(pool.in_order([range(6), [100]], str, footprint=lambda number: 7 if number == 100 else 2))
    for moment, _ in results.values():
        assert sum(begin <= moment < end for begin, end in results.values()) <= 2
    begin, end = results.pop(100)
    assert not any(first < end and begin < last for first, last in results.values())


def _when(_: int) -> tuple[float, float]:
    begin = time.monotonic()
    time.sleep(0.05)
    return begin, time.monotonic()


def test_a_dead_worker_is_one_line_that_names_what_it_worked_on():
    with (
        pytest.raises(AccentError, match=r"worker process died \(status -9.*while working on item 3;") as caught,
        WorkerPool(_die_on_three, 2) as pool,
    ):
        list(pool.in_order([range(10)], name=lambda number: f"item {number}"))
    assert "\n" not in str(caught.value)


def test_a_fault_in_a_worker_is_raised_with_its_traceback():
    with pytest.raises(ZeroDivisionError, match="a fault") as caught, WorkerPool(_fail_on_two, 2) as pool:
        list(pool.in_order([range(10)], str))
    assert "in _fail_on_two" in str(caught.value.__cause__)


class _AwkwardError(Exception):
    def __init__(self, first, second) -> None:
        super().__init__(f"{first} and {second}")


def _fail_awkwardly(_: int) -> int:
    raise _AwkwardError(1, 2)


def _give_what_cannot_travel(_: int) -> object:
    return lambda: 0


@pytest.mark.parametrize(
    ("function", "reason"), [(_fail_awkwardly, "_AwkwardError: 1 and 2"), (_give_what_cannot_travel, "local object")]
)
def test_what_cannot_travel_between_processes_is_an_error_and_no_hang(function, reason):
    with pytest.raises(Exception, match=reason), WorkerPool(function, 1) as pool:
        list(pool.in_order([range(3)], str))


def test_large_tasks_and_large_results_do_not_block_each_other():
    tasks = [bytes(2_000_000)] * 12
    with WorkerPool(_same, 2) as pool:
        assert [len(result) for _, result in pool.in_order([tasks], len)] == [2_000_000] * 12


def _same(task: bytes) -> bytes:
    return task


def test_files_of_coming_tasks_are_asked_for_before_their_turn(tmp_path):
    with WorkerPool(partial(_came_ahead, tmp_path), 1, ahead=partial(_note, tmp_path)) as pool:
        results = [result for _, result in pool.in_order([range(6)], str)]
    assert all(results[:-1])


def _note(folder: Path, number: int) -> None:
    (folder / str(number)).touch()


def _came_ahead(folder: Path, number: int) -> bool:
    """Whether the task after this one has been announced while this one was worked on."""
    deadline = time.monotonic() + 60
    while not (seen := (folder / str(number + 1)).exists()) and number < 5 and time.monotonic() < deadline:
        time.sleep(0.01)
    return seen


def test_workers_have_one_thread_no_main_script_and_no_torch():
    before = os.environ.get("OMP_NUM_THREADS"), sys.modules["__main__"]
    with WorkerPool(_surroundings, 1) as pool:
        ((_, found),) = pool.in_order([[0]], str)
    assert found == ("1", None, False)
    assert (os.environ.get("OMP_NUM_THREADS"), sys.modules["__main__"]) == before


def test_an_error_stops_workers_that_are_busy(tmp_path):
    with pytest.raises(KeyError), WorkerPool(partial(_busy_for_ever, tmp_path), 2) as pool:
        results = pool.in_order([range(2)], str)
        next(results)
        while not (busy := [int(path.name) for path in tmp_path.iterdir()]):
            time.sleep(0.01)
        raise KeyError
    assert not any(map(_is_alive, busy))


def _busy_for_ever(folder: Path, number: int) -> None:
    if number > 0:
        (folder / str(os.getpid())).touch()
        signal.pause()


def _sleep_after(first: int, number: int) -> int:
    if number > first:
        signal.pause()
    return os.getpid()


SCRIPT = """
    import os, sys, time
    from functools import partial
    from shards.writing.workers.pool import WorkerPool
    from tests.shards.writing.workers.test_pool import _sleep_after
    with WorkerPool(partial(_sleep_after, 0), 1) as pool:
        for task, pid in pool.in_order([range(3)], str):
            print(pid, flush=True)
"""


def _start(tmp_path):
    # A script without an `if __name__ == "__main__"` guard, as a newcomer writes it.
    script = tmp_path / "script.py"
    script.write_text(textwrap.dedent(SCRIPT))
    environment = {**os.environ, "PYTHONPATH": os.getcwd()}
    process = subprocess.Popen(
        [sys.executable, str(script)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
        start_new_session=True,
    )
    return process, int(process.stdout.readline())


def test_workers_end_with_a_parent_that_is_killed(tmp_path):
    process, worker = _start(tmp_path)
    assert _is_alive(worker)
    process.kill()
    process.communicate()
    deadline = time.monotonic() + 120
    while _is_alive(worker) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not _is_alive(worker)


@pytest.mark.usefixtures("ctrl_c")
def test_ctrl_c_ends_everything_with_no_noise_from_workers(tmp_path):
    process, worker = _start(tmp_path)
    os.killpg(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=120)
    assert not _is_alive(worker)
    assert errors.count("Traceback") == 1 and errors.rstrip().endswith("KeyboardInterrupt")
