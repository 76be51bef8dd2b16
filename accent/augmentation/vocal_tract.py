"""Vocal tract length: the frequency axis of spectrum and formants is stretched, pitch stays.

A shorter vocal tract raises all formants by one factor.  The mel bands are read at the frequencies that the factor
moves onto theirs, the MFCC follow from the bands, and the formants move by the same map.  The map is Jaitly and
Hinton's: a straight line up to 4800 Hz, a steeper or flatter one from there to the end of the spectrum, which stays.

Source: Jaitly and Hinton, "Vocal tract length perturbation (VTLP) improves speech recognition", ICML workshop 2013.

Cost: one gather of the mel bands and their cosine transform.

Shapes: B batch rows, T frames, D columns, M mel bands.
"""

import functools

import torch
from torch import Tensor

from accent.augmentation.columns import BANDWIDTHS, FORMANTS, MEL, SHAPE_FREQUENCIES, with_mel
from accent.features.definitions import MEL_FROM_HZ, MEL_TO_HZ
from accent.features.mel import mel_edges
from accent.features.schema import N_MELS
from accent.grid import SAMPLE_RATE

STRAIGHT_TO_HZ = 4800.0
NYQUIST_HZ = SAMPLE_RATE / 2


def change_vocal_tract(frames_BTD: Tensor, factor_B: Tensor) -> Tensor:
    """Move formants and spectrum along the frequency axis.

    Args:
        frames_BTD: NaN where undefined.
        factor_B: 1.1 raises every formant below 4300 Hz by a tenth.
    """
    frames_BTD = stretch_spectrum(frames_BTD, factor_B)
    frames_BTD[..., FORMANTS] = warped(frames_BTD[..., FORMANTS], factor_B[:, None, None])
    frames_BTD[..., BANDWIDTHS] *= factor_B[:, None, None]
    return frames_BTD


def stretch_spectrum(frames_BTD: Tensor, factor_B: Tensor) -> Tensor:
    """Return a copy with mel bands, MFCC and the frequencies of the spectrum's shape moved, and nothing else.

    Args:
        frames_BTD: NaN where undefined.
        factor_B: 1.1 moves what is at 1000 Hz to 1100 Hz.
    """
    mel_BTM = frames_BTD[..., MEL]
    centres_M = _centres(frames_BTD.device)
    # The inverse of the map by a factor is the map by its inverse.
    place_BM = _bands_of(warped(centres_M, 1 / factor_B[:, None]), centres_M)
    below_BM = place_BM.floor().long().clamp(max=N_MELS - 2)
    share_BM = place_BM - below_BM
    index_BTM = below_BM[:, None].expand_as(mel_BTM)
    mel_BTM = torch.lerp(mel_BTM.gather(2, index_BTM), mel_BTM.gather(2, index_BTM + 1), share_BM[:, None])
    moved_BTD = with_mel(frames_BTD, mel_BTM)
    for columns in SHAPE_FREQUENCIES:
        moved_BTD[..., columns] *= factor_B[:, None, None]
    # Rows whose factor is 1 keep the very values they had, MFCC included.
    return torch.where((factor_B == 1)[:, None, None], frames_BTD, moved_BTD)


def warped(hz: Tensor, factor: Tensor) -> Tensor:
    """Return where frequencies of 0 to 8000 Hz go; the shapes broadcast."""
    lower = factor.clamp(max=1.0)
    knee, knee_to = STRAIGHT_TO_HZ * lower / factor, STRAIGHT_TO_HZ * lower
    above = NYQUIST_HZ - (NYQUIST_HZ - knee_to) / (NYQUIST_HZ - knee) * (NYQUIST_HZ - hz)
    # `where` keeps NaN, and what is above the spectrum is moved as its end is: not at all.
    return torch.where(hz <= knee, hz * factor, torch.where(hz < NYQUIST_HZ, above, hz))


def _bands_of(hz_BM: Tensor, centres_M: Tensor) -> Tensor:
    """Return the band, with a fraction, at which a frequency lies; the outermost for what is outside."""
    above_BM = torch.searchsorted(centres_M, hz_BM.contiguous()).clamp(1, N_MELS - 1)
    low_BM, high_BM = centres_M[above_BM - 1], centres_M[above_BM]
    return (above_BM - 1) + ((hz_BM - low_BM) / (high_BM - low_BM)).clamp(0.0, 1.0)


@functools.lru_cache(maxsize=16)
def _centres(device: torch.device) -> Tensor:
    """Return the centre frequency of every mel band."""
    return torch.as_tensor(mel_edges(N_MELS, MEL_FROM_HZ, MEL_TO_HZ)[1:-1], dtype=torch.float32, device=device)
