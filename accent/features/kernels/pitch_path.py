"""The best path through the pitch candidates of a recording.

Each frame offers an unvoiced candidate and some voiced ones, each with a strength; each step from frame to frame costs
something where voicing or pitch changes.  The path with the greatest sum is found by dynamic programming (Viterbi).

Cost: 0.1 us a frame where there are two or three candidates, 3 us where there are fifteen.

Shape legend: T frames, K candidates.
"""

import numpy as np

from accent.dsp.compile import kernel


@kernel
def candidate_strengths(
    count_T: np.ndarray,
    frequency_TK: np.ndarray,
    correlation_TK: np.ndarray,
    relative_peak_T: np.ndarray,
    silence_threshold: float,
    voicing_threshold: float,
    octave_cost: float,
    ceiling_hz: float,
) -> np.ndarray:
    """Return the strength of each candidate, `[T, K]`.

    Args:
        count_T: int64, candidates of each frame.
        frequency_TK: Hz, 0 for the unvoiced candidate.
        correlation_TK: autocorrelation at the candidate's period.
        relative_peak_T: the frame's peak as a share of the recording's.
        silence_threshold: relative peak below which frames tend to be unvoiced.
        voicing_threshold: strength of the unvoiced candidate of a loud frame.
        octave_cost: how much higher frequencies are favoured, for each octave.
        ceiling_hz: frequency at which a candidate is as strong as its autocorrelation.

    Source: Boersma (1993), where the octave cost is relative to the floor; relative to the ceiling it agrees with
    Praat.  Cost: 0.1 us a frame of speech.
    """
    strength_TK = np.zeros(frequency_TK.shape)
    for frame in range(len(frequency_TK)):
        quietness = 2 - relative_peak_T[frame] * (1 + voicing_threshold) / silence_threshold
        for candidate in range(count_T[frame]):
            frequency = frequency_TK[frame, candidate]
            if frequency > 0:
                above = np.log2(ceiling_hz / frequency)
                strength_TK[frame, candidate] = correlation_TK[frame, candidate] - octave_cost * above
            else:
                strength_TK[frame, candidate] = voicing_threshold + (quietness if quietness > 0 else 0.0)
    return strength_TK


@kernel
def best_path(
    count_T: np.ndarray,
    frequency_TK: np.ndarray,
    strength_TK: np.ndarray,
    octave_jump_cost: float,
    voiced_unvoiced_cost: float,
) -> np.ndarray:
    """Choose one candidate in each frame.

    Args:
        count_T: int64, candidates of each frame, at least 1.
        frequency_TK: Hz, 0 for the unvoiced candidate.
        strength_TK: strength of each candidate.
        octave_jump_cost: cost of a jump by an octave between voiced frames; in proportion for other intervals.
        voiced_unvoiced_cost: cost of a change between voiced and unvoiced.

    Returns:
        int64 `[T]`, the place of the chosen candidate.  Of equal paths the one through earlier candidates wins.

    Source: Boersma (1993), the cheapest path; Praat manual, "Sound: To Pitch (ac)...".  Both costs are those of a
    time step of 10 ms.
    """
    n_frames, most = frequency_TK.shape
    came_from_TK = np.zeros((n_frames, most), dtype=np.int64)
    total_K, next_total_K = np.zeros(most), np.zeros(most)
    octave_K, next_octave_K = np.zeros(most), np.zeros(most)
    for frame in range(n_frames):
        for candidate in range(count_T[frame]):
            frequency = frequency_TK[frame, candidate]
            voiced = frequency > 0
            octave = np.log2(frequency) if voiced else 0.0
            best, best_from = -np.inf, 0
            if frame == 0:
                best = 0.0
            else:
                for earlier in range(count_T[frame - 1]):
                    earlier_voiced = frequency_TK[frame - 1, earlier] > 0
                    if voiced != earlier_voiced:
                        cost = voiced_unvoiced_cost
                    elif voiced:
                        cost = octave_jump_cost * abs(octave - octave_K[earlier])
                    else:
                        cost = 0.0
                    if total_K[earlier] - cost > best:
                        best, best_from = total_K[earlier] - cost, earlier
            next_total_K[candidate] = best + strength_TK[frame, candidate]
            next_octave_K[candidate] = octave
            came_from_TK[frame, candidate] = best_from
        total_K, next_total_K = next_total_K, total_K
        octave_K, next_octave_K = next_octave_K, octave_K
    chosen_T = np.zeros(n_frames, dtype=np.int64)
    if n_frames == 0:
        return chosen_T
    chosen = 0
    for candidate in range(1, count_T[n_frames - 1]):
        if total_K[candidate] > total_K[chosen]:
            chosen = candidate
    for frame in range(n_frames - 1, -1, -1):
        chosen_T[frame] = chosen
        chosen = came_from_TK[frame, chosen]
    return chosen_T
