import copy
import gc
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from shards.loading.batch_reader import BatchReader
from shards.loading.prefetcher import Prefetcher
from shards.sampling.sampler import Rows
from shards.shard_set.manifest import ShardSet
from shards.shard_set.reader import ShardReader
from tests.support.shard_sets.synthetic import make_shard_set


@pytest.fixture(scope="module")
def shard_set(tmp_path_factory: pytest.TempPathFactory) -> ShardSet:
    return make_shard_set(tmp_path_factory.mktemp("prefetcher"), {"a": ["a0", "a1"], "b": ["b0"]}, 8, phones=True)


class TwoRows:
    """Step t reads the samples t and t + 1, whole."""

    def __init__(self, shard_set: ShardSet) -> None:
        self.frames_N = np.array(shard_set.index["frames"]).astype(np.int64)

    def __call__(self, step: int) -> Rows:
        numbers_B = np.array([step, step + 1]) % len(self.frames_N)
        return Rows(numbers_B, np.zeros(2, np.int64), self.frames_N[numbers_B])


class Late(TwoRows):
    """The earlier of two steps takes longer."""

    def __call__(self, step: int) -> Rows:
        time.sleep(0.02 if step % 2 == 0 else 0)
        return super().__call__(step)


class Broken(TwoRows):
    """Has a fault of ours at step 3."""

    def __call__(self, step: int) -> Rows:
        if step == 3:
            raise ZeroDivisionError("a fault of ours")
        return super().__call__(step)


def prefetcher_of(shard_set: ShardSet, workers: int, plan: type[TwoRows] = TwoRows) -> Prefetcher:
    return Prefetcher(BatchReader(shard_set, plan(shard_set), None, True, "stop"), 2, 2 * 60, workers)


def samples(prefetcher: Prefetcher, steps: range) -> list[int]:
    return [int(batch.sample_B[0]) for batch in prefetcher.batches(steps)]


def our_threads() -> set[threading.Thread]:
    return {thread for thread in threading.enumerate() if thread.name.startswith("shards")}


@pytest.fixture(autouse=True)
def no_thread_outlives_its_ring() -> Iterator[None]:
    before = our_threads()
    yield
    gc.collect()
    deadline = time.monotonic() + 60
    while our_threads() - before:
        assert time.monotonic() < deadline, our_threads() - before
        time.sleep(0.01)


@pytest.mark.parametrize("workers", [0, 1, 2, 4])
def test_batches_come_in_order_whoever_is_quicker(shard_set: ShardSet, workers: int) -> None:
    prefetcher, reader = prefetcher_of(shard_set, workers, Late), ShardReader(shard_set)
    for step, batch in enumerate(prefetcher.batches(range(20))):
        assert batch.sample_B.tolist() == [step, step + 1]
        for row, number in enumerate(batch.sample_B.tolist()):
            frames_TD = batch.frames_BTD[row][batch.valid_BT[row]].numpy()
            np.testing.assert_array_equal(frames_TD, reader.frames(number))
    assert step == 19


@pytest.mark.parametrize("workers", [0, 1, 3])
def test_memory_is_allocated_once_and_threads_are_started_once(shard_set: ShardSet, workers: int) -> None:
    prefetcher, before = prefetcher_of(shard_set, workers), our_threads()
    places, threads = set[int](), set[threading.Thread]()
    for _ in range(5):
        places |= {batch.frames_BTD.data_ptr() for batch in prefetcher.batches(range(24))}
        threads |= our_threads() - before
    assert 1 <= len(places) <= 2 * workers + 2
    assert len(threads) <= workers


def test_a_batch_is_not_touched_before_the_next_is_asked_for(shard_set: ShardSet) -> None:
    for batch in prefetcher_of(shard_set, 2).batches(range(30)):
        before = batch.to("cpu")
        time.sleep(0.003)
        assert all(one.numpy().tobytes() == other.numpy().tobytes() for one, other in zip(before, batch, strict=True))


@pytest.mark.parametrize("workers", [0, 2])
def test_two_iterators_at_once_do_not_disturb_each_other(shard_set: ShardSet, workers: int) -> None:
    prefetcher = prefetcher_of(shard_set, workers)
    for one, other in zip(prefetcher.batches(range(20)), prefetcher.batches(range(3, 23)), strict=True):
        assert int(other.sample_B[0]) == (int(one.sample_B[0]) + 3) % 24
        assert one.frames_BTD.data_ptr() != other.frames_BTD.data_ptr()


