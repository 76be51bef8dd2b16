"""Masks of frames that are real, not padding."""

import torch
from torch import Tensor


def valid_frames(lengths: list[int], frames: int) -> Tensor:
    """Return bool [B, T]: row b is real up to `lengths[b]`."""
    return torch.arange(frames) < torch.tensor(lengths)[:, None]
