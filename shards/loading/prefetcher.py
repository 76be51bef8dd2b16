"""Read batches ahead, by threads, into memory that is allocated once and used again and again.

Threads and not processes: both were built on the same reading code and measured in one run (two cores, 32 rows of
100 KB a batch, page cache).  One worker read 9.0 GB/s as a thread and 8.7 GB/s as a process, for `preadv` and `crc32`
run without Python's lock; with checksums both read 3.5 GB/s.  A training step of 16.2 ms in Python took 18.3 ms beside
a thread, 17.8 ms beside a process and 18.9 ms when it read for itself; one of 2.65 ms took 3.3, 2.9 and 3.2 ms.  With
other programs on both cores: 25.4 ms beside a thread, 21.9 beside a process, 22.8 by itself, 20.7 without reading.
That does not pay for what processes bring: a start, a fork of a program with threads and a GPU, pickled plans, a
protocol, and children that are killed or outlive their parent.

A buffer is read into again once the consumer has asked for the next batch and, where there is a GPU, everything is done
that its stream had been told until then, the copy to the device among it.  The memory is pinned there.

Cost of a batch beside the reading: 50 us.
"""

import copy
import logging
import os
import threading
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import torch

from shards.loading.batch import Batch, BatchBuffer
from shards.loading.batch_reader import ReadBatch, Steps
from shards.shard_set.reader import DamagedSampleError

_logger = logging.getLogger(__name__)


class _Place:
    """A buffer in the prefetcher, and when the GPU has done with what was in it."""

    def __init__(self, buffer: BatchBuffer, gpu: bool) -> None:
        self.buffer = buffer
        self._used = torch.cuda.Event() if gpu else None

    def release(self) -> None:
        """Note that whatever the current stream was told to do so far may still read the buffer."""
        if self._used is not None:
            self._used.record()

    def wait(self) -> None:
        """Wait until nothing reads the buffer any more."""
        if self._used is not None:
            self._used.synchronize()


class Prefetcher:
    """Yields batches in order, as many read ahead as there are free buffers.

    Args:
        steps: reads a batch.
        rows: most rows of a batch.
        frames: most frames of a batch over all rows, padding counted.
        workers: threads that read ahead; 0: the thread that asks for a batch reads it.
    """

    def __init__(self, steps: Steps, rows: int, frames: int, workers: int) -> None:
        self._settings = (steps, rows, frames, workers)
        self._steps, self._rows, self._frames, self._workers = self._settings
        self.skipped = 0
        """Rows left out so far because of damaged samples, in the batches that were handed out."""
        self._logged = set[str]()
        self._resting: list[list[_Place]] = []
        self._own = threading.local()
        self._threads: ThreadPoolExecutor | None = None
        self._process = os.getpid()

    def __reduce__(self) -> tuple[Any, ...]:
        # Threads and memory stay here.
        return Prefetcher, self._settings

    def batches(self, steps: Iterable[int]) -> Iterator[Batch]:
        """Yield the batches of some steps, in order; each lives until the next one is asked for.

        Raises:
            AccentError: a sample cannot be read; raised when its batch's turn comes.
        """
        places = self._resting.pop() if self._resting else self._allocate()
        free, pending = deque(places), deque[tuple[_Place, int, Future[ReadBatch] | None]]()
        upcoming = iter(steps)
        try:
            while True:
                while free and len(pending) < max(1, 2 * self._workers):
                    step = next(upcoming, None)
                    if step is None:
                        break
                    place = free.popleft()
                    pending.append((place, step, self._begin(step, place)))
                if not pending:
                    return
                place, step, future = pending.popleft()
                read = self._read(step, place) if future is None else future.result()
                self._note(read.damaged)
                try:
                    yield read.batch
                finally:
                    # Also when the iterator is given up: the GPU may still be copying this batch.
                    place.release()
                free.append(place)
        finally:
            for _, _, future in pending:
                if future is not None:
                    future.cancel()
            # Waiting for a read under way could last for ever: this may run in the very thread that reads, when it
            # collects garbage.  Such places are given up and go when their reads have ended.
            if all(future is None or future.done() for _, _, future in pending):
                self._resting.append(places)

    def _allocate(self) -> list[_Place]:
        # One in the consumer's hands beside those read ahead; and one more that a GPU may not have done with.
        gpu = torch.cuda.is_available()
        return [_Place(BatchBuffer(self._rows, self._frames, gpu), gpu) for _ in range(2 * self._workers + 1 + gpu)]

    def _begin(self, step: int, place: _Place) -> "Future[ReadBatch] | None":
        if self._workers == 0:
            return None
        if self._threads is None or self._process != os.getpid():
            self._threads = ThreadPoolExecutor(self._workers, thread_name_prefix="shards")
            self._process = os.getpid()
        return self._threads.submit(self._read, step, place)

    def _read(self, step: int, place: _Place) -> ReadBatch:
        steps = getattr(self._own, "steps", None)
        if steps is None:
            steps = self._own.steps = copy.copy(self._steps)
        place.wait()
        return steps.read(step, place.buffer)

    def _note(self, damaged: list[DamagedSampleError]) -> None:
        self.skipped += len(damaged)
        for error in damaged:
            if str(error) not in self._logged:
                self._logged.add(str(error))
                _logger.warning("left out: %s", error)
