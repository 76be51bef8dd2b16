"""Batches of a shard set that lies elsewhere: streamed from start to end instead of read by position.

Training: the shards come in passes, each pass in a new order keyed by (seed, first step, pass), and the readers of all
processes take them in turn.  So a reader always has a next shard, each shard comes once a pass, and all processes yield
equally many batches of equally many rows.  A process's readers fill one shuffle buffer in turn; rows are drawn from it
in pairs of one accent and two speakers, wherever it holds such a pair.  A sample is drawn once each time its shard
comes by, and leaves the buffer before some six times the buffer's size has passed through it.

What a stream cannot give: a choice of P accents x S speakers x K utterances; an order that is the same on another
number of processes; after a resumption, the batches of a run that was never stopped.  A resumed run begins new streams.

Evaluation: process r streams the shards r, r + world size, ...; the plan follows from the index, so it is a partition,
and all processes know how many batches each of them yields.

Cost: the buffer holds whole samples (512 x 100 KB), and is filled before the first batch.

Shape legend: N samples of the shard set, B rows of this process's batch, C samples in the buffer, T frames.
"""

import logging
from collections.abc import Generator, Iterable, Iterator, Sequence
from itertools import cycle, islice
from typing import TypeAlias

import numpy as np

from accent.errors import AccentError
from shards.loading.batch import UNKNOWN_PHONE, Batch
from shards.loading.batch_reader import BatchBuffer, BatchView
from shards.loading.config import BatchConfig
from shards.loading.damage import DamageLog
from shards.loading.protocol import EvaluationBatches, TrainingBatches
from shards.loading.selection import select_evaluation, select_training
from shards.sampling.sampler import NO_SAMPLE, Rows, crop_starts, rank_share
from shards.splits.split import Split
from shards.streaming.remote_shard_set import RemoteShardSet, StreamedSample, stream_shard
from shards.streaming.shuffle_buffer import PairBuffer, ReadAhead, streamed_batches

BUFFER = 512
"""Samples that a process holds to draw from."""
_SHARDS, _DRAWS = range(2)
"""What a random number is for: part of its key."""

_logger = logging.getLogger(__name__)

_Samples: TypeAlias = Generator[StreamedSample, None, None]


