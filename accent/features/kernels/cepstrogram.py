"""Power cepstra of frames: the power spectrum of the logarithm of the power spectrum.

What the manual leaves open (the window's samples, where each window lies, the scale) was found by experiments with
Praat.  A window of an even number of samples lies half a sample (0.05 ms) before the middle of its frame.

Cost: 2 us a frame: two Fourier transforms of 1024 points and 513 logarithms.

Shape legend: N samples at 10 kHz, B frames of a block, G groups of 8 of them, W samples of a window (in a frame, zeros
follow up to the transform's length), F frequencies, Q quefrencies of 0.1 ms.
"""

import math
from dataclasses import dataclass

import numpy as np

from accent.dsp.compile import kernel
from accent.dsp.real_fourier import cosine_transforms, points_for, power_spectra
from accent.features.config import FeatureConfig
from accent.grid import FRAMES_PER_SECOND

RATE = 10_000
"""Hz; twice the highest frequency that the cepstrum sees (Praat's default of 5 kHz).  Quefrencies are its samples."""
STEP = RATE // FRAMES_PER_SECOND
"""Samples between frames at that rate."""
PERIODS_IN_WINDOW = 6
"""Periods of the cepstral floor in the window."""
PRE_EMPHASIS_HZ = 50.0
"""Above this frequency the spectrum is raised by 6 dB an octave."""
SMALLEST_POWER = 1e-300
"""Added to spectra, so that silence has a logarithm."""
SMALLEST_CEPSTRUM = 1e-30
"""Added to cepstra, so that silence has a logarithm: -300 dB, as Praat says."""


@dataclass(frozen=True)
class CepstrumSizes:
    """What the configuration comes to in samples of 0.1 ms."""

    window_length: int
    """Samples in a window."""
    before_centre: int
    """Samples of a window before the sample that its frame is centred at."""
    fft_length: int
    """The next power of two."""
    shortest: float
    """Shortest period of the search, and with it the lowest quefrency a peak is placed at."""
    longest: float
    """Longest period of the search."""
    trend_from: int
    """First quefrency of the trend line."""
    trend_to: int
    """Last quefrency of the trend line."""

    @classmethod
    def of(cls, config: FeatureConfig) -> "CepstrumSizes":
        """Read the sizes from the configuration.  How each is rounded was found by experiments with Praat.

        Raises:
            ValueError: no quefrency to search, or too few for a line.
        """
        window = PERIODS_IN_WINDOW / config.cpp_floor_hz * RATE
        window_length = math.floor(window + 0.5)
        fft_length = points_for(window_length)
        sizes = cls(
            window_length,
            math.floor(window / 2 + 0.5),
            fft_length,
            1 / config.cpp_ceiling_hz / (1 / RATE),
            1 / config.cpp_floor_hz / (1 / RATE),
            math.ceil(config.cpp_trend_from_seconds / (1 / RATE)),
            min(math.floor(config.cpp_trend_to_seconds / (1 / RATE)), fft_length // 2),
        )
        if math.ceil(sizes.shortest) > math.floor(sizes.longest):
            raise ValueError(f"cpp_ceiling_hz: {config.cpp_ceiling_hz} leaves no period of 0.1 ms steps to search")
        if sizes.trend_to <= sizes.trend_from:
            raise ValueError(f"cpp_trend_to_seconds: {config.cpp_trend_to_seconds} leaves too little for a trend line")
        return sizes


def emphasised_with_room(samples_N: np.ndarray, n_frames: int, sizes: CepstrumSizes) -> np.ndarray:
    """Pre-emphasise a sound at 10 kHz, with zeros about it so that every frame has a whole window.

    Args:
        samples_N: the sound.
        n_frames: frames on the grid; frame k's window starts at sample k x `STEP` of the result.
        sizes: where windows lie about their frames.

    Source: Praat manual, "Sound: Pre-emphasize (in-place)...".

    Cost: some copies of the sound.
    """
    emphasised_N = np.zeros((n_frames - 1) * STEP + sizes.window_length)
    reached = min(len(samples_N), len(emphasised_N) - sizes.before_centre)
    sound_N = samples_N[:reached]
    emphasised_N[sizes.before_centre : sizes.before_centre + reached] = sound_N
    after_N = emphasised_N[sizes.before_centre + 1 :]
    kept = min(reached, len(after_N))
    after_N[:kept] -= math.exp(-2 * math.pi * PRE_EMPHASIS_HZ / RATE) * sound_N[:kept]
    return emphasised_N


@kernel(reorder=True)
def windowed_frames(emphasised_N: np.ndarray, first_start: int, window_W: np.ndarray, frames_BW: np.ndarray) -> None:
    """Cut out frames, take away each one's mean, and weigh them by the window.

    Args:
        emphasised_N: the sound at 10 kHz, pre-emphasised, with room for all windows.
        first_start: where the first frame's window starts; the others follow 10 ms apart.
        window_W: the window.
        frames_BW: filled; what lies beyond the window is left as it is.

    Cost: 0.15 us a frame.
    """
    length = len(window_W)
    for frame in range(len(frames_BW)):
        start = first_start + frame * STEP
        sound_W, frame_W = emphasised_N[start : start + length], frames_BW[frame]
        total = 0.0
        for position in range(length):
            total += sound_W[position]
        mean = total / length
        for position in range(length):
            frame_W[position] = (sound_W[position] - mean) * window_W[position]


@kernel
def squared(values_BQ: np.ndarray, scale: float) -> None:
    """Turn values, scaled, into powers, with `SMALLEST_CEPSTRUM` added, in place; 0.1 us a frame."""
    for frame in range(len(values_BQ)):
        values_Q = values_BQ[frame]
        for place in range(len(values_Q)):
            value = values_Q[place] * scale
            values_Q[place] = value * value + SMALLEST_CEPSTRUM


def power_cepstra(
    emphasised_N: np.ndarray, first_start: int, n_frames: int, window_W: np.ndarray, fft_length: int
) -> np.ndarray:
    """Return the power cepstra of some frames, `[B, Q]`, `SMALLEST_CEPSTRUM` added.

    Args:
        emphasised_N: the sound at 10 kHz, pre-emphasised, with room for all windows.
        first_start: where the first frame's window starts.
        n_frames: how many frames.
        window_W: the window.
        fft_length: a power of two, at least W.

    Source: Praat manual, "Sound: To PowerCepstrogram..." and "Spectrum: To PowerCepstrum".

    Cost: 2 us a frame.
    """
    frames_BW = np.zeros((n_frames, fft_length))
    # Praat's spectra are densities: sums divided by the sampling rate.
    windowed_frames(emphasised_N, first_start, window_W / RATE, frames_BW)
    log_power_GF8 = power_spectra(frames_BW, fft_length)
    log_power_GF8 += SMALLEST_POWER
    np.log(log_power_GF8, out=log_power_GF8)
    # The logarithm is real and even, so its inverse Fourier transform is a cosine transform.
    cepstra_BQ = cosine_transforms(log_power_GF8)[:n_frames]
    squared(cepstra_BQ, RATE / fft_length)
    return cepstra_BQ
