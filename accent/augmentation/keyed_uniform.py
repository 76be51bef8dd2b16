"""Random numbers on the device, from a key and a counter: the same on every device and for every number of ranks.

A number is a hash of (seed, step, row of the global batch, stream, counter); nothing is drawn in sequence, so no
generator has a state to save.  All arithmetic is on 32-bit words held in int64, where no product overflows.
Cost: a dozen small operations on the device a call.

Source: Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011, for keys and counters; Wellons,
"Hash function prospector" (2018), for the mixing function `lowbias32` with its later, better constants.

Shapes: B batch rows, N numbers a row.
"""

import zlib
from typing import TypeVar

import torch
from torch import Tensor

_WORD = 0xFFFF_FFFF
_FIRST, _SECOND = 0x21F0_AAAD, 0xD35A_2D97 - (1 << 32)
"""Odd constants; the second is written as a negative number, so that its product with 32 bits fits into 64."""

Word = TypeVar("Word", int, Tensor)


def mix(word: Word) -> Word:
    """Return a 32-bit word, an integer or an int64 tensor, with every bit depending on all bits of the given one."""
    word = word ^ (word >> 16)
    word = (word * _FIRST) & _WORD
    word = word ^ (word >> 15)
    word = (word * _SECOND) & _WORD
    return word ^ (word >> 15)


def row_keys(seed: int, step: int, first_row: int, rows: int, device: torch.device) -> Tensor:
    """Return a key for every row of this process's part of the global batch.

    Args:
        seed: of the run, 0 or more.
        step: which batch, 0 or more.
        first_row: position of the first row in the global batch.
        rows: how many follow each other there.
        device: where.

    Returns:
        int64 `[B]`, 32-bit words.
    """
    key = 0
    for number in (seed, step):
        for word in (number & _WORD, number >> 32 & _WORD):
            key = mix((key + 0x9E37_79B9 & _WORD) ^ word)
    return mix(torch.arange(first_row, first_row + rows, device=device, dtype=torch.int64) ^ key)


def uniform(keys_B: Tensor, stream: str, count: int) -> Tensor:
    """Return uniform random numbers.

    Args:
        keys_B: what `row_keys` returned.
        stream: what they are for; other names give other numbers.
        count: how many a row.

    Returns:
        float32 `[B, N]`, multiples of 2^-24 in 0 <= u < 1.
    """
    counter_N = torch.arange(count, device=keys_B.device, dtype=torch.int64)
    stream_N = mix(counter_N ^ zlib.crc32(stream.encode()))
    words_BN = mix(mix(keys_B[:, None] ^ stream_N) ^ stream_N)
    return (words_BN >> 8).to(torch.float32) * 2.0**-24


def factors(keys_B: Tensor, stream: str, largest: float, chosen_B: Tensor) -> Tensor:
    """Return a factor between 1 / (1 + largest) and 1 + largest for each row; its logarithm is uniform.

    Args:
        keys_B: what `row_keys` returned.
        stream: what they are for.
        largest: how far from 1, above 0.
        chosen_B: bool; the factor of the other rows is exactly 1.
    """
    exponent_B = 2 * uniform(keys_B, stream, 1).squeeze(1) - 1
    factor_B = (1 + largest) ** exponent_B.double()
    return torch.where(chosen_B, factor_B, 1.0).float()
