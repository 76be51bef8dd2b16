"""Groups of utterances: every subset where there are few, distinct ones where there are many, of one speaker each."""

from collections import Counter
from itertools import combinations
from math import comb

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accent.metrics import RowGroups, mean_of_utterances, subsets_of_speakers
from accent.metrics import groups as groups_module
from accent.metrics.estimate import unit_length


@settings(deadline=None, max_examples=60)
@given(st.lists(st.integers(0, 4), min_size=1, max_size=40), st.integers(1, 6), st.integers(1, 20), st.integers(0, 3))
def test_subsets_are_distinct_of_one_speaker_and_as_many_as_there_are(speakers, size, most, seed):
    speaker_N = np.array(speakers)
    subsets = subsets_of_speakers(speaker_N, size, most, seed)
    assert len({tuple(rows) for rows in subsets}) == len(subsets)
    for rows in subsets:
        assert len(set(rows.tolist())) == size and (np.diff(rows) > 0).all()
        assert len(set(speaker_N[rows].tolist())) == 1
    drawn = Counter(int(speaker_N[rows[0]]) for rows in subsets)
    for speaker, count in Counter(speakers).items():
        every = comb(count, size)
        assert drawn[speaker] == (every if size == 1 else min(every, most))


def test_all_subsets_are_taken_where_there_are_few():
    subsets = subsets_of_speakers(np.zeros(6, dtype=int), 4)
    assert [tuple(rows) for rows in subsets] == list(combinations(range(6), 4))


def test_the_same_seed_draws_the_same_subsets():
    speaker_N = np.zeros(12, dtype=int)
    one, same, other = (subsets_of_speakers(speaker_N, 4, seed=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, same)
    assert not np.array_equal(one, other)


def test_a_group_is_the_mean_of_directions_and_of_logits():
    embedding_NE, logits_NA = np.array([[2.0, 0], [0, 5.0], [3.0, 4.0]]), np.array([[1.0, 3], [5.0, 1], [0, 0]])
    answer = mean_of_utterances(embedding_NE, logits_NA)([np.array([0, 1]), np.array([2])])
    np.testing.assert_allclose(answer.embedding_GE, [[0.5, 0.5], [0.6, 0.8]])
    np.testing.assert_allclose(answer.logits_GA, [[3, 2], [0, 0]])
    assert answer.logits_GA.sum() == pytest.approx(5)


@given(st.lists(st.integers(1, 20), min_size=1, max_size=12), st.integers(1, 30), st.integers(0, 99))
@settings(deadline=None, max_examples=60)
def test_groups_averaged_side_by_side_are_those_averaged_one_by_one_to_the_last_bit(sizes, at_once, seed):
    generator = np.random.default_rng(seed)
    embedding_NE, logits_NA = (generator.standard_normal((40, width)).astype(np.float32) for width in (17, 3))
    groups = [generator.choice(40, size, replace=False) for size in sizes]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(groups_module, "MOST_AT_ONCE", at_once)
        answer = mean_of_utterances(embedding_NE, logits_NA)(groups)
    for row, rows in enumerate(groups):
        np.testing.assert_array_equal(answer.embedding_GE[row], unit_length(embedding_NE)[rows].mean(0))
        np.testing.assert_array_equal(answer.logits_GA[row], logits_NA[rows].astype(np.float64).mean(0))


@given(st.lists(st.lists(st.integers(0, 9), min_size=1, max_size=5), min_size=1, max_size=6))
def test_groups_as_arrays_are_a_list_of_groups(lists):
    groups = RowGroups.of([np.array(one) for one in lists])
    assert [rows.tolist() for rows in groups] == lists == [rows.tolist() for rows in groups[:]]
    assert groups.counts_G.tolist() == list(map(len, lists))
    assert groups.first_G.tolist() == [one[0] for one in lists]
    assert [rows.tolist() for rows in RowGroups.joined([groups, groups])] == lists + lists
    assert [rows.tolist() for rows in groups.renamed(np.arange(10) + 5)] == [[r + 5 for r in one] for one in lists]
    with pytest.raises(IndexError):
        groups[len(lists)]
