"""A batch with the columns' usual ranges, gaps and padding, for the tests of this room.

Shapes: B batch rows, T frames, D columns.
"""

import numpy as np
import scipy.fft
import torch

from accent.features.schema import COLUMNS, N_COLUMNS, N_MFCC, column_index, family_slices

MEL, MFCC, CHROMA = (family_slices()[name] for name in ("mel", "mfcc", "chroma"))
F0 = column_index("f0_hz")
FORMANTS = [column_index(f"f{number}_hz") for number in (1, 2, 3, 4)]
RANGES = {"mel": (-70, 10), "chroma": (0, 1), "hz": (100, 5000), "db": (-60, 60)}


def batch(rows: int = 8, long: int = 120, dtype: torch.dtype = torch.float16, seed: int = 0):
    """Return frames, validity and phones; the rows are of unequal length, the last one is only frame 0 of padding."""
    rng = np.random.default_rng(seed)
    frames_BTD = rng.uniform(0, 1, (rows, long, N_COLUMNS))
    for number, column in enumerate(COLUMNS):
        kind = "mel" if column.startswith("mel_") else "hz" if "hz" in column else "db" if "db" in column else "chroma"
        low, high = RANGES[kind]
        frames_BTD[..., number] = low + (high - low) * frames_BTD[..., number]
    # Speech is smooth over time.
    frames_BTD = np.apply_along_axis(lambda x: np.convolve(x, np.ones(9) / 9, mode="same"), 1, frames_BTD)
    frames_BTD[:, 20:25, MEL] = -100.0
    frames_BTD[..., CHROMA] /= frames_BTD[..., CHROMA].max(axis=-1, keepdims=True)
    frames_BTD = frames_BTD.astype(np.float16).astype(np.float64)
    frames_BTD[..., MFCC] = mfcc(frames_BTD[..., MEL])
    undefined_BT = rng.uniform(size=(rows, long)) < 0.3
    for column in (F0, *FORMANTS, column_index("hnr_db")):
        frames_BTD[..., column][undefined_BT] = np.nan
    frames_BTD[:, 20:25, CHROMA] = np.nan
    lengths_B = rng.integers(long // 2, long + 1, rows)
    lengths_B[0], lengths_B[-1] = long, 1
    valid_BT = np.arange(long) < lengths_B[:, None]
    frames_BTD[~valid_BT] = 0
    frames_BTD[-1] = 0
    phones_BT = np.where(valid_BT, rng.integers(0, 40, (rows, long // 10 + 1)).repeat(10, axis=1)[:, :long], -1)
    phones_BT[-1] = -1
    return (
        torch.tensor(frames_BTD).to(dtype),
        torch.tensor(valid_BT),
        torch.tensor(phones_BT, dtype=torch.int16),
    )


def mfcc(mel: np.ndarray) -> np.ndarray:
    """Return the coefficients that follow from bands, by scipy."""
    return scipy.fft.dct(mel, type=2, norm="ortho", axis=-1)[..., :N_MFCC]


def same(one: torch.Tensor, other: torch.Tensor) -> bool:
    """Tell whether two tensors are equal to the bit, NaN counted as equal."""
    return (
        one.dtype == other.dtype
        and torch.equal(one.isnan(), other.isnan())
        and torch.equal(one.nan_to_num(nan=0.0), other.nan_to_num(nan=0.0))
    )
