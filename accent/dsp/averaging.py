"""Weights of a moving average whose width need not be a whole number of samples, as Praat smooths cepstrograms.

The samples are joined by straight lines and the average is the integral under them, divided by the width of what it
covers.  At either end the window is cut off.

Cost: 0.01 ms for the 500 quefrencies of a cepstrum.

Shape legend: N positions, K taps.
"""

import math

import numpy as np

from accent.dsp.compile import kernel


@kernel
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
    weights_NK = np.zeros((n_positions, 2 * reach + 1))
    last = n_positions - 1
    for position in range(n_positions):
        start, end = max(position - width / 2, -margin), min(position + width / 2, last + margin)
        for sample in range(max(position - reach, 0), min(position + reach, last) + 1):
            covered = _area_of_triangle(end - sample) - _area_of_triangle(start - sample)
            # Beyond the outermost samples their triangles go down, their values do not.
            if sample == 0:
                covered += max(-start, 0.0) ** 2 / 2
            if sample == last:
                covered += max(end - last, 0.0) ** 2 / 2
            weights_NK[position, sample - position + reach] = covered / (end - start)
    return weights_NK


@kernel
def _area_of_triangle(upto: float) -> float:
    """Return the area, up to some place, of the triangle of height 1 from -1 to 1: a sample's share in the lines."""
    upto = min(max(upto, -1.0), 1.0)
    return 0.5 + upto - 0.5 * upto * abs(upto)
