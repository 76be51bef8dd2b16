"""A straight line through ordinates at equal steps that outliers do not pull: Theil's method on some of the pairs.

A fit is two exact medians.  Each is found without sorting or moving anything: values are counted below a threshold that
closes in on the median.  A count is one pass without branches, several values at a time, and ten of them are three
times as fast as partitioning.  (Kernels loop over positions: the compiler does not vectorise `for value in values_N`.)

Cost: 0.4 us for a median of 500 values, 0.8 us for a line through 500 points.

Shape legend: N values, P pairs of points (half of N).
"""

import numpy as np

from accent.features.kernels.compile import kernel

BRACKET_MARGIN = 1e-12
"""Share of mean and deviation by which the first bracket is widened, against rounding."""
BISECT_FROM_PASS = 8
"""After that many thresholds drawn towards the median, the bracket is halved: an end whatever the distribution."""


@kernel(reorder=True)
def count_below(values_N: np.ndarray, threshold: float) -> float:
    """Count the values below a threshold: 30 ns for 500 values.

    Args:
        values_N: any values.
        threshold: the threshold.
    """
    count = 0.0
    for position in range(len(values_N)):
        count += 1.0 if values_N[position] < threshold else 0.0
    return count


@kernel(reorder=True)
def sum_between(values_N: np.ndarray, lowest: float, below: float) -> float:
    """Add the values from `lowest` up to, but not at, `below`; of a single such value it is that value, exactly.

    Args:
        values_N: any values.  Cost: 40 ns for 500.
        lowest: the lowest value that counts.
        below: the first value that no longer counts.
    """
    total = 0.0
    for position in range(len(values_N)):
        value = values_N[position]
        total += value if (value >= lowest) & (value < below) else 0.0
    return total


@kernel(reorder=True)
def mean_and_deviation(values_N: np.ndarray) -> tuple[float, float]:
    """Return the mean and the standard deviation of some values: 80 ns for 500 values.

    Args:
        values_N: any values, at least one.
    """
    total = 0.0
    for position in range(len(values_N)):
        total += values_N[position]
    mean = total / len(values_N)
    squares = 0.0
    for position in range(len(values_N)):
        squares += (values_N[position] - mean) * (values_N[position] - mean)
    return mean, np.sqrt(squares / len(values_N))


@kernel
def middle_value(values_N: np.ndarray, rank: int, mean: float, deviation: float) -> float:
    """Return the value of a rank in the middle, exactly.

    A median lies within one standard deviation of the mean.  From that bracket on, thresholds are interpolated from the
    counts at its two ends until one value is left in it.

    Args:
        values_N: finite values.
        rank: N // 2, or N // 2 - 1 of an even number: how many values are smaller.
        mean: their mean.
        deviation: their standard deviation.

    Cost: about seven counts.
    """
    margin = deviation + BRACKET_MARGIN * (deviation + abs(mean))
    low, high = mean - margin, mean + margin
    below_low, below_high = count_below(values_N, low), count_below(values_N, high)
    passes = 0
    while below_high - below_low > 1:
        share = 0.5
        if passes < BISECT_FROM_PASS:
            share = min(max((rank + 0.5 - below_low) / (below_high - below_low), 0.01), 0.99)
        threshold = low + share * (high - low)
        passes += 1
        if threshold <= low or threshold >= high:
            # No number lies between the two: the values left are equal.
            return low
        below = count_below(values_N, threshold)
        if below <= rank:
            low, below_low = threshold, below
        else:
            high, below_high = threshold, below
    return sum_between(values_N, low, high)


@kernel
def median(values_N: np.ndarray) -> float:
    """Return the median; of an even number of values, the mean of the two in the middle.

    Args:
        values_N: at least one value.

    Returns:
        The exact median, or NaN where not all values are finite.

    Cost: 0.4 us for 500 values, twice that for an even number of them.
    """
    mean, deviation = mean_and_deviation(values_N)
    if not np.isfinite(deviation):
        return np.nan
    upper = middle_value(values_N, len(values_N) // 2, mean, deviation)
    if len(values_N) % 2 == 1:
        return upper
    return 0.5 * (middle_value(values_N, len(values_N) // 2 - 1, mean, deviation) + upper)


@kernel
def robust_line(ordinates_N: np.ndarray, rises_P: np.ndarray, residuals_N: np.ndarray) -> tuple[float, float]:
    """Fit a straight line to ordinates at 0, 1, 2 ... by the incomplete method of Theil.

    The slope is the median slope of the pairs (i, i + ceil(N / 2)), in which no point is used twice; of an odd number
    of points the one in the middle is in no pair.  The intercept is the median of what the slope leaves of all points.

    Args:
        ordinates_N: at least two ordinates.
        rises_P: `[N // 2]` working space.
        residuals_N: `[N]` working space.

    Returns:
        The slope for one step, and the ordinate at 0.

    Source: Theil (1950), A rank-invariant method of linear and polynomial regression analysis; "Robust" in Praat
    manual, "PowerCepstrum: Get peak prominence...".

    Cost: 0.8 us for 500 points.
    """
    distance = len(ordinates_N) - len(rises_P)
    for pair in range(len(rises_P)):
        rises_P[pair] = ordinates_N[pair + distance] - ordinates_N[pair]
    slope = median(rises_P) / distance
    for position in range(len(residuals_N)):
        residuals_N[position] = ordinates_N[position] - slope * position
    return slope, median(residuals_N)
