"""Puts Praat's analyses on our grid by padding.

Praat lays its frames symmetrically about the middle of the sound, floor((D - w) / dt) + 1 of them for a duration D, a
window w and a step dt.  Padding with a chosen number of zeros therefore puts frame k at exactly k x 10 ms.

With an even number of samples the frames fall half-way between two samples (half a sample before sample k x hop); with
an odd number they fall on the sample k x hop.  Pitch and harmonicity want the first, intensity the second: their own
windows then hold a whole number of samples about the centre.

Cost: a copy of the sound.

Shape legend: N samples, T frames.
"""

import math
from typing import Literal

import numpy as np
import parselmouth


def padded_sound(
    samples_N: np.ndarray, rate: int, hop: int, window_seconds: float, parity: Literal["odd", "even"]
) -> tuple[parselmouth.Sound, np.ndarray]:
    """Pad a sound so that Praat's frames fall on the grid.

    Args:
        samples_N: the sound.
        rate: its sampling rate in Hz.
        hop: samples between frames; `hop / rate` is the time step to ask Praat for.
        window_seconds: physical length of the analysis window: 3 / floor for pitch, 6.4 / floor for intensity,
            twice the effective length for formants, 2 x periods / floor for harmonicity.
        parity: whether the padded sound has an odd or an even number of samples.

    Returns:
        The padded sound, and `[T]` the seconds in it at which Praat puts frame k, T = N // hop + 1.
    """
    n_frames = len(samples_N) // hop + 1
    # A quarter of a step beyond the half window: rounding neither loses a frame nor wins one.
    left = math.ceil(window_seconds / 2 * rate) + hop // 4
    total = 2 * left + (n_frames - 1) * hop + (parity == "odd")
    padded_N = np.zeros(total)
    # A window much shorter than the step reaches none of the last samples; they are left out.
    reached = min(len(samples_N), total - left)
    padded_N[left : left + reached] = samples_N[:reached]
    centre_seconds = total / 2 / rate
    times_T = centre_seconds + (np.arange(n_frames) - (n_frames - 1) / 2) * (hop / rate)
    return parselmouth.Sound(padded_N, rate), times_T
