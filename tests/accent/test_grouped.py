"""Rows grouped by arrays are those grouped by a dictionary of lists, whatever the numbers."""

from collections import defaultdict

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from accent.grouped import Grouped, compact, stable_order

LABELS = st.lists(st.sampled_from([0, 1, 5, 65_535, 65_536, 70_001, 1 << 33, (1 << 33) + 1]), max_size=60)


@given(LABELS)
def test_the_order_is_that_of_a_stable_sort(labels):
    values_N = np.array(labels, np.int64)
    np.testing.assert_array_equal(stable_order(values_N), np.argsort(values_N, kind="stable"))
    narrow_N = (values_N % 60_000).astype("<u4")
    np.testing.assert_array_equal(stable_order(narrow_N), np.argsort(narrow_N, kind="stable"))


@given(LABELS)
def test_groups_are_those_of_a_dictionary_of_lists(labels):
    expected = defaultdict(list)
    for row, label in enumerate(labels):
        expected[label].append(3 * row)
    groups = Grouped(np.array(labels, np.int64), 3 * np.arange(len(labels)))
    assert list(groups) == sorted(expected) and len(groups) == len(expected)
    assert {label: rows.tolist() for label, rows in groups.items()} == expected
    assert groups.counts_G.tolist() == [len(expected[label]) for label in groups]


def test_a_group_that_is_not_there_is_told() -> None:
    groups = Grouped(np.array([2, 2, 9]))
    assert 5 not in groups and 10 not in groups and groups.get(0) is None
    with pytest.raises(KeyError):
        groups[3]


@given(st.lists(st.integers(-(1 << 40), 1 << 40), max_size=9))
def test_compact_numbers_are_the_same_numbers(numbers):
    assert compact(np.array(numbers, np.int64)).tolist() == numbers
