"""Forward-backward against every path written out, and the chain's counts."""

import itertools

import numpy as np
import pytest

from accent.features.phones import PHONES
from accent.model.phonetic.chain import FLOOR, LIKELIHOOD_POWER, PRIOR_POWER, RAREST, Decoder, measure_chain
from accent.model.phonetic.inventory import Inventory, build_inventory

A, B = PHONES.index("AA"), PHONES.index("B")


@pytest.fixture(scope="module")
def alignments() -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [np.repeat(rng.permutation([0, A, B]), rng.integers(3, 9, 3)) for _ in range(40)]


@pytest.fixture(scope="module")
def inventory(alignments) -> Inventory:
    return build_inventory(list(enumerate(alignments)))


def test_probabilities_sum_to_one(alignments, inventory):
    chain = measure_chain(alignments, inventory)
    np.testing.assert_allclose(chain.transition_UU.sum(1), 1, atol=1e-6)
    np.testing.assert_allclose([chain.prior_S.sum(), chain.initial_U.sum()], 1, atol=1e-6)
    assert ((chain.stay_S > 0) & (chain.stay_S < 1)).all()


def test_no_unit_follows_a_phone_that_is_not_its_left_context(alignments, inventory):
    chain = measure_chain(alignments, inventory)
    for before, after in itertools.product(range(len(inventory)), repeat=2):
        left = inventory.left_U[after]
        if left >= 0 and left != inventory.phone_U[before]:
            assert chain.transition_UU[before, after] == 0


def test_smoothing_is_the_sum_over_all_paths(alignments, inventory):
    chain = measure_chain(alignments, inventory)
    states, frames = inventory.n_states, 4
    posterior_TS = np.random.default_rng(1).dirichlet(np.ones(states), frames)
    weight_TS = ((posterior_TS + FLOOR) * chain.prior_S.astype(np.float64) ** -PRIOR_POWER) ** LIKELIHOOD_POWER
    expected_TS, expected_TU = np.zeros((frames, states)), np.zeros((frames, len(inventory)))
    for path in itertools.product(range(states), repeat=frames):
        probability, entered = _probability(path, weight_TS, chain)
        for t, state in enumerate(path):
            expected_TS[t, state] += probability
        for t, unit in entered:
            expected_TU[t, unit] += probability
    expected_TU /= expected_TS[0].sum()
    expected_TS /= expected_TS.sum(1, keepdims=True)
    occupancy_TS, entered_TU = Decoder(chain).smooth(posterior_TS)
    np.testing.assert_allclose(occupancy_TS, expected_TS, atol=1e-6)
    np.testing.assert_allclose(entered_TU, expected_TU, atol=1e-6)


def _probability(path, weight_TS, chain) -> tuple[float, list[tuple[int, int]]]:
    """Probability of one path, by definition, and the units it enters, each with its frame."""
    first = path[0]
    if first % 3:
        return 0.0, []
    probability, entered = float(chain.initial_U[first // 3]) * weight_TS[0, first], [(0, first // 3)]
    for t, (before, now) in enumerate(itertools.pairwise(path), start=1):
        stay = float(chain.stay_S[before])
        step = stay if now == before else 0.0
        if before % 3 < 2 and now == before + 1:
            step += 1 - stay
        if before % 3 == 2 and now % 3 == 0:
            move = float(chain.transition_UU[before // 3, now // 3])
            move = move if move >= RAREST else 0.0
            step += (1 - stay) * move
            entered.append((t, now // 3))
        probability *= step * weight_TS[t, now]
    return probability, entered


def test_certain_frames_stay_as_they_are(alignments, inventory):
    chain = measure_chain(alignments, inventory)
    state_T = inventory.states(np.array([0, 0, 0, A, A, A, A, B, B, B]))
    occupancy_TS, entered_TU = Decoder(chain).smooth(np.eye(inventory.n_states)[state_T])
    assert (occupancy_TS.argmax(1) == state_T).all()
    assert entered_TU.sum() == pytest.approx(3, abs=0.05)
