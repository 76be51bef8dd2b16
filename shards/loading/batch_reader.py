"""Read the batch of a step: its rows go straight into a buffer, from the bytes where they lie in the shards.

The buffer's memory is allocated once and used again and again.  A function of the step says which rows make up the
batch.  Look-ups in the index, masks and labels are made for all rows at once; what is left for each row is one system
call.  A sample's phones lie close behind its frames, so a read that ends with the last frame includes them; only a crop
before the end needs a second call for them.

Cost of a batch: 0.1 ms, and 10 us a row of 100 KB in the page cache; with checksums 30 us a row.

Shape legend: B rows of this process's batch, T frames, D feature columns.
"""

from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import numpy as np
import torch

from accent.features.schema import N_COLUMNS
from shards.loading.batch import UNKNOWN_PHONE, Batch
from shards.sampling.sampler import NO_SAMPLE, Rows
from shards.shard_set.index import FRAME_BYTES, PHONE_BYTES
from shards.shard_set.manifest import ShardSet
from shards.shard_set.reader import DamagedSampleError, ShardReader

_MOST_BYTES_BETWEEN = 4096
"""Bytes between frames and phones up to which one call reads them all: less work than a second call."""


class BatchView:
    """One shape laid over a buffer's memory, as numpy arrays to write to and as the batch they make."""

    def __init__(
        self,
        frames: torch.Tensor,
        valid: torch.Tensor,
        phones: torch.Tensor,
        labels: torch.Tensor,
        rows: int,
        long: int,
    ) -> None:
        frames_BTD = frames[: rows * long * N_COLUMNS].view(rows, long, N_COLUMNS)
        valid_BT = valid[: rows * long].view(rows, long)
        phones_BT = phones[: rows * long].view(rows, long)
        labels_4B = labels[: 4 * rows].view(4, rows)
        self.shape = (rows, long)
        self.batch = Batch(frames_BTD, valid_BT, phones_BT, *labels_4B)
        self.frames_BTD: np.ndarray = frames_BTD.numpy()
        self.valid_BT: np.ndarray = valid_BT.numpy()
        self.phones_BT: np.ndarray = phones_BT.numpy()
        self.labels_4B: np.ndarray = labels_4B.numpy()
        """Accents, speakers, prompts and sample numbers."""
        self.frame_bytes = memoryview(self.frames_BTD.data).cast("B")
        self.phone_bytes = memoryview(self.phones_BT.data).cast("B")

    def invalidate(self, row: int) -> None:
        """Make a row one that only fills the batch, whatever was written to it."""
        self.frames_BTD[row] = 0
        self.valid_BT[row] = False
        self.valid_BT[row, 0] = True
        self.phones_BT[row] = UNKNOWN_PHONE
        self.labels_4B[:, row] = (0, 0, 0, NO_SAMPLE)


class BatchBuffer:
    """Memory for one batch at a time.

    Args:
        rows: most rows of a batch.
        frames: most frames of a batch over all rows, padding counted.
        pinned: in memory that a GPU can copy from by itself.
    """

    def __init__(self, rows: int, frames: int, pinned: bool = False) -> None:
        self._frames = torch.empty(frames * N_COLUMNS, dtype=torch.float16, pin_memory=pinned)
        self._valid = torch.empty(frames, dtype=torch.bool, pin_memory=pinned)
        self._phones = torch.empty(frames, dtype=torch.int16, pin_memory=pinned)
        self._labels = torch.empty(4 * rows, dtype=torch.int64, pin_memory=pinned)
        self._view: BatchView | None = None

    def view(self, rows: int, long: int) -> BatchView:
        """Lay a shape over the memory, which keeps whatever was in it.

        Args:
            rows: B.
            long: T.

        Raises:
            ValueError: a batch without rows or frames, or one that the memory is too small for.
        """
        if min(rows, long) < 1 or rows * long > len(self._valid) or 4 * rows > len(self._labels):
            raise ValueError(
                f"{rows} rows of {long} frames do not fit into {len(self._labels) // 4} rows, {len(self._valid)} frames"
            )
        # Training asks for one shape only; making the views takes longer than reading a row.
        if self._view is None or self._view.shape != (rows, long):
            self._view = BatchView(self._frames, self._valid, self._phones, self._labels, rows, long)
        return self._view


class ReadBatch(NamedTuple):
    """A batch and what went wrong with it."""

    batch: Batch
    damaged: list[DamagedSampleError]
    """Samples left out under the policy `skip`."""


