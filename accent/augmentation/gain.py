"""Level: mel bands, RMS and intensity of a row are shifted by the same number of decibels.

Mel bands and RMS are measured after the loudness was set; what is left to perturb there is the error of that setting.
Digital silence stays silent.
Cost: two passes over the level columns and one cosine transform.

Shapes: B batch rows, T frames, D columns.
"""

import torch
from torch import Tensor

from accent.augmentation.columns import FLOOR_DB, LEVELS, MEL, shifted_mel, with_mel
from accent.augmentation.keyed_uniform import uniform


def change_gain(frames_BTD: Tensor, keys_B: Tensor, largest_db: float, chosen_B: Tensor) -> Tensor:
    """Shift the levels of the chosen rows by up to `largest_db` either way.

    Args:
        frames_BTD: NaN where undefined.
        keys_B: keys of the rows.
        largest_db: bound of the shift.
        chosen_B: bool.
    """
    shift_B11 = ((2 * uniform(keys_B, "gain", 1) - 1) * largest_db)[:, None]
    changed_BTD = with_mel(frames_BTD, shifted_mel(frames_BTD[..., MEL], shift_B11))
    for column in LEVELS:
        level_BT = frames_BTD[..., column]
        changed_BTD[..., column] = torch.where(level_BT <= FLOOR_DB, level_BT, level_BT + shift_B11[..., 0])
    return torch.where(chosen_B[:, None, None], changed_BTD, frames_BTD)