class RemoteTrainingLoader(TrainingBatches):
    """Batches of random crops out of streams.  The head of this module says what is promised.

    Args:
        shard_set: where the samples are.
        split, seed, rank, world_size: as for `shards.loading.loader.TrainingLoader`.
        config: the shape of the global batch counts by its product; `workers` threads stream a shard each, and with 0
            the one stream is read when a batch is requested.  Checksums are always compared.
        buffer: samples to hold and draw from.

    Raises:
        AccentError: as a `TrainingLoader`; same prompts asked for; or fewer shards with training samples than readers.

    Example:
        >>> shard_set = RemoteShardSet.open("s3://bucket/shards")  # doctest: +SKIP
        >>> loader = RemoteTrainingLoader(shard_set, split, BatchConfig(workers=2))  # doctest: +SKIP
    """

    def __init__(
        self,
        shard_set: RemoteShardSet,
        split: Split | None = None,
        config: BatchConfig | None = None,
        seed: int = 0,
        rank: int = 0,
        world_size: int = 1,
        buffer: int = BUFFER,
    ) -> None:
        if config is not None and config.same_prompts:
            raise AccentError(
                f"batch.same_prompts: {shard_set.folder.address} is streamed, and a stream cannot choose prompts; "
                "copy the shard set into a folder here, or set it to false"
            )
        self.shard_set = shard_set
        self.split = split
        self.config = config or BatchConfig()
        self.seed, self.rank, self.world_size = seed, rank, world_size
        chosen = select_training(shard_set, split, self.config, world_size)
        self.speakers, self.n_samples = chosen.speakers, len(chosen.numbers_N)
        self.global_batch, self.crop_frames, self.padding = chosen.shape.rows, chosen.crop_frames, chosen.padding
        self.steps_per_epoch = chosen.steps_per_epoch
        self.wanted_N = np.zeros(len(shard_set), bool)
        """Bool, by sample number: what training draws from."""
        self.wanted_N[chosen.numbers_N] = True
        self._shards = np.unique(shard_set.index["shard"][self.wanted_N])
        self._own_readers = max(1, self.config.workers)
        self._readers = self._own_readers * world_size
        if len(self._shards) < self._readers:
            raise AccentError(
                f"{shard_set.folder.address}: {len(self._shards)} shards with training samples are too few for "
                f"{self._readers} readers ({world_size} processes x {self._own_readers}); lower batch.workers, start "
                "fewer processes, or featurize with fewer samples a shard"
            )
        # More than a pass's samples would be the same ones twice.
        self.buffer = max(1, min(buffer, self.n_samples // world_size))
        """Samples held to draw from."""
        self._own_B = rank_share(np.arange(self.global_batch), rank, world_size)
        self._damage = DamageLog()

    @property
    def skipped(self) -> int:
        """Samples left out so far because they are damaged; others came in their place."""
        return self._damage.count

    def steps(self, first: int, last: int) -> Iterator[Batch]:
        """Yield batches for the steps first ... last - 1, from streams that begin here; see `TrainingBatches`.

        The first step is part of the key of the order.
        """
        if first > 0 and self.rank == 0:
            _logger.warning(
                "%s: the streams begin anew at step %d, with another order than that of a run that was not stopped",
                self.shard_set.folder.address,
                first,
            )
        own = range(self.rank * self._own_readers, (self.rank + 1) * self._own_readers)
        streams = [_begin(self._stream(first, reader), self.config.workers > 0) for reader in own]
        try:
            # Equally many from each, so that the order does not depend on which is quicker.
            arriving = self._whole(next(stream) for stream in cycle(streams))
            generator = np.random.default_rng([self.seed, _DRAWS, first, self.rank])
            pairs = PairBuffer(arriving, self.shard_set.index, self.buffer, generator)
            buffer = BatchBuffer(len(self._own_B), len(self._own_B) * self.crop_frames)
            for step in range(first, last):
                yield self._batch(step, pairs, buffer)
        finally:
            for stream in streams:
                stream.close()

    def __iter__(self) -> Iterator[Batch]:
        return self.steps(0, self.steps_per_epoch)

    def shard_order(self, first: int, number: int) -> np.ndarray:
        """Return the shards with training samples in the order of a pass.

        Args:
            first: the step that the streams began at.
            number: which pass, from 0.
        """
        return np.random.default_rng([self.seed, _SHARDS, first, number]).permutation(self._shards)

    def _stream(self, first: int, reader: int) -> _Samples:
        """Yield one reader's samples without end, damaged ones among them."""
        without_any = 0
        for turn in range(reader, 1 << 62, self._readers):
            number, place = divmod(turn, len(self._shards))
            whole = 0
            for sample in stream_shard(self.shard_set, int(self.shard_order(first, number)[place]), self.wanted_N):
                if sample.damage is not None and self.config.damaged == "stop":
                    raise sample.damage
                whole += sample.damage is None
                yield sample
            without_any = 0 if whole else without_any + 1
            if without_any == len(self._shards):
                raise AccentError(
                    f"{self.shard_set.folder.address}: {without_any} shards in a row without a whole sample; "
                    "copy the shard set there again"
                )

    def _whole(self, samples: Iterable[StreamedSample]) -> Iterator[StreamedSample]:
        for sample in samples:
            if sample.damage is None:
                yield sample
            else:
                self._damage.note(sample.damage)

    def _batch(self, step: int, pairs: PairBuffer, buffer: BatchBuffer) -> Batch:
        samples = pairs.take(len(self._own_B))
        # Keyed by the row of the global batch, as everywhere.
        lengths = np.zeros(self.global_batch, np.int64)
        lengths[self._own_B] = [len(sample.frames_TD) for sample in samples]
        starts_B = crop_starts(step, lengths, self.crop_frames, self.seed)[self._own_B]
        into = buffer.view(len(self._own_B), self.crop_frames)
        for row, (sample, start) in enumerate(zip(samples, starts_B.tolist(), strict=True)):
            _write(into, row, sample, start, self.shard_set.index)
        return into.batch


class RemoteEvaluationLoader(EvaluationBatches):
    """Whole utterances out of streams, each exactly once over all processes, by length within a buffer.

    All processes yield the same number of batches with the same number of rows; rows that nothing is left for are
    invalid, and so are those of damaged samples under the policy "skip".  A batch is valid until the next is
    requested.

    Args:
        shard_set: where the samples are.
        speakers, prompts, rank, world_size: as for `shards.loading.loader.EvaluationLoader`.
        config: what a batch holds; with `workers` above 0 one thread reads ahead.
        buffer: samples to hold and sort by length.

    Raises:
        AccentError: an unknown speaker or prompt, or no sample left.
    """

    def __init__(
        self,
        shard_set: RemoteShardSet,
        speakers: Sequence[str] | None = None,
        config: BatchConfig | None = None,
        rank: int = 0,
        world_size: int = 1,
        prompts: Sequence[str] | None = None,
        buffer: int = BUFFER,
    ) -> None:
        self.shard_set = shard_set
        self.config = config or BatchConfig()
        self.speakers, self.numbers_N = select_evaluation(shard_set, speakers, prompts)
        index = shard_set.index
        shards = np.unique(index["shard"][self.numbers_N])
        streams = [self._in_order(shards[one::world_size]) for one in range(world_size)]
        self._shards = shards[rank::world_size]
        self._chunks = [streams[rank][at : at + buffer] for at in range(0, len(streams[rank]), buffer)]
        self._frames_N = np.array(index["frames"], np.int64)
        plan = streamed_batches(streams, self._frames_N, self.config.evaluation_frames_per_batch, buffer)
        self._batches = [(chunk, batch[rank]) for chunk, batch in plan]
        self._damage = DamageLog()

    def rows(self, batch: int) -> Rows:
        """Return what this process reads for a batch, without reading it; see `EvaluationLoader.rows`."""
        numbers_B = self._batches[batch][1]
        lengths_B = np.where(numbers_B == NO_SAMPLE, 0, self._frames_N[numbers_B])
        return Rows(numbers_B, np.zeros_like(numbers_B), lengths_B)

    @property
    def skipped(self) -> int:
        """Rows left out so far because their samples are damaged."""
        return self._damage.count

    def __iter__(self) -> Iterator[Batch]:
        stream = _begin(self._stream(), self.config.workers > 0)
        shapes = [(len(rows.numbers_B), max(1, int(rows.counts_B.max()))) for rows in map(self.rows, range(len(self)))]
        buffer = BatchBuffer(max(rows for rows, _ in shapes), max(rows * long for rows, long in shapes))
        held: dict[int, StreamedSample] = {}
        fetched = 0
        try:
            for (chunk, numbers_B), shape in zip(self._batches, shapes, strict=True):
                if chunk == fetched and chunk < len(self._chunks):
                    held = {one.number: one for one in islice(stream, len(self._chunks[chunk]))}
                    fetched += 1
                into = buffer.view(*shape)
                for row, number in enumerate(numbers_B.tolist()):
                    sample = None if number == NO_SAMPLE else self._whole(held.pop(number))
                    _write(into, row, sample, 0, self.shard_set.index)
                yield into.batch
        finally:
            stream.close()

    def __len__(self) -> int:
        return len(self._batches)

    def _in_order(self, shards: np.ndarray) -> np.ndarray:
        """Return the wanted samples of some shards as they come by: shard by shard, in the order of their bytes."""
        index = self.shard_set.index[self.numbers_N]
        order = np.lexsort((index["frames_offset"], index["shard"]))
        return self.numbers_N[order[np.isin(index["shard"][order], shards)]]

    def _stream(self) -> _Samples:
        wanted_N = np.zeros(len(self.shard_set), bool)
        wanted_N[self.numbers_N] = True
        for shard in self._shards.tolist():
            yield from stream_shard(self.shard_set, shard, wanted_N)

    def _whole(self, sample: StreamedSample) -> StreamedSample | None:
        if sample.damage is None:
            return sample
        if self.config.damaged == "stop":
            raise sample.damage
        self._damage.note(sample.damage)
        return None


def _begin(samples: _Samples, ahead: bool) -> _Samples | ReadAhead:
    return ReadAhead(samples) if ahead else samples


def _write(into: BatchView, row: int, sample: StreamedSample | None, start: int, index: np.ndarray) -> None:
    """Put as much of a sample into a row as fits, from a frame on; without a sample the row is invalid."""
    if sample is None:
        into.invalidate(row)
        return
    long = into.shape[1]
    count = min(len(sample.frames_TD) - start, long)
    into.frames_BTD[row, :count] = sample.frames_TD[start : start + count]
    into.frames_BTD[row, count:] = 0
    into.valid_BT[row] = np.arange(long) < count
    into.phones_BT[row] = UNKNOWN_PHONE
    if sample.phones_T is not None:
        into.phones_BT[row, :count] = sample.phones_T[start : start + count]
    labels = index[sample.number]
    into.labels_4B[:, row] = (labels["accent"], labels["speaker"], labels["prompt"], sample.number)
