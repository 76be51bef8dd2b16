"""A batch: crops or whole utterances of unequal length in one rectangle.

Values stay as they are stored, float16 in raw units, and NaN stays NaN (an unvoiced frame has no F0): the model
converts, normalises and masks on its own device.  Padding is 0 and marked invalid.  Cost: none.

Shape legend: B batch rows, T frames, D feature columns.
"""

from typing import NamedTuple

import torch

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
