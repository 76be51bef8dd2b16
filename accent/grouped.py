"""Rows grouped by a number, such as samples by speaker: three arrays, however many rows and groups there are.

Cost: a pass of a radix sort for every 16 bits of the largest number, about 10 ns a row each; a group is a view of the
rows, made when it is asked for.

Shape legend: N rows, G groups.
"""

from collections.abc import Iterator, Mapping

import numpy as np


def stable_order(values_N: np.ndarray) -> np.ndarray:
    """Return the order that sorts numbers ascending; equal ones keep theirs.

    Args:
        values_N: integers [N], none below 0.

    Returns:
        int64 [N].

    >>> stable_order(np.array([70000, 1, 70000, 0])).tolist()
    [3, 1, 0, 2]
    """
    values_N = np.asarray(values_N)
    highest = int(values_N.max(initial=0))
    # numpy sorts 16 bits by their value, in linear time, and wider numbers by comparing.
    order_N = np.argsort((values_N & 0xFFFF).astype(np.uint16), kind="stable")
    for shift in range(16, highest.bit_length(), 16):
        digit_N = ((values_N >> values_N.dtype.type(shift)) & values_N.dtype.type(0xFFFF)).astype(np.uint16)
        order_N = order_N[np.argsort(digit_N[order_N], kind="stable")]
    return order_N


def compact(numbers_N: np.ndarray) -> np.ndarray:
    """Return integers as int32 where they fit, else as int64.

    >>> compact(np.array([5])).dtype, compact(np.array([1 << 40])).dtype
    (dtype('int32'), dtype('int64'))
    """
    numbers_N = np.asarray(numbers_N)
    fits = numbers_N.size == 0 or max(-int(numbers_N.min()), int(numbers_N.max())) < 1 << 31
    return numbers_N.astype(np.int32 if fits else np.int64)


class Grouped(Mapping[int, np.ndarray]):
    """Group number -> its rows, in the order they were given in; the numbers ascend.

    Args:
        labels_N: integers [N], none below 0: the group of each row.
        rows_N: what the rows are called, integers [N]; their positions if left out.

    >>> groups = Grouped(np.array([7, 3, 7]))
    >>> list(groups), groups[7].tolist()
    ([3, 7], [0, 2])
    """

    def __init__(self, labels_N: np.ndarray, rows_N: np.ndarray | None = None) -> None:
        order_N = stable_order(labels_N)
        labels_N = np.asarray(labels_N)[order_N]
        first_N = np.ones(len(labels_N), bool)
        np.not_equal(labels_N[1:], labels_N[:-1], out=first_N[1:])
        first_G = np.flatnonzero(first_N)
        self.keys_G = labels_N[first_G].astype(np.int64)
        """The groups' numbers, ascending."""
        self.starts_G = np.append(first_G, len(labels_N))
        """int64 [G + 1]: where each group's rows begin, and where the last one's end."""
        self.rows_N = compact(order_N if rows_N is None else np.asarray(rows_N)[order_N])
        """All rows, group after group."""

    def __getitem__(self, key: int) -> np.ndarray:
        at = int(np.searchsorted(self.keys_G, key))
        if at == len(self.keys_G) or self.keys_G[at] != key:
            raise KeyError(key)
        return self.rows_N[self.starts_G[at] : self.starts_G[at + 1]]

    def __iter__(self) -> Iterator[int]:
        return map(int, self.keys_G)

    def __len__(self) -> int:
        return len(self.keys_G)

    @property
    def counts_G(self) -> np.ndarray:  # noqa: N802 - G is the shape
        """Rows of each group."""
        return np.diff(self.starts_G)
