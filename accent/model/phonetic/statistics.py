"""What is remembered of speech: sums by state that add up, over utterances as over frames.

For every state the probability of being in it is summed over the frames, and so is each column of the frames times that
probability; for every unit the expected number of times it was said.  The sums of two utterances are the sum of their
sums, so one, two or twenty utterances of a speaker are embedded alike.

The columns of a frame are its realisation (normalised features and their slopes, 0 where undefined) and its confusion:
the logarithm of what a phone head believes of it by itself, phone by phone.  Where a speaker says one phone like
another, that shows in the second, whatever the voice.

Cost: S x D multiplications a frame.

Shapes: R rows (utterances or groups of them), T frames, S states, U = S / 3 units, D columns.
"""

from typing import NamedTuple

import torch
from torch import Tensor


class PhoneStatistics(NamedTuple):
    """Sums over one or more utterances, a row each; float32 or better."""

    count_RS: Tensor
    """Frames in each state."""
    sum_RSD: Tensor
    """Columns, summed over the frames in each state."""
    entered_RU: Tensor
    """How often each unit was said."""

    def grouped(self, weight_GR: Tensor) -> "PhoneStatistics":
        """Return sums over groups of rows.

        Args:
            weight_GR: how much of each row belongs to each group, usually 0 or 1.

        Returns:
            One row a group.
        """
        weight_GR = weight_GR.to(self.count_RS.dtype)
        sum_GSD = (weight_GR @ self.sum_RSD.flatten(1)).unflatten(1, self.sum_RSD.shape[1:])
        return PhoneStatistics(weight_GR @ self.count_RS, sum_GSD, weight_GR @ self.entered_RU)

    def to(self, device: torch.device | str) -> "PhoneStatistics":
        """Return the same on a device."""
        return PhoneStatistics(*(part.to(device) for part in self))


def sum_frames(occupancy_TS: Tensor, frames_TD: Tensor, entered_TU: Tensor) -> PhoneStatistics:
    """Return the statistics of one utterance, or of some of its frames, as one row.

    Args:
        occupancy_TS: probability of each state at each frame.
        frames_TD: columns of each frame.
        entered_TU: expected number of entries into each unit at each frame.

    >>> one = sum_frames(torch.eye(3), torch.tensor([[1.0], [2.0], [4.0]]), torch.ones(3, 1))
    >>> one.sum_RSD.squeeze().tolist()
    [1.0, 2.0, 4.0]
    """
    return PhoneStatistics(
        occupancy_TS.sum(0, keepdim=True), (occupancy_TS.T @ frames_TD).unsqueeze(0), entered_TU.sum(0, keepdim=True)
    )


def join(parts: list[PhoneStatistics]) -> PhoneStatistics:
    """Put rows one after the other."""
    return PhoneStatistics(*(torch.cat(column) for column in zip(*parts, strict=True)))
