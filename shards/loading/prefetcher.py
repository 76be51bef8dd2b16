"""Read batches ahead, in threads, into memory that is allocated once and used again and again.

Threads and not processes: `preadv` and `crc32` run without Python's lock, so both read equally fast, and threads need
no fork of a program with a GPU, no pickled plans and no protocol.

A buffer is read into again once the consumer has requested the next batch and, where there is a GPU, all work that its
stream was given until then is done, the copy to the device included.  The memory is pinned there.

Cost of a batch besides the reading: 50 us.
"""

import copy
import os
import threading
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import torch

from shards.loading.batch import Batch
from shards.loading.batch_reader import BatchBuffer, BatchReader, ReadBatch
from shards.loading.damage import DamageLog


class _Place:
    """A buffer in the prefetcher, and when the GPU has done with what was in it."""

    def __init__(self, buffer: BatchBuffer, gpu: bool) -> None:
        self.buffer = buffer
        self._used = torch.cuda.Event() if gpu else None

    def release(self) -> None:
        """Note that the work given to the current stream so far may still read the buffer."""
        if self._used is not None:
            self._used.record()

    def wait(self) -> None:
        """Wait until nothing reads the buffer any more."""
        if self._used is not None:
            self._used.synchronize()


class Prefetcher:
    """Yields batches in order, as many read ahead as there are free buffers.

    Args:
        reader: reads a batch.
        rows: most rows of a batch.
        frames: most frames of a batch over all rows, padding counted.
        workers: threads that read ahead; 0: the thread that asks for a batch reads it.
    """

    def __init__(self, reader: BatchReader, rows: int, frames: int, workers: int) -> None:
        self._settings = (reader, rows, frames, workers)
        self._reader, self._rows, self._frames, self._workers = self._settings
        self.damage = DamageLog()
        """The damaged samples left out so far, in the batches that were handed out."""
        self._resting: list[list[_Place]] = []
        self._own = threading.local()
        self._threads: ThreadPoolExecutor | None = None
        self._process = os.getpid()

    def __reduce__(self) -> tuple[Any, ...]:
        # Threads and memory stay here.
        return Prefetcher, self._settings

    def batches(self, steps: Iterable[int]) -> Iterator[Batch]:
        """Yield the batches of some steps, in order; each is valid until the next is requested.

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
                for error in read.damaged:
                    self.damage.note(error)
                try:
                    yield read.batch
                finally:
                    # Also when the consumer stops early: the GPU may still be copying this batch.
                    place.release()
                free.append(place)
        finally:
            for _, _, future in pending:
                if future is not None:
                    future.cancel()
            # Waiting for a read under way could last for ever: this may run in the very thread that reads, when it
            # collects garbage.  Such places are dropped, and freed when their reads have ended.
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
        reader = getattr(self._own, "reader", None)
        if reader is None:
            reader = self._own.reader = copy.copy(self._reader)
        place.wait()
        return reader.read(step, place.buffer)
