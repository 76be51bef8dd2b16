"""JSON that any reader accepts: NaN and infinities become null, numpy scalars plain numbers.

Cost: one walk through the value and one encoding.
"""

import json
import math
from collections.abc import Mapping
from typing import Any

import numpy as np


def strict(value: Any) -> Any:
    """Return a copy that strict JSON can hold.

    Args:
        value: plain values, numpy scalars, mappings, lists and tuples, nested at will.

    Returns:
        The same with null in place of NaN and infinities, and plain numbers in place of numpy's.

    >>> strict({"hnr": float("nan"), "count": np.int64(3)})
    {'hnr': None, 'count': 3}
    """
    # The most frequent kinds first: a test for an abstract kind costs more than the rest of the work.
    kind = type(value)
    if kind is float:
        return value if math.isfinite(value) else None
    if value is None or kind is str or kind is int:
        return value
    if kind is dict or isinstance(value, Mapping):
        return {str(key): strict(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [strict(item) for item in value]
    if isinstance(value, np.generic):
        return strict(value.item())
    return strict(float(value)) if isinstance(value, float) else value


def to_json(value: Any, indent: int | None = None) -> bytes:
    """Return strict JSON in UTF-8, with the keys in the order given and a newline at the end.

    Args:
        value: as for `strict`.
        indent: spaces for each level; None writes one line.
    """
    separators = (",", ":") if indent is None else (",", ": ")
    text = json.dumps(strict(value), ensure_ascii=False, allow_nan=False, indent=indent, separators=separators)
    return text.encode() + b"\n"
