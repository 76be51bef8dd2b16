"""From what a network believes of each frame by itself to what is probable given the whole utterance.

The states of the phone units form a hidden Markov model: within a unit one third follows the other, and after the last
third comes a unit whose left context fits.  Forward-backward sums over all paths, so that a frame's probabilities stay
soft where two paths are equally good, and they say how often each unit was entered.

Cost: about T x (3 S + arcs) multiplications a direction; five microseconds a frame with 223 units and 1,357 arcs.

Shapes: T frames, S states, U = S / 3 units, K arcs between units.

Source: Rabiner 1989, "A tutorial on hidden Markov models and selected applications in speech recognition".
"""

import numpy as np

from accent.dsp.compile import kernel

NO_SHARE = 1e-20
"""Probability of a state that counts as none."""


@kernel(reorder=True)
def forward_backward(
    likelihood_TS: np.ndarray,
    stay_S: np.ndarray,
    first_arc_U: np.ndarray,
    source_K: np.ndarray,
    probability_K: np.ndarray,
    initial_U: np.ndarray,
    occupancy_TS: np.ndarray,
    entered_TU: np.ndarray,
) -> None:
    """Compute the probability of each state at each frame, and of entering each unit there.

    Args:
        likelihood_TS: float64, of each frame in each state, up to a factor a frame; positive.
        stay_S: probability of staying in a state for another frame.
        first_arc_U: int64 [U + 1], where the arcs into each unit begin in the next two arrays.
        source_K: int64, unit that an arc comes from.
        probability_K: probability of the arc once its source ends.
        initial_U: probability of beginning with each unit.
        occupancy_TS: float32, filled: probability of each state; rows sum to 1.
        entered_TU: float64, filled: expected number of entries into each unit at each frame.
    """
    n_frames, n_states = likelihood_TS.shape
    n_units = n_states // 3
    move_S, moved_S = 1.0 - stay_S, np.empty(n_states)
    forward_TS = np.empty((n_frames, n_states))
    forward_TS[0] = 0.0
    for unit in range(n_units):
        forward_TS[0, 3 * unit] = initial_U[unit] * likelihood_TS[0, 3 * unit]
    _sum_to_one(forward_TS[0])
    for t in range(1, n_frames):
        # Loops over all states have no exceptions, so that they fill wide registers; the exceptions follow.
        before_S, now_S, likelihood_S, entering_U = forward_TS[t - 1], forward_TS[t], likelihood_TS[t], entered_TU[t]
        for k in range(n_states):
            now_S[k] = before_S[k] * move_S[k]
        for k in range(1, n_states):
            moved_S[k] = now_S[k - 1]
        for unit in range(n_units):
            entering = 0.0
            for arc in range(first_arc_U[unit], first_arc_U[unit + 1]):
                entering += now_S[3 * source_K[arc] + 2] * probability_K[arc]
            entering_U[unit] = entering
            moved_S[3 * unit] = entering
        for k in range(n_states):
            now_S[k] = (before_S[k] * stay_S[k] + moved_S[k]) * likelihood_S[k]
        _sum_to_one(now_S)

    backward_S, ahead_S, leaving_U = np.ones(n_states), np.empty(n_states), np.empty(n_units)
    for t in range(n_frames - 1, -1, -1):
        occupancy_S, forward_S, entering_U, total = occupancy_TS[t], forward_TS[t], entered_TU[t], 0.0
        for k in range(n_states):
            total += forward_S[k] * backward_S[k]
        scale = 1.0 / total
        for k in range(n_states):
            share = forward_S[k] * backward_S[k] * scale
            # Numbers so small that float32 hardly holds them cost a processor a hundred times as much.
            occupancy_S[k] = share if share > NO_SHARE else 0.0
        if t == 0:
            for unit in range(n_units):
                entering_U[unit] = occupancy_S[3 * unit]
            break
        # What enters a unit at t is what its first state holds at t beyond what stayed there.
        before_S, likelihood_S = forward_TS[t - 1], likelihood_TS[t]
        for unit in range(n_units):
            a = 3 * unit
            held = before_S[a] * stay_S[a] + entering_U[unit]
            entering_U[unit] = occupancy_S[a] * entering_U[unit] / held if held > 0.0 else 0.0
        for k in range(n_states):
            ahead_S[k] = backward_S[k] * likelihood_S[k]
        leaving_U[:] = 0.0
        for unit in range(n_units):
            ahead = ahead_S[3 * unit]
            for arc in range(first_arc_U[unit], first_arc_U[unit + 1]):
                leaving_U[source_K[arc]] += probability_K[arc] * ahead
        for k in range(n_states - 1):
            moved_S[k] = ahead_S[k + 1]
        for unit in range(n_units):
            moved_S[3 * unit + 2] = leaving_U[unit]
        for k in range(n_states):
            backward_S[k] = stay_S[k] * ahead_S[k] + move_S[k] * moved_S[k]
        _sum_to_one(backward_S)


@kernel(reorder=True)
def _sum_to_one(share_S: np.ndarray) -> None:
    total = 0.0
    for k in range(len(share_S)):
        total += share_S[k]
    scale = 1.0 / total
    for k in range(len(share_S)):
        share_S[k] *= scale
