"""Which frames a model has to guess from their neighbours: stretches of time, keyed by the row.

A stretch begins at each frame with the same small probability, so stretches may touch and overlap; a row's stretches
depend only on its key, not on other rows or on padding.  Cost: one random number a frame.

Source: Baevski et al., "wav2vec 2.0", NeurIPS 2020, section 3.1, for stretches that begin anywhere.

Shapes: B batch rows, T frames.
"""

from torch import Tensor

from accent.augmentation.keyed_uniform import uniform


def hidden_frames(valid_BT: Tensor, keys_B: Tensor, share: float, length: int) -> Tensor:
    """Choose the frames to hide.

    Args:
        valid_BT: real frames.
        keys_B: of the rows, from `accent.augmentation.keyed_uniform.row_keys`.
        share: of the frames hidden, on average, but for the first `length` frames of a row, where it is less.
        length: frames of a stretch.

    Returns:
        bool `[B, T]`, false in padding.
    """
    frames = valid_BT.shape[1]
    begins = 1 - (1 - share) ** (1 / length)
    begun_BT = (uniform(keys_B, "hidden frames", frames) < begins).cumsum(1)
    before_BT = begun_BT.roll(length, 1) if length < frames else begun_BT.new_zeros(begun_BT.shape)
    before_BT[:, :length] = 0
    return (begun_BT > before_BT) & valid_BT
