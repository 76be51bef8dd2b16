"""A batch: crops or whole utterances of unequal length in one rectangle, with what is real marked as such.

Values stay in raw units and NaN stays NaN (an unvoiced frame has no F0): the model normalises and masks.  Padding is 0
and marked invalid.  Cost: one copy of the frames, float16 to float32.

Shape legend: B batch rows, T frames, D feature columns.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch

from shards.order import NO_SAMPLE

UNKNOWN_PHONE = -1
"""Phone of padding and of frames without an alignment."""


class Batch(NamedTuple):
    """What a loader yields: tensors only, so that any framework's device transfer understands it.

    In an invalid row `sample_B` is -1, the frames are 0, the labels are 0 (an index that exists), and only frame 0 is
    marked valid, so that a mean over frames divides by 1 and not by 0.  Weigh rows by `row_valid_B`.
    """

    frames_BTD: torch.Tensor
    """float32: features in raw units, NaN where undefined, 0 in padding."""
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
        """Return the batch on a device.

        Args:
            device: where to.
            non_blocking: do not wait for the copy; helps when the batch is pinned and the device is a GPU.

        Returns:
            A batch of the same tensors on `device`.
        """
        return Batch(*(tensor.to(device, non_blocking=non_blocking) for tensor in self))


@dataclass(frozen=True, eq=False)
class Sample:
    """One row before batching: a crop or a whole utterance as it lies in the shard, with its labels."""

    number: int
    """Sample number in the shard set."""
    accent: int
    """Position in the shard set's accents."""
    speaker: int
    """Position in the shard set's speakers."""
    prompt: int
    """Position in the shard set's prompts."""
    frames_TD: np.ndarray
    """float16 [T, D]: features in raw units, NaN where undefined."""
    phones_T: np.ndarray | None
    """int16 [T]: phone numbers; None where the corpus has no alignment."""


def collate(samples: Sequence[Sample | None], n_columns: int, n_frames: int | None = None) -> Batch:
    """Lay samples side by side, padded to one length.

    Args:
        samples: the rows in order; None makes an invalid row.
        n_columns: D, the number of feature columns.
        n_frames: T, the length of the batch; None takes the longest sample's (1 when there is none).

    Returns:
        The batch, on the CPU.

    Raises:
        ValueError: no rows, or a sample longer than `n_frames`.
    """
    if not samples:
        raise ValueError("a batch needs at least one row")
    longest = max((len(sample.frames_TD) for sample in samples if sample is not None), default=1)
    length = longest if n_frames is None else n_frames
    if longest > length:
        raise ValueError(f"a sample of {longest} frames does not fit into a batch of {length}")

    frames_BTD = np.zeros((len(samples), length, n_columns), np.float32)
    valid_BT = np.zeros((len(samples), length), bool)
    phones_BT = np.full((len(samples), length), UNKNOWN_PHONE, np.int16)
    labels_B4 = np.zeros((len(samples), 4), np.int64)
    for row, sample in enumerate(samples):
        if sample is None:
            valid_BT[row, 0] = True
            labels_B4[row, 3] = NO_SAMPLE
            continue
        end = len(sample.frames_TD)
        frames_BTD[row, :end] = sample.frames_TD
        valid_BT[row, :end] = True
        if sample.phones_T is not None:
            phones_BT[row, :end] = sample.phones_T
        labels_B4[row] = (sample.accent, sample.speaker, sample.prompt, sample.number)

    accent_B, speaker_B, prompt_B, sample_B = torch.from_numpy(np.ascontiguousarray(labels_B4.T))
    return Batch(
        frames_BTD=torch.from_numpy(frames_BTD),
        valid_BT=torch.from_numpy(valid_BT),
        phones_BT=torch.from_numpy(phones_BT),
        accent_B=accent_B,
        speaker_B=speaker_B,
        prompt_B=prompt_B,
        sample_B=sample_B,
    )
