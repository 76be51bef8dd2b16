"""From what a network believes of each frame by itself to what is probable given the whole utterance.

The states of the phone units form a hidden Markov model: within a unit one third follows the other, and after the last
third comes a unit whose left context fits.  Forward-backward sums over all paths, so that a frame's probabilities stay
soft where two paths are equally good, and they say how often each unit was entered.

Cost: about T x (3 S + arcs) multiplications a direction; some milliseconds an utterance of four seconds.

Shapes: T frames, S states, U = S / 3 units, K arcs between units.

Source: Rabiner 1989, "A tutorial on hidden Markov models and selected applications in speech recognition".
"""

import numpy as np

from accent.dsp.compile import kernel

NO_SHARE = 1e-20
"""Probability of a state that counts as none."""


@kernel
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
    forward_TS = np.zeros((n_frames, n_states))
    total = 0.0
    for unit in range(n_units):
        forward_TS[0, 3 * unit] = initial_U[unit] * likelihood_TS[0, 3 * unit]
        total += forward_TS[0, 3 * unit]
    forward_TS[0] /= total
    for t in range(1, n_frames):
        total = 0.0
        for unit in range(n_units):
            entering = 0.0
            for arc in range(first_arc_U[unit], first_arc_U[unit + 1]):
                last = 3 * source_K[arc] + 2
                entering += forward_TS[t - 1, last] * (1.0 - stay_S[last]) * probability_K[arc]
            a = 3 * unit
            forward_TS[t, a] = (forward_TS[t - 1, a] * stay_S[a] + entering) * likelihood_TS[t, a]
            for k in (a + 1, a + 2):
                moved = forward_TS[t - 1, k - 1] * (1.0 - stay_S[k - 1])
                forward_TS[t, k] = (forward_TS[t - 1, k] * stay_S[k] + moved) * likelihood_TS[t, k]
            total += forward_TS[t, a] + forward_TS[t, a + 1] + forward_TS[t, a + 2]
        forward_TS[t] /= total

    entered_TU[:] = 0.0
    backward_S, ahead_S, leaving_U = np.ones(n_states), np.zeros(n_states), np.zeros(n_units)
    for t in range(n_frames - 1, -1, -1):
        total = 0.0
        for k in range(n_states):
            total += forward_TS[t, k] * backward_S[k]
        for k in range(n_states):
            share = forward_TS[t, k] * backward_S[k] / total
            # Numbers so small that float32 hardly holds them cost a processor a hundred times as much.
            occupancy_TS[t, k] = share if share > NO_SHARE else 0.0
        if t == 0:
            for unit in range(n_units):
                entered_TU[0, unit] = occupancy_TS[0, 3 * unit]
            break
        for k in range(n_states):
            ahead_S[k] = backward_S[k] * likelihood_TS[t, k]
        # What enters a unit at t is what its first state holds at t beyond what stayed there.
        for unit in range(n_units):
            a = 3 * unit
            if occupancy_TS[t, a] > 0.0:
                stayed = forward_TS[t - 1, a] * stay_S[a]
                entering = 0.0
                for arc in range(first_arc_U[unit], first_arc_U[unit + 1]):
                    last = 3 * source_K[arc] + 2
                    entering += forward_TS[t - 1, last] * (1.0 - stay_S[last]) * probability_K[arc]
                if stayed + entering > 0.0:
                    entered_TU[t, unit] = occupancy_TS[t, a] * entering / (stayed + entering)
        for unit in range(n_units):
            leaving_U[unit] = 0.0
        for unit in range(n_units):
            for arc in range(first_arc_U[unit], first_arc_U[unit + 1]):
                leaving_U[source_K[arc]] += probability_K[arc] * ahead_S[3 * unit]
        total = 0.0
        for unit in range(n_units):
            a = 3 * unit
            backward_S[a] = stay_S[a] * ahead_S[a] + (1.0 - stay_S[a]) * ahead_S[a + 1]
            backward_S[a + 1] = stay_S[a + 1] * ahead_S[a + 1] + (1.0 - stay_S[a + 1]) * ahead_S[a + 2]
            backward_S[a + 2] = stay_S[a + 2] * ahead_S[a + 2] + (1.0 - stay_S[a + 2]) * leaving_U[unit]
            total += backward_S[a] + backward_S[a + 1] + backward_S[a + 2]
        backward_S /= total
