"""Groups of utterances: every subset where there are few, distinct ones where there are many, of one speaker each."""

from collections import Counter
from itertools import combinations
from math import comb

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accent.metrics import mean_of_utterances, subsets_of_speakers


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
