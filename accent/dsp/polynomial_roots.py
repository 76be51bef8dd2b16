"""All roots of many real polynomials at once, as the quadratic factors that hold two roots each.

A real polynomial of even degree is a product of real quadratics; a pair of conjugate roots, which is what a resonance
is, is one of them.  All factors are improved together by Newton's method on "the product of the factors is the
polynomial": the method of Durand and Kerner with quadratics in the place of single roots.  It needs no complex numbers
and a fifth of the multiplications, and finds two real roots as easily as a conjugate pair.

`SIDE_BY_SIDE` frames are computed together, so that one instruction serves several.  Each frame begins at the same
place and stops when it has converged, so its result does not depend on its neighbours.

The factors found are multiplied and compared with the polynomial; where they differ, LAPACK's eigenvalues of the
companion matrix take their place.  The number of rounds is bounded.

Cost: 0.3 us a polynomial of degree 10; 30 us where LAPACK is needed.

Shape legend: T polynomials (frames), D coefficients (the degree), K = D / 2 factors, B polynomials side by side.
"""

import numpy as np

from accent.dsp.compile import kernel

SIDE_BY_SIDE = 64
"""Polynomials that share the registers; all that belongs to them stays in the nearest cache."""
ATTEMPTS = ((0.3, 0.35, 14), (0.6, 0.2, 20))
"""Of each attempt: one factor begins with the roots +- this number (two frames of speech in three have two real
roots); a correction is shortened to this length (far from the answer Newton's steps are too long to be trusted); and
so many rounds are made.  Eight rounds are usual; 4 frames of speech in 1000 need the second attempt, 1 LAPACK."""
CONVERGED = 1e-10
"""A round that moves no coefficient of a factor by more than this leaves an error of rounding only (its square)."""
BACKWARD_ERROR = 1e-11
"""Largest difference between the product of the factors and the polynomial, relative to its largest coefficient."""
START_RADIUS = 0.95
"""All other factors begin with conjugate roots on this circle: resonances lie just within the unit circle."""


