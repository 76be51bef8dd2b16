"""Tempo: the frame axis is resampled, so durations change and pitch and formants do not.  Speed: all of them change.

A sound that is played faster by a factor has everything that lies on the time axis shortened and everything that lies
on the frequency axis raised by it.  Of the spectrum that is so up to 4800 Hz; what is above is bent (`vocal_tract`).

Source: Ko et al., "Audio augmentation for speech recognition", Interspeech 2015.

Cost: two gathers of the batch for tempo; a warp of the mel bands besides for speed.

Shapes: B batch rows, T frames, D columns.
"""

import torch
from torch import Tensor

from accent.augmentation.columns import BANDWIDTHS, CHROMA, F0, FORMANTS
from accent.augmentation.vocal_tract import stretch_spectrum
from accent.features.schema import N_CHROMA

UNKNOWN_PHONE = -1
"""Phone of padding."""


def change_tempo(
    frames_BTD: Tensor, valid_BT: Tensor, phones_BT: Tensor, factor_B: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Resample the frame axis; the phones go with it.

    A value between two frames is interpolated where both are defined and the nearer one's, which may be undefined,
    elsewhere: a voiced stretch keeps its share of the time.  A row that becomes longer than the batch is cut at its
    end.

    Args:
        frames_BTD: NaN where undefined.
        valid_BT: real frames, the first ones of every row.
        phones_BT: phone of every frame.
        factor_B: 1.1 makes a row faster, ten elevenths as long.

    Returns:
        Frames, validity and phones, with as many frames T as before; padding is 0 and -1.
    """
    n_frames = frames_BTD.shape[1]
    last_B1 = valid_BT.sum(dim=1, keepdim=True) - 1
    place_BT = torch.arange(n_frames, device=frames_BTD.device) * factor_B[:, None]
    # A place that rounding puts just behind the last frame is the last frame.
    valid_BT = place_BT <= last_B1 + 1e-4
    below_BT = place_BT.floor().long().clamp(max=last_B1)
    above_BT = (below_BT + 1).clamp(max=last_B1)
    share_BT = (place_BT - below_BT).clamp(max=1.0)
    nearest_BT = torch.where(share_BT < 0.5, below_BT, above_BT)
    below_BTD, above_BTD = _rows(frames_BTD, below_BT), _rows(frames_BTD, above_BT)
    mixed_BTD = torch.lerp(below_BTD, above_BTD, share_BT[..., None].to(frames_BTD.dtype))
    nearest_BTD = torch.where(share_BT[..., None] < 0.5, below_BTD, above_BTD)
    resampled_BTD = torch.where(mixed_BTD.isfinite(), mixed_BTD, nearest_BTD)
    return (
        resampled_BTD.masked_fill(~valid_BT[..., None], 0.0),
        valid_BT,
        phones_BT.gather(1, nearest_BT).masked_fill(~valid_BT, UNKNOWN_PHONE),
    )


def raise_frequencies(frames_BTD: Tensor, factor_B: Tensor) -> Tensor:
    """Multiply every frequency: F0, formants and their bandwidths, the spectrum, and the pitch classes with F0.

    Args:
        frames_BTD: NaN where undefined.
        factor_B: 1.1 raises by a tenth.
    """
    frames_BTD = stretch_spectrum(frames_BTD, factor_B)
    for columns in (slice(F0, F0 + 1), FORMANTS, BANDWIDTHS):
        frames_BTD[..., columns] *= factor_B[:, None, None]
    frames_BTD[..., CHROMA] = _turned(frames_BTD[..., CHROMA], 12 * torch.log2(factor_B))
    return frames_BTD


def _turned(chroma_BTP: Tensor, semitones_B: Tensor) -> Tensor:
    """Turn the circle of pitch classes, between two classes by interpolation; the strongest class stays 1.

    Silent frames, undefined or 0, stay what they are.
    """
    whole_B = semitones_B.floor()
    share_B11 = (semitones_B - whole_B)[:, None, None]
    classes_P = torch.arange(N_CHROMA, device=chroma_BTP.device)
    from_BP = (classes_P - whole_B[:, None].long()) % N_CHROMA
    index_BTP = from_BP[:, None].expand_as(chroma_BTP)
    turned_BTP = chroma_BTP.gather(2, index_BTP)
    turned_BTP = torch.lerp(turned_BTP, turned_BTP.roll(1, dims=2), share_B11)
    strongest_BT1 = turned_BTP.amax(dim=2, keepdim=True)
    # Exactly the values there were where nothing is turned.
    kept_B11 = (semitones_B == 0)[:, None, None]
    return torch.where(kept_B11, chroma_BTP, turned_BTP / torch.where(strongest_BT1 > 0, strongest_BT1, 1.0))


def _rows(frames_BTD: Tensor, index_BT: Tensor) -> Tensor:
    return frames_BTD.gather(1, index_BT[..., None].expand_as(frames_BTD))
