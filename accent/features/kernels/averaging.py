"""Weights of a moving average whose width need not be a whole number of samples, as Praat smooths cepstrograms.

The samples are joined by straight lines and the average is the integral under them, divided by the width of what it
covers.  At either end the window is cut off.

Cost: 0.1 ms for the 500 quefrencies of a cepstrum.

Shape legend: N positions, K taps.
"""

import math

import numpy as np


def averaging_weights(n_positions: int, width: float, margin: float) -> np.ndarray:
    """Return what each sample about a position weighs in the average at that position.

    Args:
        n_positions: how many samples there are.
        width: width of the window in samples.  Below 2 nothing is averaged.
        margin: how far the sound or cepstrum reaches beyond its first and last sample, in samples; the value of the
            outermost sample continues there.

    Returns:
        `[N, K]`, K odd: the weight at position n of sample n + k - K // 2.  Rows sum to 1, and weigh nothing outside.

    Source: Praat manual, "PowerCepstrogram: Smooth..."; the cut at the ends and the limit of 2 by experiment.
    """
    if width < 2 or n_positions == 1:
        return np.ones((n_positions, 1))
    reach = min(math.ceil(width / 2 + 1) - 1, n_positions - 1)
    position_N1 = np.arange(n_positions, dtype=np.float64)[:, None]
    start_N1 = np.maximum(position_N1 - width / 2, -margin)
    end_N1 = np.minimum(position_N1 + width / 2, n_positions - 1 + margin)
    sample_NK = position_N1 + np.arange(-reach, reach + 1)
    covered_NK = _area_of_triangle(end_N1 - sample_NK) - _area_of_triangle(start_N1 - sample_NK)
    # Beyond the outermost samples their triangles go down, their values do not.
    covered_NK += (sample_NK == 0) * np.maximum(-start_N1, 0) ** 2 / 2
    covered_NK += (sample_NK == n_positions - 1) * np.maximum(end_N1 - (n_positions - 1), 0) ** 2 / 2
    covered_NK[(sample_NK < 0) | (sample_NK >= n_positions)] = 0
    return covered_NK / (end_N1 - start_N1)


def _area_of_triangle(upto: np.ndarray) -> np.ndarray:
    """Return the area, up to some place, of the triangle of height 1 from -1 to 1: a sample's share in the lines."""
    upto = np.clip(upto, -1, 1)
    return 0.5 + upto - 0.5 * upto * np.abs(upto)
