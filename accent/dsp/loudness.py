"""How loud a sound is: the level of each frame, and the gated loudness of the whole (ITU-R BS.1770).

Cost: 0.05 ms a second of sound, most of it the K-weighting filter.

Shape legend: N samples of sound, T frames of 10 ms, W samples of a window, B gating blocks.
"""

import math

import numpy as np

from accent.dsp.butterworth import Biquad, BiquadPair, filter_in_place
from accent.dsp.compile import kernel
from accent.grid import HOP

LEVEL_WINDOW = 400
"""Samples of the window that measures a frame's level: 25 ms."""
LOWEST_POWER = 1e-20
"""Stands for no sound at all: -200 dB."""
ABSOLUTE_GATE_LUFS = -70.0
"""Blocks that do not reach this loudness do not count."""
RELATIVE_GATE_LU = -10.0
"""Blocks this far below the mean of the blocks that count do not count either."""
BLOCK_STEP = 0.25
"""Gating blocks begin this share of their length after one another."""
LOUDNESS_OF_POWER_ONE = -0.691
"""In LUFS; a sine of 997 Hz at full scale then has -3.01."""


@kernel(reorder=True)
def frame_levels(samples_N: np.ndarray) -> np.ndarray:
    """Return the level of each frame: `[T]` decibels of full scale, RMS around the mean of 25 ms centred at k x 10 ms.

    Args:
        samples_N: sound at 16 kHz.  Its first and last sample go on outside it: zeros would turn an offset into a step.

    Returns:
        `[T]`; -200 stands for no sound at all.

    Cost: 0.06 microseconds a frame.
    """
    n_samples = len(samples_N)
    n_frames = n_samples // HOP + 1
    level_T, edge_W = np.empty(n_frames), np.empty(LEVEL_WINDOW)
    for frame in range(n_frames):
        start = frame * HOP - LEVEL_WINDOW // 2
        if start >= 0 and start + LEVEL_WINDOW <= n_samples:
            window_W = samples_N[start : start + LEVEL_WINDOW]
        else:
            for position in range(LEVEL_WINDOW):
                edge_W[position] = samples_N[min(max(start + position, 0), n_samples - 1)]
            window_W = edge_W
        mean, power = 0.0, 0.0
        for position in range(LEVEL_WINDOW):
            mean += window_W[position]
        mean /= LEVEL_WINDOW
        for position in range(LEVEL_WINDOW):
            power += (window_W[position] - mean) ** 2
        level_T[frame] = 10 * math.log10(max(power / LEVEL_WINDOW, LOWEST_POWER))
    return level_T


def k_weighting(rate: float) -> BiquadPair:
    """Return the K-weighting: a shelf of 4 dB above 1,500 Hz, for the head, and a high-pass at 38 Hz.

    Source: ITU-R BS.1770-4, annex 1, through the formulae of Bristow-Johnson, Cookbook formulae for audio equalizer
    biquad filter coefficients; corner frequencies and Q as pyloudnorm has them.
    """
    amplitude, turn = 10 ** (4 / 40), 2 * math.pi * 1500 / rate
    cosine, slope = math.cos(turn), 2 * math.sqrt(amplitude) * math.sin(turn) / math.sqrt(2)
    more, less = amplitude + 1, amplitude - 1
    a0 = more - less * cosine + slope
    shelf = Biquad(
        amplitude * (more + less * cosine + slope) / a0,
        -2 * amplitude * (less + more * cosine) / a0,
        amplitude * (more + less * cosine - slope) / a0,
        2 * (less - more * cosine) / a0,
        (more - less * cosine - slope) / a0,
    )
    turn = 2 * math.pi * 38 / rate
    cosine, slope = math.cos(turn), math.sin(turn)
    a0 = 1 + slope
    gain = (1 + cosine) / 2 / a0
    return shelf, Biquad(gain, -2 * gain, gain, -2 * cosine / a0, (1 - slope) / a0)


def integrated_loudness(samples_N: np.ndarray, rate: int, block_seconds: float) -> float:
    """Return the gated loudness of a sound in LUFS; minus infinity where no block passes the gates.

    Args:
        samples_N: one channel, at least one block long, float64 and contiguous; holds the K-weighted sound afterwards.
        rate: sampling rate in Hz.
        block_seconds: length of a gating block: 0.4 in the recommendation.

    Source: ITU-R BS.1770-4, annex 1.  How the blocks are laid out (how many, where rounding puts their edges) is
    pyloudnorm's way.
    """
    seconds = len(samples_N) / rate
    n_blocks = int(np.round((seconds - block_seconds) / (block_seconds * BLOCK_STEP))) + 1
    position_B = np.arange(n_blocks) * BLOCK_STEP
    start_B = (block_seconds * position_B * rate).astype(np.int64)
    end_B = (block_seconds * (position_B + 1) * rate).astype(np.int64)
    filter_in_place(samples_N, np.array(k_weighting(rate)), np.zeros((2, 2)), False)
    power_B = block_powers(samples_N, start_B, end_B) / (block_seconds * rate)
    with np.errstate(divide="ignore"):
        loudness_B = LOUDNESS_OF_POWER_ONE + 10 * np.log10(power_B)
        audible_B = loudness_B >= ABSOLUTE_GATE_LUFS
        if not audible_B.any():
            return -math.inf
        gate = LOUDNESS_OF_POWER_ONE + 10 * np.log10(power_B[audible_B].mean()) + RELATIVE_GATE_LU
        counting_B = (loudness_B > gate) & (loudness_B > ABSOLUTE_GATE_LUFS)
    if not counting_B.any():
        return -math.inf
    return LOUDNESS_OF_POWER_ONE + 10 * math.log10(power_B[counting_B].mean())


@kernel(reorder=True)
def block_powers(samples_N: np.ndarray, start_B: np.ndarray, end_B: np.ndarray) -> np.ndarray:
    """Return the sum of squares of each block `[B]`; what a block reaches over the sound's end counts as silence.

    Args:
        samples_N: the sound.
        start_B: first sample of each block.
        end_B: the sample after its last.

    Cost: 0.1 ns a sample of the sound, every sample lying in four blocks.
    """
    power_B = np.zeros(len(start_B))
    for block in range(len(start_B)):
        block_N, power = samples_N[start_B[block] : end_B[block]], 0.0
        for position in range(len(block_N)):
            power += block_N[position] * block_N[position]
        power_B[block] = power
    return power_B
