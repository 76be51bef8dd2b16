"""The largest first within a block, in bounds, and nothing is lost or stuck."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shards.writing.workers.scheduler import BLOCK_TASKS, MOST_TASKS, Job, Schedule


def _begin_all(schedule):
    jobs = []
    while (job := schedule.next()) is not None:
        jobs.append(job)
    return jobs


def test_the_largest_of_a_block_is_begun_first_and_blocks_keep_their_order():
    schedule = Schedule([[3, 9, 1], [5, 7]], int, working_bytes=1000, waiting_bytes=1000)
    jobs = _begin_all(schedule)
    assert [job.task for job in jobs] == [9, 3, 1, 7, 5]
    assert [job.position for job in jobs] == [1, 0, 2, 4, 3]


def test_equal_tasks_are_begun_in_their_order():
    schedule = Schedule([range(5)], lambda _: 1, working_bytes=1000, waiting_bytes=1000)
    assert [job.task for job in _begin_all(schedule)] == [0, 1, 2, 3, 4]


def test_a_smaller_task_goes_before_one_that_does_not_fit():
    schedule = Schedule([[6, 5, 2]], int, working_bytes=8, waiting_bytes=1000)
    first, second = _begin_all(schedule)
    assert (first.task, second.task) == (6, 2)
    schedule.done(first)
    assert schedule.next().task == 5


def test_a_task_beyond_the_bound_is_worked_on_alone():
    schedule = Schedule([[100, 1]], int, working_bytes=8, waiting_bytes=1000)
    (large,) = _begin_all(schedule)
    assert large.task == 100
    schedule.done(large)
    assert [job.task for job in _begin_all(schedule)] == [1]


def test_no_third_block_is_begun_while_the_first_waits_for_its_turn():
    blocks = [range(BLOCK_TASKS)] * 3
    schedule = Schedule(blocks, lambda _: 1, working_bytes=10**6, waiting_bytes=10**6)
    jobs = _begin_all(schedule)
    assert len(jobs) == MOST_TASKS
    for job in jobs:
        schedule.done(job)
    assert schedule.next() is None
    for job in jobs[:BLOCK_TASKS]:
        schedule.taken(job)
    assert len(_begin_all(schedule)) == BLOCK_TASKS


def test_a_long_block_is_cut_and_taken_no_further_than_needed():
    schedule = Schedule([range(10**6)], lambda _: 1, working_bytes=10**9, waiting_bytes=10**9)
    assert [job.task for job in _begin_all(schedule)] == list(range(MOST_TASKS))


@given(
    sizes=st.lists(st.lists(st.integers(0, 50), max_size=12), max_size=12),
    working=st.integers(1, 60),
    waiting=st.integers(2, 200),
    seed=st.integers(0, 99),
)
def test_every_task_is_begun_once_within_the_bounds(sizes, working, waiting, seed):
    chance = random.Random(seed)
    schedule = Schedule(sizes, int, working, waiting)
    at_work: list[Job] = []
    finished: dict[int, Job] = {}
    turn, order = 0, []
    while True:
        at_work += _begin_all(schedule)
        if not at_work:
            break
        assert len(at_work) == schedule.begun
        assert len(at_work) == 1 or sum(job.footprint for job in at_work) <= working
        untaken = at_work + list(finished.values())
        # One piece of a block may be beyond the bound; two are not.
        assert sum(job.footprint for job in untaken) <= max(waiting, 50 + waiting // 2)
        job = at_work.pop(chance.randrange(len(at_work)))
        schedule.done(job)
        finished[job.position] = job
        while turn in finished:
            order.append(finished[turn].task)
            schedule.taken(finished.pop(turn))
            turn += 1
    assert order == [size for block in sizes for size in block]


@pytest.mark.parametrize("blocks", [[], [[]], [[], [], []]])
def test_no_tasks_are_no_work(blocks):
    assert Schedule(blocks, lambda _: 1, 1, 1).next() is None
