"""Another channel: a smooth random curve over the mel bands, the same in all frames of a row.

The curve is a sum of the first cosines over the bands, so it is a constant added to the first MFCC.  What is measured
on the unfiltered waveform (intensity, spectral tilt, H1-H2) is left as it is.
Cost: two passes over the mel bands and their cosine transform.

Shapes: B batch rows, T frames, D columns, M mel bands, K cosines.
"""

import math

import torch
from torch import Tensor

from accent.augmentation.columns import MEL, shifted_mel, with_mel
from accent.augmentation.keyed_uniform import uniform
from accent.features.schema import N_MELS

COSINES = 4
"""The fastest has two periods over the 80 bands: about one peak and one dip in 30 bands."""


def equalise(frames_BTD: Tensor, keys_B: Tensor, largest_db: float, chosen_B: Tensor) -> Tensor:
    """Add a curve, at most `largest_db` from 0, to the mel bands of the chosen rows.

    Args:
        frames_BTD: NaN where undefined.
        keys_B: keys of the rows.
        largest_db: bound of the curve.
        chosen_B: bool.
    """
    mel_BTM = frames_BTD[..., MEL]
    curve_BM = curves(keys_B, largest_db)
    changed_BTD = with_mel(frames_BTD, shifted_mel(mel_BTM, curve_BM[:, None]))
    return torch.where(chosen_B[:, None, None], changed_BTD, frames_BTD)


def curves(keys_B: Tensor, largest_db: float) -> Tensor:
    """Return the random curve of each row `[B, M]` in dB; its mean over the bands is 0."""
    weight_BK = (2 * uniform(keys_B, "equaliser", COSINES) - 1) * (largest_db / COSINES)
    band_M = torch.arange(N_MELS, device=keys_B.device) + 0.5
    order_K = torch.arange(1, COSINES + 1, device=keys_B.device)
    cosine_KM = torch.cos(math.pi / N_MELS * order_K[:, None] * band_M)
    # A sum of products and no matrix product: the same bits however many rows there are.
    return (weight_BK[:, :, None] * cosine_KM).sum(dim=1)
