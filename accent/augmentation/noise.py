"""Stationary noise: its mean power is added to the power of the mel bands, of RMS and of intensity.

The noise is between white and falling by 12 dB over the bands.  Only mean powers are added (speech and noise are
uncorrelated); what noise does to pitch, formants and voice quality is left out.
Cost: three passes over the mel bands and one cosine transform.

Shapes: B batch rows, T frames, D columns, M mel bands.
"""

import torch
from torch import Tensor

from accent.augmentation.columns import LEVELS, MEAN_STEPS, MEL, mean_over_time, rounded_db, with_mel
from accent.augmentation.keyed_uniform import uniform
from accent.features.schema import N_MELS

STEEPEST_DB = 12.0
"""How far the steepest noise falls from the first mel band to the last."""


def add_noise(
    frames_BTD: Tensor, valid_BT: Tensor, keys_B: Tensor, lowest_db: float, highest_db: float, chosen_B: Tensor
) -> Tensor:
    """Add noise to the chosen rows.

    Args:
        frames_BTD: NaN where undefined.
        valid_BT: real frames.
        keys_B: keys of the rows.
        lowest_db: signal-to-noise ratio of the loudest noise; uniform between the two.
        highest_db: that of the faintest.
        chosen_B: bool.
    """
    drawn_B2 = uniform(keys_B, "noise", 2)
    ratio_B1 = 10 ** (-(lowest_db + (highest_db - lowest_db) * drawn_B2[:, :1]) / 10)
    fall_M = torch.arange(N_MELS, device=keys_B.device) / (N_MELS - 1)
    shape_BM = 10 ** (-STEEPEST_DB / 10 * (drawn_B2[:, 1:] * fall_M).double())
    shape_BM = (shape_BM / shape_BM.mean(dim=1, keepdim=True)).float()
    power_BTM = 10 ** (frames_BTD[..., MEL] / 10)
    noise_BM = ratio_B1 * _mean_power(power_BTM.double().mean(dim=2, keepdim=True), valid_BT) * shape_BM
    noisy_BTD = with_mel(frames_BTD, 10 * torch.log10(power_BTM + noise_BM[:, None]))
    for column in LEVELS:
        power_BT1 = 10 ** (frames_BTD[..., column, None] / 10)
        noise_B1 = ratio_B1 * _mean_power(power_BT1, valid_BT)
        noisy_BTD[..., column] = 10 * torch.log10(power_BT1[..., 0] + noise_B1)
    return torch.where(chosen_B[:, None, None], noisy_BTD, frames_BTD)


def _mean_power(power_BT1: Tensor, valid_BT: Tensor) -> Tensor:
    """Return the mean power of each row `[B, 1]`; 0 for a row without any."""
    mean_B1 = mean_over_time(power_BT1, valid_BT)
    return (10 ** (rounded_db(10 * mean_B1.log10(), MEAN_STEPS) / 10)).float()
