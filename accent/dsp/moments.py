"""Moments: of a power spectrum (where its power lies, how far it spreads), and of columns with undefined values.

Cost: 5 ns a frequency; 0.4 ns a value of a column.

Shape legend: F frequencies from 0 to half the sampling rate, T frames, D columns.
"""

import math

import numpy as np

from accent.dsp.compile import kernel


@kernel
def moments_of_spectrum(
    spectrum_F: np.ndarray, n_samples: int, step_hz: float, lowest_hz: float
) -> tuple[float, float, float, float]:
    """Return centre of gravity (Hz), standard deviation (Hz), skewness and excess kurtosis of the power.

    The Hann window is applied here: in the spectrum it takes a quarter of either neighbour from half of each value.

    Args:
        spectrum_F: the Fourier transform of real samples, without a window, complex128.
        n_samples: how many there were.
        step_hz: distance of two frequencies.
        lowest_hz: frequencies below are left out.

    Returns:
        The four; NaN where there is no power, or all of it at one frequency.

    Source: Forrest, Weismer, Milenkovic & Dougall (1988), Statistical analysis of word-initial voiceless obstruents;
    the window as Harris (1978), On the use of windows for harmonic analysis with the discrete Fourier transform.
    """
    n_frequencies = len(spectrum_F)
    power_F = np.zeros(n_frequencies)
    total, centre = 0.0, 0.0
    for k in range(n_frequencies):
        if k * step_hz < lowest_hz:
            continue
        below = spectrum_F[k - 1] if k > 0 else spectrum_F[1].conjugate()
        above = spectrum_F[k + 1] if k < n_frequencies - 1 else spectrum_F[n_samples - n_frequencies].conjugate()
        weighted = 0.5 * spectrum_F[k] - 0.25 * (below + above)
        power_F[k] = weighted.real**2 + weighted.imag**2
        total += power_F[k]
        centre += power_F[k] * (k * step_hz)
    if total == 0:
        return math.nan, math.nan, math.nan, math.nan
    centre /= total
    second, third, fourth = 0.0, 0.0, 0.0
    for k in range(n_frequencies):
        distance = k * step_hz - centre
        share = power_F[k] / total * distance * distance
        second += share
        third += share * distance
        fourth += share * distance * distance
    if second == 0:
        return math.nan, math.nan, math.nan, math.nan
    return centre, math.sqrt(second), third / second**1.5, fourth / second**2 - 3


@kernel
def column_moments(values_TD: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return count and mean of each column's values, and the sum of their squared distances from the mean.

    Args:
        values_TD: float64, NaN where undefined; such values do not count.

    Returns:
        count `[D]`, mean `[D]` (0 for a column without values) and sum of squares `[D]`.

    Source: the two-pass algorithm, Chan, Golub & LeVeque (1983), Algorithms for computing the sample variance.
    Every column has sums of its own, so that wide registers need no other order of the frames: the result is the same
    on every processor.
    """
    n_frames, n_columns = values_TD.shape
    count_D, mean_D, squares_D = np.zeros(n_columns), np.zeros(n_columns), np.zeros(n_columns)
    for frame in range(n_frames):
        for column in range(n_columns):
            value = values_TD[frame, column]
            defined = value == value
            count_D[column] += 1.0 if defined else 0.0
            mean_D[column] += value if defined else 0.0
    for column in range(n_columns):
        mean_D[column] /= max(count_D[column], 1.0)
    for frame in range(n_frames):
        for column in range(n_columns):
            value = values_TD[frame, column]
            distance = value - mean_D[column] if value == value else 0.0
            squares_D[column] += distance * distance
    return count_D, mean_D, squares_D
