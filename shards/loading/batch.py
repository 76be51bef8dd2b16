"""A batch: crops or whole utterances of unequal length in one rectangle, and the memory that it lies in.

Values stay as they are stored, float16 in raw units, and NaN stays NaN (an unvoiced frame has no F0): the model
converts, normalises and masks on its own device.  Padding is 0 and marked invalid.  The memory is allocated once and
used again and again.  Cost: none for a batch of the same shape as the one before.

Shape legend: B batch rows, T frames, D feature columns.
"""

from typing import NamedTuple

import numpy as np
import torch

from accent.features.schema import N_COLUMNS
from shards.sampling.sampler import NO_SAMPLE

UNKNOWN_PHONE = -1
"""Phone of padding and of frames without an alignment."""


class Batch(NamedTuple):
    """What a loader yields: tensors only, so that any framework's device transfer understands it.

    A batch is valid until the next is requested, which may be read into the same memory; call `to` to keep it.

    In an invalid row `sample_B` is -1, the frames are 0, the labels are 0 (an index that exists), and only frame 0 is
    marked valid, so that a mean over frames divides by 1 and not by 0.  Weigh rows by `row_valid_B`.
    """

    frames_BTD: torch.Tensor
    """float16: features as stored, in raw units, NaN where undefined, 0 in padding."""
    valid_BT: torch.Tensor
    """bool: true where there is a real frame."""
    phones_BT: torch.Tensor
    """int16: phone numbers, -1 where unknown and in padding."""
    accent_B: torch.Tensor
    """int64: position in the loader's `accents`."""
    speaker_B: torch.Tensor
    """int64: position in the shard set's speakers."""
    prompt_B: torch.Tensor
    """int64: position in the shard set's prompts."""
    sample_B: torch.Tensor
    """int64: sample number in the shard set, -1 in an invalid row."""

    @property
    def row_valid_B(self) -> torch.Tensor:  # noqa: N802 (the shape legend)
        """Bool [B]: true for a real sample, false for a row that only fills the batch."""
        return self.sample_B >= 0

    def to(self, device: torch.device | str, non_blocking: bool = False) -> "Batch":
        """Return a copy on a device, even if the batch is there already; it is valid for good.

        Args:
            device: where to.
            non_blocking: do not wait for the copy; helps when the batch is pinned and the device is a GPU.  The copy
                must then run on the current stream: the loader waits for that stream before it reads the next batch
                into the same memory.

        Returns:
            A batch of the same tensors on `device`.
        """
        return Batch(*(tensor.to(device, non_blocking=non_blocking, copy=True) for tensor in self))


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
