"""Numbers rounded to the digits that mean something, so that every kind of processor writes the same.

A compiler may sum in another order, or fuse multiplications, for each kind of processor: the last digits of a float64
differ.  Rounding hides that but for values that lie within such a difference of the edge between two roundings: with
differences of 1e-13 and six digits, one value in ten million.  Cost: two microseconds a number.
"""

import math
from typing import Any

DIGITS = 6
"""Significant digits that are kept: more than any measure of speech has."""
_SMALLEST = 1e-10
"""What is nearer to zero than this is rounding, and becomes zero."""


def rounded(value: Any) -> Any:
    """Return a copy with all floats rounded to `DIGITS` significant digits.

    Args:
        value: a number, text, mapping or list, nested at will; NaN and infinities stay.

    >>> rounded({"hnr": 12.345678901, "count": 1234567, "skewness": [-3e-17, 0.1 + 0.2]})
    {'hnr': 12.3457, 'count': 1234567, 'skewness': [0.0, 0.3]}
    """
    if isinstance(value, float):
        if not math.isfinite(value):
            return value
        return float(f"{value:.{DIGITS - 1}e}") if abs(value) >= _SMALLEST else 0.0
    if isinstance(value, dict):
        return {key: rounded(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [rounded(one) for one in value]
    return value
