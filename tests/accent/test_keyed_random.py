"""Random numbers are functions of their keys; the values are part of what a run is and must never change."""

import numpy as np
import pytest

from accent.keyed_random import permutation, random_words


def test_the_words_are_philox_seeded_by_the_key_in_halves():
    generator = np.random.Philox(np.random.SeedSequence([7, 0, 1, 2**31]))
    np.testing.assert_array_equal(random_words(5, 7, 2**63 + 1), generator.random_raw(5))


def test_other_keys_give_other_words():
    keys = [(0, 0), (0, 1), (1, 0), (1, 1), (2**32, 0), (0, 2**32), (2**63, 0), (1, 2**32)]
    assert len({random_words(2, *key).tobytes() for key in keys}) == len(keys)


@pytest.mark.parametrize("size", [1, 2, 3, 100, 1025])
def test_a_permutation_holds_everything_once(size):
    assert sorted(permutation(size, 3, size).tolist()) == list(range(size))


def test_all_permutations_come_equally_often():
    counts = np.bincount([int(permutation(3, key) @ [9, 3, 1]) for key in range(6000)])
    counts = counts[counts > 0]
    assert len(counts) == 6
    # Six cells of 1,000: chi-squared with 5 degrees of freedom is below 25 but once in 7,000 times.
    assert ((counts - 1000) ** 2 / 1000).sum() < 25
