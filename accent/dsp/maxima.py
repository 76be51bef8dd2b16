"""Maxima of an autocorrelation between whole lags.

Between whole lags an autocorrelation is interpolated by a sinc in a raised-cosine window; the weights of that sum are
tabulated at 32 phases, so that one value costs one short scalar product, and a maximum is the vertex of the parabola
through the three best phases: within 1e-4 of a lag of the true one.

Cost: 0.1 us for each refined maximum; most are ruled out before.

Shape legend: L lags with the mirrored ones in front, K candidates, P phases, D depths of interpolation.
"""

import functools

import numpy as np

from accent.dsp.compile import kernel

PHASES = 32
"""Steps between two whole lags at which the weights of the interpolation are tabulated."""
DEEPEST = 70
"""Whole lags on either side that interpolation reads, where the frame has as many: what Praat's heights agree with."""
TROUGH = 0.05
"""How deep a trough of the slow part of an autocorrelation its fast part may ride in: twice the deepest of noise."""
SLACK = 0.01
"""How far truncating the sinc and dividing by the window's autocorrelation may lift a maximum above its bound."""


@kernel
def positive_maxima(correlation_L: np.ndarray, shortest: int, longest: int, lag_K: np.ndarray) -> int:
    """List the whole lags where an autocorrelation is positive and has a maximum.

    A maximum is higher than the value at the lag before and no lower than that at the lag after.

    Args:
        correlation_L: a row of `normalised_autocorrelation`.
        shortest: the first lag looked at, at least 1.
        longest: the last one.
        lag_K: int64; the lags are written here.  It has room for all lags looked at.

    Returns:
        How many there are.

    Cost: 0.15 us for 210 lags.
    """
    count = 0
    before_L, at_L = correlation_L[DEEPEST + shortest - 1 :], correlation_L[DEEPEST + shortest :]
    behind_L = correlation_L[DEEPEST + shortest + 1 :]
    # Every lag is written down, and kept by counting it: no branch that the processor could foresee wrongly.
    for place in range(longest - shortest + 1):
        at = at_L[place]
        lag_K[count] = shortest + place
        count += (at > 0) & (at > before_L[place]) & (at >= behind_L[place])
    return count


@functools.cache
def interpolation_weights(shallowest: int = DEEPEST) -> np.ndarray:
    """Return the weights of the interpolation between whole lags.

    Close to the end of a frame's lags there are fewer than DEEPEST on the far side; both sides then read fewer.

    Args:
        shallowest: the fewest whole lags on either side that will be read.

    Returns:
        `[DEEPEST - shallowest + 1, PHASES + 1, 2 x DEEPEST]`: for depths from `shallowest` on and phases 0, 1/32 ... 1
        behind a whole lag, the weights of the lags from DEEPEST - 1 before it to DEEPEST behind it.

    Source: Boersma (1993), the sinc interpolation of the autocorrelation.
    """
    phase_P1 = np.arange(PHASES + 1)[:, None] / PHASES
    distance_PL = phase_P1 - np.arange(1 - DEEPEST, DEEPEST + 1)
    depth_D11 = np.arange(shallowest, DEEPEST + 1)[:, None, None]
    # On either side the raised cosine falls to 0 just beyond the last lag that is read.
    half_width_DPL = np.where(distance_PL >= 0, phase_P1, 1 - phase_P1) + depth_D11
    taper_DPL = 0.5 + 0.5 * np.cos(np.pi * np.minimum(np.abs(distance_PL) / half_width_DPL, 1))
    return np.ascontiguousarray(np.sinc(distance_PL) * taper_DPL)


@kernel(reorder=True)
def _value_at(correlation_L: np.ndarray, step: int, last_lag: int, weights_DPL: np.ndarray) -> float:
    """Return the autocorrelation at lag step / PHASES; 0.01 us."""
    lag = step // PHASES
    depth = min(DEEPEST, last_lag - lag) - DEEPEST + len(weights_DPL) - 1
    phase = step - lag * PHASES
    # The weights beyond the depth are 0.  A sum of fixed length, over slices that are indexed by its counter alone, is
    # four times as fast as one of as many terms as the depth needs.
    weight_L = weights_DPL[depth, phase]
    value_L = correlation_L[lag + 1 : lag + 1 + 2 * DEEPEST]
    value = 0.0
    for at in range(2 * DEEPEST):
        value += weight_L[at] * value_L[at]
    return value


