"""How the units follow one another and how long they last: a hidden Markov model measured on the training alignments.

A unit is followed only by units whose left context is its phone.  What follows what is counted and backed off, from
the unit to its phone and from there to the phones' frequencies, so that a text of other words is possible as well.
Where all speakers read one text, these counts come close to knowing it; `scale` = 0 leaves frequencies only.

Cost: one pass over the alignments; to use it, `accent.model.phonetic.forward_backward`.

Shapes: B batch rows, T frames, U units, S states, P phones, K arcs.
"""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from accent.features.phones import PHONES
from accent.model.phonetic.forward_backward import forward_backward
from accent.model.phonetic.inventory import SILENCE_NUMBER, STATES_PER_UNIT, Inventory, segments

BACK_OFF = 5.0
"""Weight of the phone's successors, in counts, against those of the unit itself."""
RAREST = 1e-3
"""Arcs less probable than this are left out, which makes the sums ten times faster."""
LIKELIHOOD_POWER = 0.5
"""Power of the network's likelihoods: neighbouring frames do not judge independently."""
PRIOR_POWER = 0.5
"""Power of the states' frequencies by which posteriors are divided to become likelihoods."""
FLOOR = 1e-6
"""Added to a posterior, so that no frame can make a path impossible."""


class UnitChain(NamedTuple):
    """The parameters, as float32 arrays that can be stored with a model."""

    transition_UU: np.ndarray
    """Probability of each unit after each."""
    stay_S: np.ndarray
    """Probability of one more frame in a state."""
    prior_S: np.ndarray
    """Share of the frames in each state."""
    initial_U: np.ndarray
    """Probability of beginning with each unit."""


def measure_chain(alignments: Iterable[np.ndarray], inventory: Inventory) -> UnitChain:
    """Count the chain's parameters.

    Args:
        alignments: phones [T] of every training utterance.
        inventory: the units.
    """
    units, phones = len(inventory), len(PHONES)
    follows_UU, entries_U, frames_U, initial_U = (
        np.zeros((units, units)), np.zeros(units), np.zeros(units), np.zeros(units),
    )  # fmt: skip
    state_S = np.zeros(inventory.n_states)
    for phones_T in alignments:
        found = segments(phones_T)
        unit_P = inventory.units(found)
        np.add.at(follows_UU, (unit_P[:-1], unit_P[1:]), 1)
        np.add.at(entries_U, unit_P, 1)
        np.add.at(frames_U, unit_P, found.length_P)
        initial_U[unit_P[0]] += 1
        state_S += np.bincount(inventory.states(phones_T), minlength=inventory.n_states)

    share_P = np.bincount(inventory.phone_U, entries_U, minlength=phones) / entries_U.sum()
    legal_PU = np.zeros((phones, units), bool)
    known = np.unique(inventory.phone_U)
    for left in known:
        for phone in known:
            if left != phone:
                legal_PU[left, inventory.unit_PP[left, phone]] = True
    share_PU = np.where(legal_PU, share_P[inventory.phone_U], 0.0)
    share_PU /= np.maximum(share_PU.sum(1, keepdims=True), 1e-9)
    after_PU = np.zeros((phones, units))
    np.add.at(after_PU, inventory.phone_U, follows_UU)
    after_PU = np.where(legal_PU, after_PU, 0.0) + share_PU
    after_PU /= np.maximum(after_PU.sum(1, keepdims=True), 1e-9)
    transition_UU = (follows_UU + BACK_OFF * after_PU[inventory.phone_U]) / (
        follows_UU.sum(1, keepdims=True) + BACK_OFF
    )

    third_U = np.maximum(frames_U / np.maximum(entries_U, 1) / STATES_PER_UNIT, 1.05)
    stay_U = np.where(entries_U > 0, np.clip(1 - 1 / third_U, 0.05, 0.95), 0.6)
    prior_S = (state_S + 10) / (state_S + 10).sum()
    first_U = np.where(inventory.left_U <= SILENCE_NUMBER, share_P[inventory.phone_U], 0.0)
    initial_U = initial_U + 0.5 * first_U
    initial_U /= initial_U.sum()
    parts = (transition_UU, np.repeat(stay_U, STATES_PER_UNIT), prior_S, initial_U)
    return UnitChain(*(part.astype(np.float32) for part in parts))


class Decoder:
    """A chain ready for use.

    Args:
        chain: the parameters.
    """

    def __init__(self, chain: UnitChain) -> None:
        transition_UU = np.where(chain.transition_UU < RAREST, 0.0, chain.transition_UU).astype(np.float64)
        target_K, self._source_K = np.nonzero(transition_UU.T)
        self._probability_K = transition_UU[self._source_K, target_K]
        self._first_arc_U = np.searchsorted(target_K, np.arange(len(transition_UU) + 1))
        self._stay_S = chain.stay_S.astype(np.float64)
        self._initial_U = chain.initial_U.astype(np.float64)
        self._weight_S = chain.prior_S.astype(np.float64) ** -PRIOR_POWER

    def smooth(self, posterior_TS: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return what is probable given the whole utterance.

        Args:
            posterior_TS: of the network, for each frame by itself.

        Returns:
            float32 [T, S], the probability of each state at each frame; float64 [T, U], the expected number of entries
            into each unit there.
        """
        # In place: new memory for each step costs more than the step.
        likelihood_TS = (posterior_TS + FLOOR) * self._weight_S
        likelihood_TS **= LIKELIHOOD_POWER
        occupancy_TS = np.empty(posterior_TS.shape, np.float32)
        entered_TU = np.empty((len(posterior_TS), len(self._initial_U)))
        forward_backward(
            likelihood_TS,
            self._stay_S,
            self._first_arc_U,
            self._source_K,
            self._probability_K,
            self._initial_U,
            occupancy_TS,
            entered_TU,
        )
        return occupancy_TS, entered_TU
