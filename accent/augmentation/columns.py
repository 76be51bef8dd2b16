"""What the perturbations know of the columns: which are frequencies or levels, and how MFCC follow from mel bands.

MFCC are the cosine transform of the 80 mel bands in dB, so whoever changes the bands makes the coefficients again, and
the two families keep telling the same.  A result must not depend on how many rows a process has, to the last bit, and
the order in which a sum is made does: so bands are rounded to 2^-10 dB and the transform to 2^-24, and every product
and sum of them is exact in float64, in any order and on any device.
Cost: one product with an 80 x 20 matrix.

Shapes: B batch rows, T frames, D columns, M mel bands.
"""

import functools

import numpy as np
import torch
from torch import Tensor

from accent.features.definitions import SILENT_DB
from accent.features.mel import cosine_transform
from accent.features.schema import N_MELS, N_MFCC, column_index, family_slices

MEL = family_slices()["mel"]
MFCC = family_slices()["mfcc"]
CHROMA = family_slices()["chroma"]
F0 = column_index("f0_hz")
FORMANTS = slice(column_index("f1_hz"), column_index("f4_hz") + 1)
BANDWIDTHS = slice(column_index("b1_hz"), column_index("b4_hz") + 1)
SHAPE_FREQUENCIES = (
    slice(column_index("centroid_hz"), column_index("rolloff_hz") + 1),
    slice(column_index("zero_crossing_rate"), column_index("zero_crossing_rate") + 1),
)
"""Of the spectrum's shape, what is stretched with it: centroid, bandwidth, roll-off; zero crossings."""
LEVELS = (column_index("rms_db"), column_index("intensity_db"))
FLOOR_DB = SILENT_DB
"""Where the decibels of the mel bands end: digital silence, which no gain lifts."""
MEL_STEPS = 2**10
"""Of a decibel, that mel bands are rounded to."""
MEAN_STEPS = 2**8
"""Of a decibel, that a mean level is rounded to."""


def with_mel(frames_BTD: Tensor, mel_BTM: Tensor) -> Tensor:
    """Return the frames with other mel bands, and the MFCC that follow from them.

    Args:
        frames_BTD: float32.
        mel_BTM: dB; raised to the floor where they are below it.
    """
    mel_BTM = rounded_db(mel_BTM.clamp(min=FLOOR_DB), MEL_STEPS)
    frames_BTD = frames_BTD.clone()
    frames_BTD[..., MEL] = mel_BTM
    frames_BTD[..., MFCC] = (mel_BTM.double() @ _transform(mel_BTM.device)).to(frames_BTD.dtype)
    return frames_BTD


def rounded_db(level_db: Tensor, steps: int) -> Tensor:
    """Return levels rounded to 1 / steps dB."""
    return (level_db * steps).round() / steps


def mean_over_time(values_BTC: Tensor, valid_BT: Tensor) -> Tensor:
    """Return the mean over the real frames with a value, in float64, `[B, C]`; 0 where there is none.

    Its last bits depend on the order of the sum; what is derived from it is to be rounded to `MEAN_STEPS`.
    """
    heard_BTC = values_BTC.isfinite() & valid_BT[..., None]
    return values_BTC.double().masked_fill(~heard_BTC, 0.0).sum(dim=1) / heard_BTC.sum(dim=1).clamp(min=1)


def shifted_mel(mel_BTM: Tensor, shift_db: Tensor) -> Tensor:
    """Return mel bands shifted by some dB; bands at the floor, where there is no sound, stay there."""
    return torch.where(mel_BTM <= FLOOR_DB, mel_BTM, mel_BTM + shift_db)


@functools.lru_cache(maxsize=16)
def _transform(device: torch.device) -> Tensor:
    """Return the cosine transform, float64 `[M, 20]`, on a device."""
    weights = np.round(cosine_transform(N_MFCC, N_MELS).T * 2.0**24) / 2.0**24
    return torch.as_tensor(weights, device=device)
