"""The spectrogram of a recording as Praat computes and paints it.

Settings as Praat names them: window length 0.005 s, window shape Gaussian, time step 0.002 s, maximum frequency
5000 Hz; painted with a pre-emphasis of 6 dB an octave and a dynamic range of 50 dB.

Cost: 5 ms a second of sound.

Shape legend: N samples at 16 kHz, F frequencies, T times.

Source: Praat manual, "Sound: To Spectrogram..." and "Spectrogram: Paint...".
"""

from typing import NamedTuple

import numpy as np
from scipy.signal import ShortTimeFFT

from accent.dsp.windows import gaussian_window
from accent.grid import SAMPLE_RATE

WINDOW_SECONDS = 0.005
"""Effective length; the window reaches twice as far."""
STEP_SECONDS = 0.002
HIGHEST_HZ = 5000.0
N_FFT = 1024
"""Points of the transform: a frequency every 16 Hz, where Praat has at least one every 20 Hz."""
PRE_EMPHASIS_DB = 6.0
"""An octave, about 1000 Hz."""
DYNAMIC_RANGE_DB = 50.0


class Spectrogram(NamedTuple):
    """Levels over frequency and time."""

    levels_FT: np.ndarray
    """dB with pre-emphasis; the highest level of the stretch is 0."""
    highest_hz: float
    start: float
    """Seconds: left edge of the first column."""
    end: float
    """Seconds: right edge of the last column."""


def spectrogram(samples_N: np.ndarray, start: float, end: float) -> Spectrogram:
    """Compute the spectrogram of a stretch of a recording.

    Args:
        samples_N: the whole recording at 16 kHz.
        start: of the stretch, in seconds.
        end: of the stretch, in seconds.

    Returns:
        Its levels from 0 to 5000 Hz.
    """
    step = round(STEP_SECONDS * SAMPLE_RATE)
    window = gaussian_window(round(2 * WINDOW_SECONDS * SAMPLE_RATE))
    transform = ShortTimeFFT(window, hop=step, fs=SAMPLE_RATE, mfft=N_FFT)
    first, stop = round(start / STEP_SECONDS), round(end / STEP_SECONDS)
    power_FT = transform.spectrogram(samples_N, p0=first, p1=max(stop, first + 1))
    frequency_F = transform.f
    shown_F = (frequency_F > 0) & (frequency_F <= HIGHEST_HZ)
    raised_F1 = PRE_EMPHASIS_DB * np.log2(frequency_F[shown_F] / 1000)[:, None]
    # The smallest number above 0 stands for digital silence.
    levels_FT = 10 * np.log10(np.maximum(power_FT[shown_F], np.finfo(float).tiny)) + raised_F1
    half_a_step = STEP_SECONDS / 2
    edges = (first * STEP_SECONDS - half_a_step, (first + levels_FT.shape[1]) * STEP_SECONDS - half_a_step)
    return Spectrogram(levels_FT - levels_FT.max(), float(frequency_F[shown_F][-1]), *edges)