def quadratic_factors(coefficients_TD: np.ndarray) -> np.ndarray:
    """Factor the polynomials `z^D - c[0] z^(D-1) - ... - c[D-1]` into quadratics `z^2 + linear z + constant`.

    Args:
        coefficients_TD: float64, D even; one polynomial a row, as Burg's method leaves them.

    Returns:
        `[T, K, 2]`, the linear and the constant term of each factor, in no particular order; NaN where a coefficient
        is not finite.

    Source: Durand (1960), Solutions numeriques des equations algebriques; Kerner (1966), Ein Gesamtschrittverfahren zur
    Berechnung der Nullstellen von Polynomen; for LAPACK's way Press et al. (1992), Numerical recipes, 9.5.

    Cost per frame: 0.3 us for D = 10.
    """
    n_frames, degree = coefficients_TD.shape
    if degree == 0 or degree % 2:
        raise ValueError(f"the degree must be even: {degree}")
    coefficients_TD = np.ascontiguousarray(coefficients_TD, dtype=np.float64)
    factors_TK2 = np.full((n_frames, degree // 2, 2), np.nan)
    open_T = np.flatnonzero(np.isfinite(coefficients_TD).all(axis=1))
    for start_real, longest_step, rounds in ATTEMPTS:
        found_TK2, settled_T = improve_factors(coefficients_TD[open_T], start_real, longest_step, rounds)
        factors_TK2[open_T] = found_TK2
        open_T = open_T[~settled_T]
    for frame in open_T:
        factors_TK2[frame] = companion_factors(coefficients_TD[frame])
    return factors_TK2


def companion_factors(coefficients_D: np.ndarray) -> np.ndarray:
    """Factor one polynomial, finite, by the eigenvalues of its companion matrix; as `quadratic_factors`, `[K, 2]`.

    Cost: 30 us for D = 10.
    """
    degree = len(coefficients_D)
    companion_DD = np.eye(degree, k=-1)
    companion_DD[0] = coefficients_D
    roots_D = np.linalg.eigvals(companion_DD)
    above = roots_D[roots_D.imag > 0]
    # Real roots come in an even number, and any two of them make a factor.
    real = np.sort(roots_D[roots_D.imag == 0].real)
    first, second = real[0::2], real[1::2]
    return np.concatenate(
        [
            np.stack([-2 * above.real, np.abs(above) ** 2], axis=1),
            np.stack([-first - second, first * second], axis=1),
        ]
    )


@kernel(reorder=True)
def improve_factors(
    coefficients_TD: np.ndarray, start_real: float, longest_step: float, rounds: int
) -> tuple[np.ndarray, np.ndarray]:
    """Find the quadratic factors of each polynomial by rounds of Newton's method.

    In one round, factor i is corrected by (p mod q_i) / (product of the other factors mod q_i), a division in the ring
    of linear functions modulo q_i; the factors after it already see its correction.

    Args:
        coefficients_TD: float64 `[T, D]`.
        start_real: the first factor begins with the roots +- this, all others with conjugate roots on a circle.
        longest_step: longer corrections of a factor are shortened to this.
        rounds: how many are made at most.

    Returns:
        The factors, `[T, K, 2]`, and `[T]` bool, whether their product is the polynomial.

    Source: as `quadratic_factors`.

    Cost per frame: about 10 rounds of 4 D^2 multiplications and additions, several in one instruction: 0.3 us for
    D = 10.
    """
    n_frames, degree = coefficients_TD.shape
    n_factors = degree // 2
    factors_TK2 = np.empty((n_frames, n_factors, 2))
    settled_T = np.empty(n_frames, dtype=np.bool_)
    coefficients_DB = np.empty((degree, SIDE_BY_SIDE))
    linear_KB = np.empty((n_factors, SIDE_BY_SIDE))
    constant_KB = np.empty((n_factors, SIDE_BY_SIDE))
    moved_B = np.empty(SIDE_BY_SIDE)
    unsettled_B = np.empty(SIDE_BY_SIDE, dtype=np.bool_)
    # p mod q_i, and the product of the other factors mod q_i: one linear function of z each.
    rest_1_B = np.empty(SIDE_BY_SIDE)
    rest_0_B = np.empty(SIDE_BY_SIDE)
    others_1_B = np.empty(SIDE_BY_SIDE)
    others_0_B = np.empty(SIDE_BY_SIDE)
    product_D = np.empty(degree + 1)

    for start in range(0, n_frames, SIDE_BY_SIDE):
        n_here = min(SIDE_BY_SIDE, n_frames - start)
        for column in range(SIDE_BY_SIDE):
            # Places left over in the last block repeat its last polynomial.
            row = start + min(column, n_here - 1)
            for place in range(degree):
                coefficients_DB[place, column] = coefficients_TD[row, place]
            linear_KB[0, column] = 0.0
            constant_KB[0, column] = -start_real * start_real
            for factor in range(1, n_factors):
                linear_KB[factor, column] = -2 * START_RADIUS * np.cos(np.pi * (factor - 0.5) / (n_factors - 1))
                constant_KB[factor, column] = START_RADIUS**2
            unsettled_B[column] = True

        for _ in range(rounds):
            moved_B[:] = 0.0
            for factor in range(n_factors):
                linear_B = linear_KB[factor]
                constant_B = constant_KB[factor]
                # Horner's scheme modulo q_i, from z^D down.
                rest_1_B[:] = 0.0
                rest_0_B[:] = 1.0
                for place in range(degree):
                    coefficient_B = coefficients_DB[place]
                    for column in range(SIDE_BY_SIDE):
                        higher = rest_1_B[column]
                        rest_1_B[column] = rest_0_B[column] - linear_B[column] * higher
                        rest_0_B[column] = -coefficient_B[column] - constant_B[column] * higher
                others_1_B[:] = 0.0
                others_0_B[:] = 1.0
                for other in range(n_factors):
                    if other == factor:
                        continue
                    other_linear_B = linear_KB[other]
                    other_constant_B = constant_KB[other]
                    for column in range(SIDE_BY_SIDE):
                        slope = other_linear_B[column] - linear_B[column]
                        offset = other_constant_B[column] - constant_B[column]
                        square = others_1_B[column] * slope
                        others_1_B[column] = (
                            others_1_B[column] * offset + others_0_B[column] * slope - linear_B[column] * square
                        )
                        others_0_B[column] = others_0_B[column] * offset - constant_B[column] * square
                for column in range(SIDE_BY_SIDE):
                    # 1 / (a z + b) modulo the factor is (b - a linear - a z) / norm.
                    a = others_1_B[column]
                    conjugate = others_0_B[column] - linear_B[column] * a
                    norm = others_0_B[column] * conjugate + constant_B[column] * a * a
                    square = -rest_1_B[column] * a
                    step_1 = (rest_1_B[column] * conjugate - rest_0_B[column] * a - linear_B[column] * square) / norm
                    step_0 = (rest_0_B[column] * conjugate - constant_B[column] * square) / norm
                    length = abs(step_1) + abs(step_0)
                    share = min(1.0, longest_step / length)
                    linear_B[column] += share * step_1 if unsettled_B[column] else 0.0
                    constant_B[column] += share * step_0 if unsettled_B[column] else 0.0
                    moved_B[column] = max(moved_B[column], length)
            n_unsettled = 0
            for column in range(SIDE_BY_SIDE):
                # Comparisons with NaN are false: what has blown up is left to the check below.
                if not moved_B[column] > CONVERGED:
                    unsettled_B[column] = False
                elif unsettled_B[column]:
                    n_unsettled += 1
            if n_unsettled == 0:
                break

        for column in range(n_here):
            row = start + column
            for factor in range(n_factors):
                factors_TK2[row, factor, 0] = linear_KB[factor, column]
                factors_TK2[row, factor, 1] = constant_KB[factor, column]
            settled_T[row] = _is_product(coefficients_TD[row], factors_TK2[row], product_D)
    return factors_TK2, settled_T


@kernel(reorder=True)
def _is_product(coefficients_D: np.ndarray, factors_K2: np.ndarray, product_D: np.ndarray) -> bool:
    """Tell whether the product of the factors is the polynomial, to rounding; `product_D` is room for D + 1 numbers.

    Cost per frame: D^2 / 2 multiplications and additions.
    """
    n_factors = len(factors_K2)
    product_D[:] = 0.0
    product_D[0] = 1.0
    for factor in range(n_factors):
        linear, constant = factors_K2[factor, 0], factors_K2[factor, 1]
        for place in range(2 * factor + 2, 0, -1):
            product_D[place] += linear * product_D[place - 1]
            if place > 1:
                product_D[place] += constant * product_D[place - 2]
    allowed = BACKWARD_ERROR
    for place in range(2 * n_factors):
        allowed = max(allowed, BACKWARD_ERROR * abs(coefficients_D[place]))
    fits = True
    for place in range(2 * n_factors):
        # A comparison with NaN is false: what has blown up does not fit.
        fits = fits and abs(product_D[place + 1] + coefficients_D[place]) <= allowed
    return fits
