"""The mel scale, and the cosine transform that turns mel bands into cepstral coefficients (MFCC).

Apart from the kernels, because augmentation warps bands and makes the coefficients again from them.
Cost: microseconds.
"""

import numpy as np

MEL_HZ_PER_STEP = 200 / 3
"""Slaney's mel scale is linear up to 1000 Hz, 15 steps of this width ..."""
MEL_LINEAR_TO_HZ = 1000.0
MEL_LOG_STEP = np.log(6.4) / 27
"""... and logarithmic above, 27 steps from 1000 to 6400 Hz."""


def mel_edges(n_bands: int, from_hz: float, to_hz: float) -> np.ndarray:
    """Return the frequencies in Hz, evenly spaced in mel, between which the bands' triangles rise and fall.

    Args:
        n_bands: number of bands.
        from_hz: lower edge of the first band.
        to_hz: upper edge of the last band.

    Returns:
        `[n_bands + 2]`; band d rises from edge d to its centre, edge d + 1, and falls to edge d + 2.
    """
    return _mel_to_hz(np.linspace(_hz_to_mel(from_hz), _hz_to_mel(to_hz), n_bands + 2))


def cosine_transform(n_coefficients: int, n_bands: int) -> np.ndarray:
    """Return the first rows of the orthonormal discrete cosine transform of type II: `[n_coefficients, n_bands]`.

    Source: Ahmed, Natarajan and Rao (1974); `scipy.fft.dct(type=2, norm="ortho")`.
    """
    order, band = np.arange(n_coefficients)[:, None], np.arange(n_bands)
    rows = np.sqrt(2 / n_bands) * np.cos(np.pi / n_bands * (band + 0.5) * order)
    rows[0] = np.sqrt(1 / n_bands)
    return rows


def _hz_to_mel(hz: float) -> float:
    linear_steps = MEL_LINEAR_TO_HZ / MEL_HZ_PER_STEP
    if hz < MEL_LINEAR_TO_HZ:
        return hz / MEL_HZ_PER_STEP
    return linear_steps + np.log(hz / MEL_LINEAR_TO_HZ) / MEL_LOG_STEP


def _mel_to_hz(mel_D: np.ndarray) -> np.ndarray:
    linear_steps = MEL_LINEAR_TO_HZ / MEL_HZ_PER_STEP
    logarithmic_D = MEL_LINEAR_TO_HZ * np.exp(MEL_LOG_STEP * (mel_D - linear_steps))
    return np.where(mel_D < linear_steps, mel_D * MEL_HZ_PER_STEP, logarithmic_D)