@kernel
def refined_maximum(correlation_L: np.ndarray, lag: int, last_lag: int, weights_DPL: np.ndarray) -> tuple[float, float]:
    """Find the maximum of the autocorrelation between the two neighbours of a whole lag.

    Args:
        correlation_L: a row of `normalised_autocorrelation`.
        lag: a whole lag whose value is no less than its neighbours'.
        last_lag: the last lag that may be read: half a window less one, W // 2 - 1.
        weights_DPL: `interpolation_weights(shallowest)`, shallowest = min(DEEPEST, last_lag - (lag + 1)) or less.

    Returns:
        The lag of the maximum in samples, and its height.

    Source: Boersma (1993), the sinc interpolation of the autocorrelation.  Cost: 0.1 us.
    """
    centre, half = lag * PHASES, PHASES // 2
    before, at, behind = (
        correlation_L[DEEPEST + lag - 1],
        correlation_L[DEEPEST + lag],
        correlation_L[DEEPEST + lag + 1],
    )
    # There can be two maxima between the neighbours; half a lag tells them apart.
    half_before = _value_at(correlation_L, centre - half, last_lag, weights_DPL)
    half_behind = _value_at(correlation_L, centre + half, last_lag, weights_DPL)
    if half_before > max(at, half_behind):
        step = centre - half + round(half * vertex(before, half_before, at))
    elif half_behind > at:
        step = centre + half + round(half * vertex(at, half_behind, behind))
    else:
        step = centre + round(half * vertex(half_before, at, half_behind))
    at = _value_at(correlation_L, step, last_lag, weights_DPL)
    before = _value_at(correlation_L, step - 1, last_lag, weights_DPL)
    behind = _value_at(correlation_L, step + 1, last_lag, weights_DPL)
    while behind > at and step < centre + PHASES - 1:
        step += 1
        before, at = at, behind
        behind = _value_at(correlation_L, step + 1, last_lag, weights_DPL)
    while before > at and step > centre - PHASES + 1:
        step -= 1
        behind, at = at, before
        before = _value_at(correlation_L, step - 1, last_lag, weights_DPL)
    if max(before, behind) > at:
        return step / PHASES, at
    offset = vertex(before, at, behind)
    return (step + offset) / PHASES, at - 0.25 * (before - behind) * offset


@kernel
def may_reach(correlation_L: np.ndarray, lag: int, last_lag: int, weights_DPL: np.ndarray, height: float) -> bool:
    """Tell whether the maximum about a whole lag may be as high as `height`, cheaply.

    A maximum is at most a quarter of a lag away from a multiple of half a lag.  There a sinusoid at the Nyquist
    frequency has sunk to 0.71 of its height, and a slower sinusoid below it makes a small difference (TROUGH).

    Args:
        correlation_L: a row of `normalised_autocorrelation`.
        lag: a whole lag whose value is no less than its neighbours'.
        last_lag: the last lag that may be read.
        weights_DPL: `interpolation_weights`.
        height: the height in question.

    Cost: 0.02 us.
    """
    half_before = _value_at(correlation_L, lag * PHASES - PHASES // 2, last_lag, weights_DPL)
    half_behind = _value_at(correlation_L, lag * PHASES + PHASES // 2, last_lag, weights_DPL)
    return max(half_before, correlation_L[DEEPEST + lag], half_behind) + TROUGH >= 0.7 * height


@kernel
def highest_rise(correlation_L: np.ndarray, inverse_window: np.ndarray) -> float:
    """Return by how much the autocorrelation between two lags may lie above the higher of both.

    It bends by at most its spectrum's mean square angular frequency, which is at most pi^2 / 2 x (1 - r(1)), and the
    nearer lag is at most half a lag away; so it rises by at most pi^2 / 16 x (1 - r(1)).

    Args:
        correlation_L: a row of `normalised_autocorrelation`.
        inverse_window: of `inverse_window_correlation`.

    Returns:
        The rise before the division by the window's autocorrelation; `SLACK` comes on top of what it is afterwards.

    Source: 1 - cos(w) is at least 2 (w / pi)^2 up to the Nyquist frequency.  Cost: 5 ns.
    """
    return np.pi**2 / 16 * (1 - correlation_L[DEEPEST + 1] / inverse_window[1])


@kernel
def vertex(before: float, at: float, behind: float) -> float:
    """Return how far behind the middle one of three points, no lower than the others, their parabola is highest.

    In units of their distance, -0.5 to 0.5.
    """
    # Differences first: they are exact where the points are all but equal, so that only a level has no bend.
    bend = (before - at) + (behind - at)
    return 0.5 * (before - behind) / bend if bend < 0 else 0.0


@kernel
def interpolated(correlation_L: np.ndarray, lag: float, depth: int) -> float:
    """Return the autocorrelation at any lag, from `depth` whole lags on either side.

    Args:
        correlation_L: a row of `normalised_autocorrelation`.
        lag: in samples.
        depth: at most DEEPEST.

    Source: Boersma (1993), the sinc interpolation of the autocorrelation.  Cost: 0.2 us for a depth of 30.
    """
    whole = int(np.floor(lag))
    phase = lag - whole
    if phase == 0:
        return correlation_L[DEEPEST + whole]
    before = _one_side(correlation_L, whole, -1, phase, depth)
    return before + _one_side(correlation_L, whole + 1, 1, 1 - phase, depth)


@kernel
def _one_side(correlation_L: np.ndarray, nearest: int, direction: int, distance: float, depth: int) -> float:
    """Return the part of the interpolation from the lags on one side, the nearest of which is `distance` away."""
    angle = np.pi / (distance + depth)
    twice_cosine = 2 * np.cos(angle)
    # cos((n + 1) a) = 2 cos(a) cos(n a) - cos((n - 1) a), and the sine only changes its sign from lag to lag.
    cosine, cosine_before = np.cos(distance * angle), np.cos((distance - 1) * angle)
    sine = np.sin(np.pi * distance) / np.pi
    value = 0.0
    for number in range(depth):
        weight = sine / (distance + number) * (0.5 + 0.5 * cosine)
        value += weight * correlation_L[DEEPEST + nearest + direction * number]
        sine = -sine
        cosine, cosine_before = twice_cosine * cosine - cosine_before, cosine
    return value