class BatchReader:
    """Reads the batch of any step.  One thread uses it at a time; `copy.copy` makes one for another thread.

    Args:
        shard_set: where the samples are.
        sampler: returns the rows of a step (`shards.sampling.sampler`).
        n_frames: length of all batches in frames; None: the longest of its samples.
        verify: compare each sample with its checksum, for which a crop's whole sample is read.
        damaged: "stop" raises at a damaged sample; "skip" makes its row invalid.
    """

    def __init__(
        self,
        shard_set: ShardSet,
        sampler: Callable[[int], Rows],
        n_frames: int | None,
        verify: bool,
        damaged: Literal["stop", "skip"],
    ) -> None:
        self._settings = (shard_set, sampler, n_frames, verify, damaged)
        self._sampler, self._n_frames, self._verify, self._damaged = sampler, n_frames, verify, damaged
        self._reader = ShardReader(shard_set)
        self._between = memoryview(bytearray(_MOST_BYTES_BETWEEN))
        self._whole = memoryview(b"")

    def __reduce__(self) -> tuple[Any, ...]:
        # Descriptors and memory are its own.
        return BatchReader, self._settings

    def read(self, step: int, buffer: BatchBuffer) -> ReadBatch:
        """Read the batch of a step.

        Args:
            step: which step.
            buffer: where to; what it held is lost.

        Returns:
            The batch, in the buffer's memory.

        Raises:
            DamagedSampleError: a sample is damaged and the policy is "stop".
            AccentError: a shard cannot be opened.
        """
        numbers_B, starts_B, counts_B = self._sampler(step)
        long = int(max(1, counts_B.max())) if self._n_frames is None else self._n_frames
        into = buffer.view(len(numbers_B), long)
        real_B = np.flatnonzero(numbers_B != NO_SAMPLE)
        index_B = self._reader.rows[numbers_B[real_B]]

        into.labels_4B[:, real_B] = (index_B["accent"], index_B["speaker"], index_B["prompt"], numbers_B[real_B])
        np.less(np.arange(long), counts_B[:, None], out=into.valid_BT)
        for row in np.flatnonzero(numbers_B == NO_SAMPLE).tolist():
            into.invalidate(row)

        starts_B, counts_B = starts_B[real_B], counts_B[real_B]
        offsets_B = index_B["frames_offset"].astype(np.int64) + starts_B * FRAME_BYTES
        lengths_B = counts_B * FRAME_BYTES
        phones_B = np.where(index_B["phones_offset"] < 0, -1, index_B["phones_offset"] + starts_B * PHONE_BYTES)
        between_B = phones_B - offsets_B - lengths_B
        near_B = (phones_B >= 0) & (between_B >= 0) & (between_B <= _MOST_BYTES_BETWEEN)
        cropped_B = counts_B != index_B["frames"]
        # Neighbours on the disk are read one after the other.
        order = np.lexsort((offsets_B, index_B["shard"]))
        columns = (
            real_B,
            numbers_B[real_B],
            index_B["shard"],
            counts_B,
            offsets_B,
            lengths_B,
            phones_B,
            between_B,
            near_B,
            cropped_B,
        )
        damaged = []
        frame_bytes, phone_bytes = into.frame_bytes, into.phone_bytes
        reader, verify = self._reader, self._verify
        for row, number, shard, count, offset, length, phones, between, near, cropped in zip(
            *(column[order].tolist() for column in columns), strict=True
        ):
            begin = row * long
            frames = frame_bytes[begin * FRAME_BYTES : begin * FRAME_BYTES + length]
            phone = phone_bytes[begin * PHONE_BYTES : (begin + count) * PHONE_BYTES]
            try:
                if verify and cropped:
                    self._read_crop_of_whole(number, shard, offset, frames)
                elif near:
                    total = length + between + len(phone)
                    reader.read_into(number, shard, offset, total, (frames, self._between[:between], phone))
                else:
                    reader.read_into(number, shard, offset, length, (frames,))
                if phones >= 0 and (not near or (verify and cropped)):
                    reader.read_into(number, shard, phones, len(phone), (phone,))
                if verify and not cropped:
                    reader.check(number, frames)
            except DamagedSampleError as error:
                if self._damaged == "stop":
                    raise
                damaged.append(error)
                into.invalidate(row)
                continue
            if count < long:
                into.frames_BTD[row, count:] = 0
                into.phones_BT[row, count:] = UNKNOWN_PHONE
            if phones < 0:
                into.phones_BT[row] = UNKNOWN_PHONE
        return ReadBatch(into.batch, damaged)

    def _read_crop_of_whole(self, number: int, shard: int, offset: int, crop: memoryview) -> None:
        """Read a whole sample aside, check it, and keep the crop that begins at a byte of the shard."""
        sample = self._reader.rows[number]
        begin, length = int(sample["frames_offset"]), int(sample["frames"]) * FRAME_BYTES
        if len(self._whole) < length:
            self._whole = memoryview(bytearray(length))
        whole = self._whole[:length]
        self._reader.read_into(number, shard, begin, length, (whole,))
        self._reader.check(number, whole)
        crop[:] = whole[offset - begin : offset - begin + len(crop)]
