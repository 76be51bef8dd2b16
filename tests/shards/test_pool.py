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
from shards.pool import WorkerPool, available_cores


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


def test_results_come_in_the_order_of_the_tasks():
    with WorkerPool(2) as pool:
        assert list(pool.in_order(_double_slowest_first, range(20), str)) == [(n, 2 * n) for n in range(20)]


def test_tasks_are_taken_only_as_they_are_needed():
    taken = []

    def tasks():
        for number in range(1000):
            taken.append(number)
            yield number

    with WorkerPool(1) as pool:
        results = pool.in_order(_double_slowest_first, tasks(), str)
        next(results)
        assert len(taken) < 10
        results.close()


def test_a_dead_worker_is_one_line_that_names_what_it_worked_on():
    with pytest.raises(AccentError, match=r"worker process died.*: item 3;") as caught, WorkerPool(1) as pool:
        list(pool.in_order(_die_on_three, range(10), name=lambda number: f"item {number}"))
    assert "\n" not in str(caught.value)


def test_a_fault_in_a_worker_is_raised_at_its_place():
    seen = []
    with pytest.raises(ZeroDivisionError, match="a fault"), WorkerPool(2) as pool:
        for task, _ in pool.in_order(_fail_on_two, range(10), str):
            seen.append(task)
    assert seen == [0, 1]


def test_workers_have_one_thread_no_main_script_and_no_torch():
    before = os.environ.get("OMP_NUM_THREADS"), sys.modules["__main__"]
    with WorkerPool(1) as pool:
        ((_, found),) = pool.in_order(_surroundings, [0], str)
    assert found == ("1", None, False)
    assert (os.environ.get("OMP_NUM_THREADS"), sys.modules["__main__"]) == before


def test_an_error_stops_workers_that_are_busy():
    began = time.monotonic()
    with pytest.raises(KeyError), WorkerPool(2) as pool:
        results = pool.in_order(partial(_sleep_after, 0), range(4), str)
        next(results)
        raise KeyError
    assert time.monotonic() - began < 30


def _sleep_after(first: int, number: int) -> int:
    if number > first:
        time.sleep(60)
    return os.getpid()


SCRIPT = """
    import os, sys, time
    from functools import partial
    from shards.pool import WorkerPool
    from tests.shards.test_pool import _sleep_after
    with WorkerPool(1) as pool:
        for task, pid in pool.in_order(partial(_sleep_after, 0), range(3), str):
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
    deadline = time.monotonic() + 20
    while _is_alive(worker) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not _is_alive(worker)


def test_ctrl_c_ends_everything_with_no_noise_from_workers(tmp_path):
    process, worker = _start(tmp_path)
    os.killpg(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=30)
    assert not _is_alive(worker)
    assert errors.count("Traceback") == 1 and errors.rstrip().endswith("KeyboardInterrupt")


def test_there_is_at_least_one_core():
    assert 1 <= available_cores() <= (os.cpu_count() or 1)
