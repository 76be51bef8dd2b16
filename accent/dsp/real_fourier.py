"""Power spectra, autocorrelations and cosine transforms of real frames, eight frames at a time.

A real sequence of N points is transformed as a complex one of M = N / 2.

For power spectra the even samples are its real parts and the odd ones its imaginary parts; the two are told apart
afterwards.  For autocorrelations the spectrum is taken half a bin higher: there point m of the transform of
(x[n] - i x[n + M]) exp(-i pi n / N) is the spectrum at 2 m + 1/2 bins, and those are all, the others being their mirror
images.  The way back is the transform of M real powers, half as long again.

Frames that do not fill the last eight are joined by frames of zeros.

Cost of a frame of 1024 points: power spectrum 0.4 us with AVX-512, 0.7 us with AVX2; autocorrelation 0.6 and 1.0 us.

Shape legend: B frames, G groups of 8 frames, S samples of a frame, F frequencies (M + 1), L lags, rounded up to whole
eights.
"""

import functools

import numpy as np

from accent.dsp.compile import kernel
from accent.dsp.fourier import (
    POINT,
    SHORTEST,
    load_point,
    reversed_order,
    rotated,
    rotations,
    store_point,
    transform,
)
from accent.dsp.lanes import LANES, aligned_empty, load, load_rows, store, store_rows, transposed


def points_for(n_samples: int) -> int:
    """Return the points of the transform for this many real samples: a power of two that `transform` knows."""
    return max(4 * SHORTEST, 1 << (n_samples - 1).bit_length())


def power_spectra(frames_BS: np.ndarray, n_points: int) -> np.ndarray:
    """Return the squared magnitude of the spectra of frames.

    Args:
        frames_BS: float64, C order, at least one frame.
        n_points: of the transform, of `points_for`: so many samples of each frame are read.

    Returns:
        `[G, F, 8]`: frame number 8 g + l is lane l of group g.  What lies behind the last frame is of frames of zeros.

    Source: Cooley, Lewis & Welch (1970), The fast Fourier transform algorithm: programming considerations.
    """
    half = n_points // 2
    return _power_spectra(frames_BS, n_points, rotations(half), reversed_order(half), _unpacking(half))


def cosine_transforms(values_GF8: np.ndarray) -> np.ndarray:
    """Return the transform of even sequences: x[0] + 2 x[1] cos(...) + ... + x[M] cos(pi k), k = 0 ... M.

    Args:
        values_GF8: x[0 ... M] of each sequence, as of `power_spectra`; M a power of two.

    Returns:
        `[8 G, F]`, a row for each sequence.

    Source: the definition of the cosine transform of type 1; Cooley, Lewis & Welch (1970).
    """
    half = values_GF8.shape[1] - 1
    return _cosine_transforms(values_GF8, rotations(half), reversed_order(half), _unpacking(half))


def autocorrelations(frames_BS: np.ndarray, n_lags: int) -> np.ndarray:
    """Return the autocorrelation of frames.

    A lag that is not padded by as many zeros wraps round, with the opposite sign.

    Args:
        frames_BS: float64, C order, at least one frame; S of `points_for`.
        n_lags: lags wanted, from 0 on; at most M + 1.

    Returns:
        `[G, L, 8]`: frame number 8 g + l is lane l of group g.  What lies behind the last lag is 0.

    Source: the theorem of Wiener and Khinchin; Vernet (1971), Real signals fast Fourier transform: storage capacity
    and step number reduction by means of an odd discrete Fourier transform.
    """
    n_points = frames_BS.shape[1]
    half, quarter = n_points // 2, n_points // 4
    if n_lags > half + 1:
        raise ValueError(f"{n_lags} lags: a transform of {n_points} points has no more than {half + 1}")
    return _autocorrelations(
        frames_BS,
        _half_bin(n_points),
        rotations(half),
        reversed_order(half),
        rotations(quarter),
        *_lag_tables(n_points, n_lags),
    )


