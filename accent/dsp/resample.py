"""Resampling below 16 kHz on the same grid of 10 ms.

Cost: one FFT of the sound's length, shared by all rates, and one back for each rate.

Shape legend: N samples, T frames.
"""

import math
from collections.abc import Sequence

import numpy as np
import scipy.fft

from accent.grid import FRAMES_PER_SECOND, HOP

WRAP_GUARD = 1600
"""Zeros after the sound before resampling (0.1 s), so that the ringing of its ends does not wrap round into it."""
WALL_HZ = 50.0
"""Width of the resampler's wall, from full pass down to nothing at the new Nyquist frequency."""


def brick_wall_resample(samples_N: np.ndarray, rate_to: int) -> np.ndarray:
    """Resample from 16 kHz to a lower rate with a wall just below the new Nyquist frequency.

    The spectrum of the zero-padded sound is cut off and transformed back.  The wall is a raised cosine 50 Hz wide: as
    close to Praat's own resampling as a vertical one, by the formants of real speech, but its ringing dies within some
    tens of milliseconds.  A vertical wall rings through the whole recording, so that the formants of a frame would
    depend on the recording's length.

    Sample 0 stays sample 0, and sample k x 160 becomes sample k x rate_to / 100.

    Args:
        samples_N: sound at 16 kHz.
        rate_to: the new sampling rate in Hz, a multiple of 100 and at most 16,000.

    Returns:
        `[N x rate_to // 16000]` samples.
    """
    return brick_wall_resample_to_rates(samples_N, [rate_to])[0]


def brick_wall_resample_to_rates(samples_N: np.ndarray, rates_to: Sequence[int]) -> list[np.ndarray]:
    """Resample to several rates, each as `brick_wall_resample` does, bit for bit, from one forward transform.

    >>> formant_sound, cepstrum_sound = brick_wall_resample_to_rates(np.zeros(16_000), [11_000, 10_000])
    >>> len(formant_sound), len(cepstrum_sound)
    (11000, 10000)
    """
    # Whole frames of 160 samples: whole numbers of samples at every rate, one forward transform for all of them.
    n_frames = scipy.fft.next_fast_len(math.ceil((len(samples_N) + WRAP_GUARD) / HOP), real=True)
    # Scaled for the way back already.
    spectrum = scipy.fft.rfft(samples_N, n_frames * HOP, norm="forward")
    hz_apart = FRAMES_PER_SECOND / n_frames
    resampled = []
    for rate_to in rates_to:
        hop_to = rate_to // FRAMES_PER_SECOND
        if hop_to == HOP:
            resampled.append(np.array(samples_N, dtype=np.float64))
            continue
        top = n_frames * hop_to // 2 + 1
        foot = max(0, top - math.ceil(WALL_HZ / hz_apart) - 1)
        below_nyquist_hz = rate_to / 2 - np.arange(foot, top) * hz_apart
        under_wall = spectrum[foot:top].copy()
        spectrum[foot:top] *= 0.5 - 0.5 * np.cos(np.pi * np.clip(below_nyquist_hz / WALL_HZ, 0, 1))
        part = scipy.fft.irfft(spectrum[:top], n_frames * hop_to, norm="forward")
        spectrum[foot:top] = under_wall
        resampled.append(part[: len(samples_N) * hop_to // HOP])
    return resampled
