"""Frames without sound: the same as looking at every sample of every window."""

import numpy as np
import pytest

from accent.dsp.silence import frames_without_change

HOP = 160


def by_brute_force(samples_N: np.ndarray, half: int, tolerance: float) -> np.ndarray:
    """Look at all differences within each window."""
    silent = []
    for centre in range(0, len(samples_N) + 1, HOP):
        window_N = samples_N[max(centre - half, 0) : centre + half + 1]
        # The last frame may be centred behind the last sample, out of its window's reach.
        silent.append(not (np.abs(np.diff(window_N)) > tolerance).any())
    return np.array(silent)


@pytest.mark.parametrize("half", [0, 1, 40, 79, 80, 81, 400, 1000, 100_000])
@pytest.mark.parametrize("seed", range(6))
def test_silent_frames_are_those_whose_window_holds_no_change(seed: int, half: int) -> None:
    rng = np.random.default_rng(seed)
    samples_N = np.zeros(int(rng.integers(1, 8000)))
    for _ in range(seed):
        start, length = rng.integers(0, len(samples_N)), rng.integers(1, 900)
        stretch_N = samples_N[start : start + length]
        stretch_N[:] = rng.choice([1e-9, 1.0]) * rng.standard_normal(len(stretch_N)) + rng.choice([0.0, 0.5])
    np.testing.assert_array_equal(
        frames_without_change(samples_N, HOP, half, 1e-7), by_brute_force(samples_N, half, 1e-7)
    )


def test_one_change_is_heard_by_the_frames_within_reach_only() -> None:
    samples_N = np.zeros(3200)
    samples_N[1600:] = 1.0
    silent_T = frames_without_change(samples_N, HOP, 200, 1e-7)
    assert np.flatnonzero(~silent_T).tolist() == [9, 10, 11]
