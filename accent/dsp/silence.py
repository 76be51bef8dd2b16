"""Which frames hold no sound: a frame is silent if nothing changes within its window.

Cost: some nanoseconds a frame of speech; in silence, one look at each sample.

Shape legend: N samples, T frames.
"""

import math

import numpy as np

from accent.dsp.compile import kernel
from accent.grid import HOP, SAMPLE_RATE

NO_SOUND = 1e-7
"""Share of the recording's peak (-140 dB) up to which a change between two samples is rounding, not a quiet sound."""


@kernel
def frames_without_change(samples_N: np.ndarray, hop: int, half: int, tolerance: float) -> np.ndarray:
    """Tell the frames within whose window no two neighbouring samples differ by more than a tolerance: `[T]` bool.

    Args:
        samples_N: the sound, float64.  What lies outside it does not count.
        hop: samples from one frame's centre to the next; the first is at sample 0.
        half: a window reaches from so many samples before its centre to so many behind it.
        tolerance: the largest difference that counts as none.
    """
    n_samples = len(samples_N)
    n_frames = n_samples // hop + 1
    silent_T = np.empty(n_frames, dtype=np.bool_)
    # The last sample so far that differs from the one before it; each frame looks backwards, as far as none has looked.
    changed, looked_at = -1, 0
    for frame in range(n_frames):
        first = min(max(frame * hop - half, 0), n_samples - 1)
        last = min(frame * hop + half, n_samples - 1)
        for sample in range(last, max(looked_at, first), -1):
            if abs(samples_N[sample] - samples_N[sample - 1]) > tolerance:
                changed = sample
                break
        looked_at = max(looked_at, last)
        silent_T[frame] = changed <= first
    return silent_T


def without_sound(samples_N: np.ndarray, window_seconds: float) -> np.ndarray:
    """Tell the frames whose analysis window holds digital silence only: zeros, or a constant offset.

    Praat would answer with numbers of rounding errors there; the features are undefined instead.

    Args:
        samples_N: sound at 16 kHz.
        window_seconds: physical length of the analysis window.  Its two ends weigh nothing and do not belong to it.

    Returns:
        `[T]` bool.

    Cost: 0.003 ms a second of sound.
    """
    peak = max(samples_N.max(initial=0.0), -samples_N.min(initial=0.0))
    half = math.ceil(window_seconds / 2 * SAMPLE_RATE) - 1
    silent_T: np.ndarray = frames_without_change(
        np.ascontiguousarray(samples_N, dtype=np.float64), HOP, half, NO_SOUND * peak
    )
    return silent_T
