"""Nearest neighbours vote by closeness, in bounded memory; and many references are thinned."""

import sys
import tracemalloc

import numpy as np
import pytest

from accent.metrics.classification import classification_over_seeds, nearest_neighbours
from accent.metrics.estimate import unit_length

# The package has a function of that name, too.
MODULE = sys.modules[nearest_neighbours.__module__]


def embeddings(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    accent_N = generator.integers(0, 4, n)
    return (generator.standard_normal((n, 9)) + 0.5 * np.eye(4, 9)[accent_N]).astype(np.float32), accent_N + 3


@pytest.mark.parametrize("neighbours", [1, 10, 500])
def test_votes_are_those_counted_by_hand(neighbours: int) -> None:
    (training_ME, accent_M), (tested_NE, _) = embeddings(150, 0), embeddings(60, 1)
    # Some are heard again: at no distance, only they vote.
    tested_NE = np.concatenate([tested_NE, training_ME[:5]])
    told = nearest_neighbours(training_ME, accent_M, tested_NE, neighbours)
    reference_ME = unit_length(training_ME.astype(np.float64))
    for row, tested_E in enumerate(unit_length(tested_NE.astype(np.float64))):
        distance_M = 1 - reference_ME @ tested_E
        votes = dict.fromkeys(range(3, 7), 0.0)
        for place in np.argsort(distance_M)[:neighbours]:
            votes[int(accent_M[place])] += 1 / max(distance_M[place], 1e-9)
        assert told[row] == max(votes, key=votes.__getitem__)


def test_memory_does_not_grow_with_the_product_of_both_sides(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(MODULE, "BLOCK_BYTES", 1 << 20)
    (training_ME, accent_M), (tested_NE, _) = embeddings(2_000, 0), embeddings(2_000, 1)
    tracemalloc.start()
    nearest_neighbours(training_ME, accent_M, tested_NE)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    # All distances would take 32 MB.
    assert peak < 4e6


def test_of_many_references_some_are_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(MODULE, "MOST_REFERENCES", 400)
    (training_ME, accent_M), (tested_NE, accent_N) = embeddings(4_000, 0), embeddings(300, 1)
    right = (nearest_neighbours(training_ME, accent_M, tested_NE) == accent_N).mean()
    monkeypatch.undo()
    assert abs(right - (nearest_neighbours(training_ME, accent_M, tested_NE) == accent_N).mean()) < 0.1


def test_draws_scored_in_blocks_are_those_scored_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    generator = np.random.default_rng(0)
    counts_KSAA = generator.integers(0, 5, (2, 7, 3, 3))
    whole = classification_over_seeds(counts_KSAA)
    monkeypatch.setattr(MODULE, "BLOCK_BYTES", 8 * 9 * 100)
    blocks = classification_over_seeds(counts_KSAA)
    for name, figure in whole.items():
        np.testing.assert_array_equal(figure.draws_R, blocks[name].draws_R)
