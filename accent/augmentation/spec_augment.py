"""SpecAugment: stretches of frames and ranges of mel bands that the model has to do without.

A masked frame is undefined in all columns, so that the normalisation puts the mean there and counts it nowhere; its
phone stays, which the context must tell.  A masked range of bands is set to its mean over the crop, and the MFCC
follow.  torchaudio's masks are not used: they draw from the global generator, whose numbers depend on the rank.

Source: Park et al., "SpecAugment: a simple data augmentation method for automatic speech recognition", Interspeech
2019.

Cost: one pass over the batch a kind of mask.

Shapes: B batch rows, T frames, D columns, M mel bands, K masks.
"""

import torch
from torch import Tensor

from accent.augmentation.columns import MEAN_STEPS, MEL, mean_over_time, rounded_db, with_mel
from accent.augmentation.keyed_uniform import uniform
from accent.features.schema import N_MELS

LARGEST_SHARE = 0.2
"""Of a row's frames in one mask."""


def mask_time(
    frames_BTD: Tensor, valid_BT: Tensor, keys_B: Tensor, masks: int, longest: int, chosen_B: Tensor
) -> Tensor:
    """Make stretches of frames undefined.

    Args:
        frames_BTD: NaN where undefined.
        valid_BT: real frames, the first ones of every row.
        keys_B: keys of the rows.
        masks: how many a row.
        longest: most frames of a mask.
        chosen_B: bool.
    """
    frames_B1 = valid_BT.sum(dim=1, keepdim=True)
    longest_B1 = (LARGEST_SHARE * frames_B1).floor().clamp(max=longest)
    masked_BT = _ranges(keys_B, "time masks", masks, longest_B1, frames_B1, frames_BTD.shape[1])
    masked_BT = masked_BT & valid_BT & chosen_B[:, None]
    return frames_BTD.masked_fill(masked_BT[..., None], torch.nan)


def mask_frequency(
    frames_BTD: Tensor, valid_BT: Tensor, keys_B: Tensor, masks: int, widest: int, chosen_B: Tensor
) -> Tensor:
    """Set ranges of mel bands to their mean over the row.

    Args:
        frames_BTD: NaN where undefined.
        valid_BT: real frames.
        keys_B: keys of the rows.
        masks: how many a row.
        widest: most bands of a mask.
        chosen_B: bool.
    """
    mel_BTM = frames_BTD[..., MEL]
    mean_BM = rounded_db(mean_over_time(mel_BTM, valid_BT), MEAN_STEPS).to(mel_BTM.dtype)
    bands_11 = torch.full((1, 1), N_MELS, device=keys_B.device)
    widest_11 = torch.full((1, 1), float(widest), device=keys_B.device)
    masked_BM = _ranges(keys_B, "frequency masks", masks, widest_11, bands_11, N_MELS)
    replaced_BTM = torch.where(masked_BM[:, None], mean_BM[:, None], mel_BTM)
    return torch.where(chosen_B[:, None, None], with_mel(frames_BTD, replaced_BTM), frames_BTD)


def _ranges(keys_B: Tensor, stream: str, masks: int, longest: Tensor, length: Tensor, size: int) -> Tensor:
    """Return where masks lie, bool `[B, size]`: each 0 to `longest` long, within `length`, all places alike."""
    drawn_B2K = uniform(keys_B, stream, 2 * masks).unflatten(1, (2, masks))
    long_BK = (drawn_B2K[:, 0] * (longest + 1)).floor()
    start_BK = (drawn_B2K[:, 1] * (length - long_BK + 1)).floor()
    place = torch.arange(size, device=keys_B.device)
    inside_BKS = (place >= start_BK[..., None]) & (place < (start_BK + long_BK)[..., None])
    return inside_BKS.any(dim=1)