@functools.cache
def _unpacking(half: int) -> np.ndarray:
    """Return real and imaginary parts of exp(-i pi k / M), k = 0 ... M / 2, in turn."""
    return np.exp(-1j * np.pi * np.arange(half // 2 + 1) / half).view(np.float64)


@functools.cache
def _half_bin(n_points: int) -> np.ndarray:
    """Return cosine and sine of pi n / N, n = 0 ... M - 1, in turn."""
    return np.exp(1j * np.pi * np.arange(n_points // 2) / n_points).view(np.float64)


@functools.lru_cache(maxsize=16)
def _lag_tables(n_points: int, n_lags: int) -> tuple[np.ndarray, np.ndarray]:
    """Return how each lag follows from the transform of powers.

    With U the complex transform of M / 2 points of powers whose even ones are real and odd ones imaginary parts, lag l
    is a sum of Re U[k], Im U[k], Re U[M / 2 - k] and Im U[M / 2 - k], k = l or M - l, whichever is in range.

    Returns:
        `[lags, 2]` where `transform` leaves U[k] and U[M / 2 - k]; `[lags, 4]` weights.
    """
    half, quarter = n_points // 2, n_points // 4
    lag = np.arange(n_lags)
    place = np.minimum(lag, half - lag)
    turn = np.where(lag <= quarter, 1, -1) * np.pi * lag / n_points
    even, odd = np.exp(1j * turn), np.exp(1j * (turn + 4 * np.pi * place / n_points))
    weights = [even.real - odd.imag, even.imag + odd.real, even.real + odd.imag, odd.real - even.imag]
    order = reversed_order(quarter)
    return np.stack([order[place], order[quarter - place]], axis=1), np.stack(weights, axis=1) / n_points


@kernel
def _eight_frames(frames_BS: np.ndarray, first: int, spare_8S: np.ndarray) -> tuple[np.ndarray, int]:
    """Return an array and its element from which on eight frames follow each other, the last ones zeros if need be."""
    n_frames, n_samples = frames_BS.shape
    if first + LANES <= n_frames:
        return frames_BS, first * n_samples
    spare_8S[:] = 0.0
    for frame in range(first, n_frames):
        for sample in range(n_samples):
            spare_8S[frame - first, sample] = frames_BS[frame, sample]
    return spare_8S, 0


@kernel(reorder=True)
def _power_spectra(
    frames_BS: np.ndarray,
    n_points: int,
    rotation: np.ndarray,
    order: np.ndarray,
    unpacking: np.ndarray,
) -> np.ndarray:
    """Do what `power_spectra` says."""
    stride, half = frames_BS.shape[1], n_points // 2
    n_groups = (len(frames_BS) + LANES - 1) // LANES
    power_GF8 = aligned_empty(n_groups * (half + 1)).reshape(n_groups, half + 1, LANES)
    work = aligned_empty(n_points)
    spare_8S = np.empty((LANES, stride))
    for group in range(len(power_GF8)):
        frames, at = _eight_frames(frames_BS, group * LANES, spare_8S)
        for sample in range(0, n_points, LANES):
            store_rows(work, sample * LANES, LANES, transposed(load_rows(frames, at + sample, stride)))
        transform(work, half, rotation)
        lowest = group * (half + 1) * LANES
        for place in range(half // 2 + 1):
            a, b = POINT * order[place], POINT * order[half - place]
            a_re, a_im = load_point(work, a)
            b_re, b_im = load_point(work, b)
            even_re, even_im = a_re + b_re, a_im - b_im
            odd_re, odd_im = rotated(a_im + b_im, b_re - a_re, unpacking[2 * place], unpacking[2 * place + 1])
            re, im = even_re + odd_re, even_im + odd_im
            store(power_GF8, lowest + place * LANES, (re * re + im * im) * 0.25)
            re, im = even_re - odd_re, even_im - odd_im
            store(power_GF8, lowest + (half - place) * LANES, (re * re + im * im) * 0.25)
    return power_GF8


@kernel(reorder=True)
def _cosine_transforms(
    values_GF8: np.ndarray,
    rotation: np.ndarray,
    order: np.ndarray,
    unpacking: np.ndarray,
) -> np.ndarray:
    """Do what `cosine_transforms` says."""
    n_groups, n_values, _ = values_GF8.shape
    half = n_values - 1
    cosines_BF = np.empty((n_groups * LANES, n_values))
    cosines_F8 = aligned_empty(n_values).reshape(n_values, LANES)
    work = aligned_empty(2 * half)
    for group in range(len(values_GF8)):
        first = group * (half + 1) * LANES
        store(work, 0, load(values_GF8, first))
        store(work, half * LANES, load(values_GF8, first + half * LANES))
        for place in range(1, half):
            value = load(values_GF8, first + place * LANES)
            store(work, place * LANES, value)
            store(work, (2 * half - place) * LANES, value)
        transform(work, half, rotation)
        # The spectrum of an even sequence is real.
        for place in range(half // 2 + 1):
            a, b = POINT * order[place], POINT * order[half - place]
            a_re, a_im = load_point(work, a)
            b_re, b_im = load_point(work, b)
            even = a_re + b_re
            odd = (a_im + b_im) * unpacking[2 * place] - (b_re - a_re) * unpacking[2 * place + 1]
            store(cosines_F8, place * LANES, (even + odd) * 0.5)
            store(cosines_F8, (half - place) * LANES, (even - odd) * 0.5)
        lanes_to_rows(cosines_F8, cosines_BF[group * LANES : (group + 1) * LANES])
    return cosines_BF


@kernel(reorder=True)
def _autocorrelations(
    frames_BS: np.ndarray,
    half_bin: np.ndarray,
    rotation: np.ndarray,
    order: np.ndarray,
    rotation_back: np.ndarray,
    places: np.ndarray,
    weights: np.ndarray,
) -> np.ndarray:
    """Do what `autocorrelations` says."""
    n_points = frames_BS.shape[1]
    half, quarter = n_points // 2, n_points // 4
    n_groups, n_lags = (len(frames_BS) + LANES - 1) // LANES, (len(places) + LANES - 1) // LANES * LANES
    correlation_GL8 = aligned_empty(n_groups * n_lags).reshape(n_groups, n_lags, LANES)
    work, powers = aligned_empty(n_points), aligned_empty(half)
    spare_8S = np.empty((LANES, n_points))
    for group in range(len(correlation_GL8)):
        frames, at = _eight_frames(frames_BS, group * LANES, spare_8S)
        for sample in range(0, half, LANES):
            store_rows(work, sample * POINT, POINT, transposed(load_rows(frames, at + sample, n_points)))
            store_rows(work, sample * POINT + LANES, POINT, transposed(load_rows(frames, at + half + sample, n_points)))
        for sample in range(half):
            a = POINT * sample
            cosine, sine = half_bin[2 * sample], half_bin[2 * sample + 1]
            early, late = load_point(work, a)
            store_point(work, a, early * cosine - late * sine, early * -sine - late * cosine)
        transform(work, half, rotation)
        # In bit-reversed order the even powers are the first half, and in the order of half as many points.
        for place in range(quarter):
            a = POINT * order[2 * place]
            b = a + POINT * quarter
            a_re, a_im = load_point(work, a)
            b_re, b_im = load_point(work, b)
            store_point(powers, POINT * place, a_re * a_re + a_im * a_im, b_re * b_re + b_im * b_im)
        transform(powers, quarter, rotation_back)
        lag_zero = group * n_lags * LANES
        for lag in range(len(places)):
            a, b = POINT * places[lag, 0], POINT * places[lag, 1]
            a_re, a_im = load_point(powers, a)
            b_re, b_im = load_point(powers, b)
            from_a = a_re * weights[lag, 0] + a_im * weights[lag, 1]
            from_b = b_re * weights[lag, 2] + b_im * weights[lag, 3]
            store(correlation_GL8, lag_zero + lag * LANES, from_a + from_b)
        correlation_GL8[group, len(places) :] = 0.0
    return correlation_GL8


@kernel
def lanes_to_rows(values_F8: np.ndarray, rows_8F: np.ndarray) -> None:
    """Write the values of eight frames that lie side by side as eight rows.

    Args:
        values_F8: `[F, 8]`.
        rows_8F: `[8, F]`, written.

    Cost: 0.05 us a frame of 512 values.
    """
    n_values = len(values_F8)
    whole = n_values // LANES * LANES
    for place in range(0, whole, LANES):
        store_rows(rows_8F, place, n_values, transposed(load_rows(values_F8, place * LANES, LANES)))
    for place in range(whole, n_values):
        for lane in range(LANES):
            rows_8F[lane, place] = values_F8[place, lane]
