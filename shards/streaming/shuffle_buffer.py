"""A shuffle buffer that pairs voices, a thread that reads a stream ahead, and a plan of streamed evaluation batches.

Cost: the buffer's samples in memory; a draw looks at the labels of all of them (10 us for 512).

Shape legend: N samples of the shard set, B rows of a process's batch, C samples in the buffer.
"""

import queue
import threading
from collections.abc import Generator, Iterator, Sequence

import numpy as np

from shards.sampling.sampler import NO_SAMPLE
from shards.streaming.remote_shard_set import StreamedSample

_SAMPLES_AHEAD = 32
"""Samples that a thread reads ahead of the buffer."""
_JOIN_SECONDS = 1.0
"""How long leaving a stream waits for its thread, which is in the midst of a sample; a stalled one is left behind."""
_OLD = 4
"""A sample that was in the buffer while this many times its size passed through it is drawn next."""


class PairBuffer:
    """A shuffle buffer that lets samples go in pairs of one accent and two speakers, as far as it holds such pairs.

    A pair is a sample at random, or the oldest if that has waited too long, and another at random of those that fit.
    The place of a sample that leaves is taken by the next one of the stream.

    Args:
        samples: the stream; it must not end.
        index: the labels of all samples.
        capacity: C.
        generator: of the choices.
    """

    def __init__(
        self, samples: Iterator[StreamedSample], index: np.ndarray, capacity: int, generator: np.random.Generator
    ) -> None:
        self._samples, self._index, self._capacity, self._generator = samples, index, capacity, generator
        self._held: list[StreamedSample] = []
        self._accent_C = np.zeros(capacity, np.int64)
        self._speaker_C = np.zeros(capacity, np.int64)
        self._arrival_C = np.zeros(capacity, np.int64)
        self._arrived = 0

    def take(self, rows: int) -> list[StreamedSample]:
        """Draw samples; pairs are neighbours."""
        while len(self._held) < self._capacity:
            self._held.append(self._receive(len(self._held)))
        taken: list[StreamedSample] = []
        while len(taken) < rows:
            place = self._first()
            accent, speaker = self._accent_C[place], self._speaker_C[place]
            taken.append(self._let_go(place))
            fitting = np.flatnonzero((self._accent_C == accent) & (self._speaker_C != speaker))
            if len(taken) < rows and len(fitting):
                taken.append(self._let_go(int(fitting[self._generator.integers(len(fitting))])))
        return taken

    def _first(self) -> int:
        oldest = int(self._arrival_C.argmin())
        if self._arrived - self._arrival_C[oldest] > _OLD * self._capacity:
            return oldest
        return int(self._generator.integers(self._capacity))

    def _let_go(self, place: int) -> StreamedSample:
        sample = self._held[place]
        self._held[place] = self._receive(place)
        return sample

    def _receive(self, place: int) -> StreamedSample:
        sample = next(self._samples)
        row = self._index[sample.number]
        self._accent_C[place], self._speaker_C[place] = row["accent"], row["speaker"]
        self._arrival_C[place] = self._arrived
        self._arrived += 1
        return sample


def streamed_batches(
    numbers_of: Sequence[np.ndarray], frames_N: np.ndarray, frames_per_batch: int, buffer: int
) -> list[tuple[int, np.ndarray]]:
    """Share the places of batches among processes that each hold `buffer` samples of their stream at a time.

    Args:
        numbers_of: for each process the sample numbers of its stream, in order.
        frames_N: length of each sample in frames, by sample number.
        frames_per_batch: most frames of one process's batch, padding counted; a longer utterance comes alone.
        buffer: samples that are sorted by length at a time.

    Returns:
        A list, one a batch: which stretch of `buffer` samples it is from, and int64 [world size, B], the sample numbers
        of each process, -1 where it has none left.
    """
    batches = []
    longest_stream = max(len(numbers) for numbers in numbers_of)
    for chunk, begin in enumerate(range(0, longest_stream, buffer)):
        waiting = [numbers[begin : begin + buffer] for numbers in numbers_of]
        waiting = [numbers[np.lexsort((numbers, -frames_N[numbers]))] for numbers in waiting]
        most, at = max(len(numbers) for numbers in waiting), 0
        while at < most:
            longest = max(int(frames_N[numbers[at]]) for numbers in waiting if at < len(numbers))
            rows = min(max(1, frames_per_batch // max(1, longest)), most - at)
            batch = np.full((len(waiting), rows), NO_SAMPLE, np.int64)
            for rank, numbers in enumerate(waiting):
                taken = numbers[at : at + rows]
                batch[rank, : len(taken)] = taken
            batches.append((chunk, batch))
            at += rows
    return batches


class ReadAhead(Iterator[StreamedSample]):
    """Runs a stream in a thread of its own, some samples ahead."""

    def __init__(self, samples: Generator[StreamedSample, None, None]) -> None:
        self._ready: queue.Queue[StreamedSample | BaseException] = queue.Queue(_SAMPLES_AHEAD)
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(samples,), name="streams", daemon=True)
        self._thread.start()

    def __next__(self) -> StreamedSample:
        item = self._ready.get()
        if isinstance(item, BaseException):
            # Put back, so that the next call raises it again.
            self._ready.put(item)
            raise item
        return item

    def close(self) -> None:
        """Let the thread end: at once, or where it waits for a transfer when that has come or failed."""
        self._closed.set()
        while not self._ready.empty():
            self._ready.get_nowait()
        self._thread.join(_JOIN_SECONDS)

    def _run(self, samples: Generator[StreamedSample, None, None]) -> None:
        try:
            for sample in samples:
                if not self._put(sample):
                    return
            self._put(StopIteration())
        except BaseException as error:
            self._put(error)
        finally:
            samples.close()

    def _put(self, item: StreamedSample | BaseException) -> bool:
        while not self._closed.is_set():
            try:
                self._ready.put(item, timeout=0.2)
                return True
            except queue.Full:
                continue
        return False
