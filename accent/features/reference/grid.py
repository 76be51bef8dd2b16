"""Puts Praat's analyses on our grid: padding, resampling, and which frames hold no sound at all.

Praat lays its frames symmetrically about the middle of the sound, floor((D - w) / dt) + 1 of them for a duration D, a
window w and a step dt.  Padding with a chosen number of zeros therefore puts frame k at exactly k x 10 ms.

With an even number of samples the frames fall half-way between two samples (half a sample before sample k x hop); with
an odd number they fall on the sample k x hop.  Pitch and harmonicity want the first, intensity the second: their own
windows then hold a whole number of samples about the centre.

Cost: a copy of the sound; the resampling is two FFTs of its length.

Shape legend: N samples, T frames.
"""

import math
from typing import Literal

import numpy as np
import parselmouth
import scipy.fft

from accent.features.schema import HOP, SAMPLE_RATE

WRAP_GUARD = 1600
"""Zeros after the sound before resampling (0.1 s), so that the ringing of its ends does not wrap round into it."""
WALL_HZ = 50.0
"""Width of the resampler's wall, from full pass down to nothing at the new Nyquist frequency."""
NO_SOUND = 1e-7
"""Share of the recording's peak (-140 dB) up to which a change between two samples is rounding, not a quiet sound."""


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


def brick_wall_resample(samples_N: np.ndarray, rate_to: int) -> np.ndarray:
    """Resample from 16 kHz to a lower rate with a wall just below the new Nyquist frequency.

    The spectrum of the zero-padded sound is cut off and transformed back.  The wall is a raised cosine 50 Hz wide: as
    close to Praat's own resampling as a vertical one, by the formants of real speech, but its ringing dies within some
    tens of milliseconds.  A vertical wall rings through the whole recording, so that formants of one frame would depend
    on the recording's length: 33 frames of silence in front moved some by 2 kHz; with this wall, all but those of the
    first frames by less than 0.5 Hz.

    Sample 0 stays sample 0, and sample k x 160 becomes sample k x rate_to / 100.

    Args:
        samples_N: sound at 16 kHz.
        rate_to: the new sampling rate in Hz, a multiple of 100 and at most 16,000.

    Returns:
        `[N x rate_to // 16000]` samples.
    """
    if rate_to == SAMPLE_RATE:
        return np.array(samples_N, dtype=np.float64)
    common = math.gcd(rate_to, SAMPLE_RATE)
    up, down = rate_to // common, SAMPLE_RATE // common
    blocks = scipy.fft.next_fast_len(math.ceil((len(samples_N) + WRAP_GUARD) / down), real=True)
    blocks += blocks % 2
    spectrum = scipy.fft.rfft(samples_N, blocks * down)[: blocks * up // 2 + 1]
    below_nyquist_hz = rate_to / 2 - np.arange(len(spectrum)) * (SAMPLE_RATE / (blocks * down))
    spectrum *= 0.5 - 0.5 * np.cos(np.pi * np.clip(below_nyquist_hz / WALL_HZ, 0, 1))
    resampled = scipy.fft.irfft(spectrum, blocks * up) * (up / down)
    return resampled[: len(samples_N) * up // down]


def without_sound(samples_N: np.ndarray, window_seconds: float) -> np.ndarray:
    """Tell the frames whose analysis window holds digital silence only: zeros, or a constant offset.

    Praat would answer with numbers of rounding errors there; the features are undefined instead.

    Args:
        samples_N: sound at 16 kHz.
        window_seconds: physical length of the analysis window.  Its two ends weigh nothing and do not belong to it.

    Returns:
        `[T]` bool.
    """
    tolerance = NO_SOUND * np.abs(samples_N).max(initial=0.0)
    changes_N = np.concatenate([[0], np.cumsum(np.abs(np.diff(samples_N)) > tolerance)])
    half = math.ceil(window_seconds / 2 * SAMPLE_RATE) - 1
    centre_T = np.arange(len(samples_N) // HOP + 1) * HOP
    first_T = np.clip(centre_T - half, 0, len(samples_N) - 1)
    last_T = np.clip(centre_T + half, 0, len(samples_N) - 1)
    return changes_N[last_T] == changes_N[first_T]