@pytest.mark.parametrize("workers", [0, 2])
def test_an_iterator_given_up_leaves_the_ring_usable(shard_set: ShardSet, workers: int) -> None:
    prefetcher = prefetcher_of(shard_set, workers, Late)
    for taken in range(6):
        batches = prefetcher.batches(range(100))
        for _ in range(taken):
            next(batches)
        batches.close()
        assert samples(prefetcher, range(7, 12)) == [7, 8, 9, 10, 11]


@pytest.mark.parametrize("workers", [0, 2])
def test_a_fault_in_a_thread_is_raised_at_its_turn_as_what_it_is(shard_set: ShardSet, workers: int) -> None:
    prefetcher = prefetcher_of(shard_set, workers, Broken)
    batches = prefetcher.batches(range(10))
    assert [int(next(batches).sample_B[0]) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(ZeroDivisionError, match="a fault of ours"):
        next(batches)
    assert samples(prefetcher, range(4, 8)) == [4, 5, 6, 7]


def test_threads_end_with_their_ring(shard_set: ShardSet) -> None:
    gc.collect()  # what other tests have left open is closed before, not meanwhile
    descriptors, before = len(os.listdir("/proc/self/fd")), our_threads()
    prefetcher = prefetcher_of(shard_set, 3)
    batches = prefetcher.batches(range(24))
    next(batches)
    started = our_threads() - before
    assert started
    del prefetcher, batches
    gc.collect()
    for thread in started:
        thread.join(60)
    assert not any(thread.is_alive() for thread in started)
    assert len(os.listdir("/proc/self/fd")) == descriptors


def test_a_ring_can_be_copied_pickled_and_used_after_a_fork(shard_set: ShardSet) -> None:
    prefetcher = prefetcher_of(shard_set, 2)
    expected = samples(prefetcher, range(9))
    for other in (copy.copy(prefetcher), pickle.loads(pickle.dumps(prefetcher))):
        assert samples(other, range(9)) == expected
    child = os.fork()
    if child == 0:
        # A test in a forked process must never come back into pytest.
        os._exit(0 if samples(prefetcher, range(9)) == expected else 1)
    deadline = time.monotonic() + 120
    while (ended := os.waitpid(child, os.WNOHANG)) == (0, 0):
        if time.monotonic() > deadline:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            pytest.fail("reading after a fork hangs")
        time.sleep(0.01)
    assert os.waitstatus_to_exitcode(ended[1]) == 0


PROGRAM = """
import sys
from pathlib import Path
from shards.loading.config import BatchConfig
from shards.loading.loader import TrainingLoader
from shards.shard_set.manifest import ShardSet
loader = TrainingLoader(ShardSet.open(Path(sys.argv[1])), None, BatchConfig(workers=4, crop_frames=30))
for step, batch in enumerate(loader.steps(0, 10**9)):
    if step == 5:
        print("reading", flush=True)
"""


@pytest.mark.usefixtures("ctrl_c")
@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, -signal.SIGINT), (signal.SIGTERM, -signal.SIGTERM)])
def test_a_program_that_is_stopped_in_the_middle_leaves_at_once_and_nothing_behind(
    shard_set: ShardSet, number: signal.Signals, status: int
) -> None:
    command = [sys.executable, "-c", PROGRAM, str(shard_set.root)]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    assert process.stdout is not None and process.stdout.readline() == "reading\n"
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    assert children == []
    process.send_signal(number)
    try:
        process.communicate(timeout=120)
    finally:
        if process.poll() is None:
            process.kill()
            process.communicate()
    assert process.returncode == status


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")
def test_a_slot_is_not_read_into_before_the_gpu_has_its_copy(shard_set: ShardSet) -> None:
    prefetcher, reader = prefetcher_of(shard_set, 2), ShardReader(shard_set)
    copies = []
    for batch in prefetcher.batches(range(24)):
        assert batch.frames_BTD.is_pinned() and batch.sample_B.is_pinned()
        # Work enough in the stream that the copy comes late; without the event the buffer would be overwritten first.
        torch.cuda._sleep(20_000_000)
        copies.append(batch.to("cuda", non_blocking=True))
    for step, batch in enumerate(copies):
        assert batch.sample_B.tolist() == [step, (step + 1) % 24]
        frames_TD = batch.frames_BTD[0][batch.valid_BT[0]].cpu().numpy()
        np.testing.assert_array_equal(frames_TD, reader.frames(step))
