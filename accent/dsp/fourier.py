"""The discrete Fourier transform of eight sequences side by side, one in each lane.

Libraries transform one frame after the other, or two in narrow registers.  Here element k of eight sequences is one
vector, so that each operation of the textbook's algorithm is one on full registers, without any shuffling.  The
transform is done in place by decimation in frequency, four ways at a time, which leaves the result in bit-reversed
order: readers look its rows up (`reversed_order`), which costs nothing, as a row is a line of the cache.

A real sequence of N points costs a complex transform of N / 2 (`accent.dsp.real_fourier`).

Cost: 0.24 us a sequence of 512 complex points with AVX-512, 0.4 us with AVX2.

Shape legend: M points.
"""

import functools

import numpy as np

from accent.dsp.compile import kernel
from accent.dsp.lanes import LANES, load, store

SHORTEST = 4
"""Points of the shortest transform."""
POINTS_IN_CACHE = 256
"""Points that are transformed to the end before the next ones begin: 32 KB."""
POINT = 2 * LANES
"""Numbers of one point: eight real parts, then eight imaginary ones."""
ROOT = float(np.sqrt(0.5))


@functools.cache
def rotations(n_points: int) -> np.ndarray:
    """Return what `transform` multiplies by, in the order in which it does.

    Args:
        n_points: M, a power of two, at least `SHORTEST`.

    Returns:
        For the stages of M, M / 4, M / 16 ... points, down to the last but one, and p = 0 ... points / 4 - 1: real and
        imaginary parts of exp(-2 pi i p k / points), k = 1, 2, 3.
    """
    if n_points < SHORTEST or n_points & (n_points - 1):
        raise ValueError(f"{n_points} points: not a power of two, or fewer than {SHORTEST}")
    stages = [np.empty(0)]
    while n_points > 8:
        turns = np.outer(np.arange(n_points // 4), np.arange(1, 4)) / n_points
        stages.append(np.exp(-2j * np.pi * turns).ravel().view(np.float64))
        n_points //= 4
    return np.concatenate(stages)


@functools.cache
def reversed_order(n_points: int) -> np.ndarray:
    """Return `[M + 1]` where `transform` leaves point k of its result; M, the same as 0, is the last."""
    order = np.zeros(1, dtype=np.int64)
    while len(order) < n_points:
        order = np.concatenate([2 * order, 2 * order + 1])
    return np.append(order, 0)


@kernel(reorder=True)
def transform(points: np.ndarray, n_points: int, rotation: np.ndarray) -> None:
    """Transform eight complex sequences in place.

    Args:
        points: M rows of real parts and imaginary parts in turn, `[M, 2, 8]` in any shape.
        n_points: M.
        rotation: `rotations(M)`.

    Source: Gentleman & Sande (1966), Fast Fourier transforms: for fun and profit, with radix 4.  Cost: see above.
    """
    length, first = n_points, 0
    while length > POINTS_IN_CACHE:
        _stage(points, 0, n_points, length, rotation, first)
        first += 6 * (length // 4)
        length //= 4
    for start in range(0, n_points, length):
        shorter, at = length, first
        while shorter > 8:
            _stage(points, start, length, shorter, rotation, at)
            at += 6 * (shorter // 4)
            shorter //= 4
        if shorter == 8:
            _last_eights(points, start, length)
        else:
            _last_fours(points, start, length)


@kernel
def load_point(points: np.ndarray, at: int) -> tuple[float, float]:
    """Return real and imaginary parts, eight each, of the point whose first number is `at`."""
    return load(points, at), load(points, at + LANES)


@kernel
def store_point(points: np.ndarray, at: int, re: float, im: float) -> None:
    """Write real and imaginary parts, eight each, of the point whose first number is `at`."""
    store(points, at, re)
    store(points, at + LANES, im)


@kernel(reorder=True)
def rotated(re: float, im: float, cosine: float, sine: float) -> tuple[float, float]:
    """Return the real and imaginary parts of eight complex numbers times cosine + i sine."""
    return re * cosine - im * sine, re * sine + im * cosine


@kernel(reorder=True)
def _stage(points: np.ndarray, start: int, n_points: int, length: int, rotation: np.ndarray, first: int) -> None:
    """Split each sequence of `length` points, of the `n_points` behind `start`, into four to be transformed apart.

    The four are of the result's points 0, 2, 1 and 3 modulo 4: bit-reversed.  Cost: 8.5 additions and multiplications a
    point.
    """
    quarter = length // 4
    for block in range(start, start + n_points, length):
        at = first
        for point in range(block, block + quarter):
            a, b = POINT * point, POINT * (point + quarter)
            c, d = POINT * (point + 2 * quarter), POINT * (point + 3 * quarter)
            a_re, a_im = load_point(points, a)
            b_re, b_im = load_point(points, b)
            c_re, c_im = load_point(points, c)
            d_re, d_im = load_point(points, d)
            even_re, even_im, odd_re, odd_im = a_re + c_re, a_im + c_im, b_re + d_re, b_im + d_im
            store_point(points, a, even_re + odd_re, even_im + odd_im)
            re, im = rotated(even_re - odd_re, even_im - odd_im, rotation[at + 2], rotation[at + 3])
            store_point(points, b, re, im)
            # The odd ones here are -i (b - d).
            even_re, even_im, odd_re, odd_im = a_re - c_re, a_im - c_im, b_im - d_im, d_re - b_re
            re, im = rotated(even_re + odd_re, even_im + odd_im, rotation[at], rotation[at + 1])
            store_point(points, c, re, im)
            re, im = rotated(even_re - odd_re, even_im - odd_im, rotation[at + 4], rotation[at + 5])
            store_point(points, d, re, im)
            at += 6


@kernel(reorder=True)
def _store_four(
    points: np.ndarray,
    at: int,
    a_re: float,
    a_im: float,
    b_re: float,
    b_im: float,
    c_re: float,
    c_im: float,
    d_re: float,
    d_im: float,
) -> None:
    """Transform four points a, b, c, d of eight sequences and write the result, bit-reversed, from number `at` on."""
    even_re, even_im, odd_re, odd_im = a_re + c_re, a_im + c_im, b_re + d_re, b_im + d_im
    store_point(points, at, even_re + odd_re, even_im + odd_im)
    store_point(points, at + POINT, even_re - odd_re, even_im - odd_im)
    even_re, even_im, odd_re, odd_im = a_re - c_re, a_im - c_im, b_im - d_im, d_re - b_re
    store_point(points, at + 2 * POINT, even_re + odd_re, even_im + odd_im)
    store_point(points, at + 3 * POINT, even_re - odd_re, even_im - odd_im)


@kernel(reorder=True)
def _last_fours(points: np.ndarray, start: int, n_points: int) -> None:
    """Transform each four of the `n_points` behind `start`: no rotations are left."""
    for at in range(POINT * start, POINT * (start + n_points), 4 * POINT):
        a_re, a_im = load_point(points, at)
        b_re, b_im = load_point(points, at + POINT)
        c_re, c_im = load_point(points, at + 2 * POINT)
        d_re, d_im = load_point(points, at + 3 * POINT)
        _store_four(points, at, a_re, a_im, b_re, b_im, c_re, c_im, d_re, d_im)


@kernel(reorder=True)
def _last_eights(points: np.ndarray, start: int, n_points: int) -> None:
    """Transform each eight of the `n_points` behind `start`: the rotations left are by eighths of a turn."""
    half = 4 * POINT
    for at in range(POINT * start, POINT * (start + n_points), 2 * half):
        a_re, a_im, e_re, e_im = _sum_and_difference(points, at, at + half)
        b_re, b_im, f_re, f_im = _sum_and_difference(points, at + POINT, at + half + POINT)
        c_re, c_im, g_re, g_im = _sum_and_difference(points, at + 2 * POINT, at + half + 2 * POINT)
        d_re, d_im, h_re, h_im = _sum_and_difference(points, at + 3 * POINT, at + half + 3 * POINT)
        _store_four(points, at, a_re, a_im, b_re, b_im, c_re, c_im, d_re, d_im)
        f_re, f_im = (f_re + f_im) * ROOT, (f_im - f_re) * ROOT
        h_re, h_im = (h_im - h_re) * ROOT, (h_re + h_im) * -ROOT
        _store_four(points, at + half, e_re, e_im, f_re, f_im, g_im, g_re * -1.0, h_re, h_im)


@kernel(reorder=True)
def _sum_and_difference(points: np.ndarray, first: int, second: int) -> tuple[float, float, float, float]:
    """Return the sum of two points and the first less the second, real and imaginary parts."""
    first_re, first_im = load_point(points, first)
    second_re, second_im = load_point(points, second)
    return first_re + second_re, first_im + second_im, first_re - second_re, first_im - second_im
