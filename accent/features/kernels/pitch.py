"""Pitch and voicing strength by autocorrelation.

Each frame of three periods of the floor gives candidates: the maxima of its normalised autocorrelation.  The best
path through the candidates of the whole recording is its pitch; the best maximum of a frame is its voicing strength.

Cost: 0.22 ms a second of sound, a third of it Fourier transforms.

Shape legend: N samples at 16 kHz, T frames of 10 ms, S points of a transform, L lags, K candidates.
"""

import functools
from dataclasses import dataclass

import numpy as np

from accent.dsp.compile import kernel
from accent.dsp.maxima import (
    DEEPEST,
    SLACK,
    highest_rise,
    interpolated,
    interpolation_weights,
    may_reach,
    positive_maxima,
    refined_maximum,
    vertex,
)
from accent.dsp.silence import without_sound
from accent.features.config import FeatureConfig
from accent.features.definitions import PITCH_PERIODS, second_pass_range
from accent.features.kernels.autocorrelation import (
    fft_size,
    global_peak,
    inverse_window_correlation,
    normalised_autocorrelation,
    peaks_near_centre,
    weigh_frames,
)
from accent.features.kernels.pitch_path import best_path, candidate_strengths
from accent.grid import HOP, SAMPLE_RATE

PATH_CANDIDATES = 15
"""Candidates a frame for the path, the unvoiced one among them: Praat's default."""
RANKING_DEPTH = 30
"""Whole lags on either side in the interpolation by which candidates are ranked where there are too many."""
LOWEST_CORRELATION = 0.5
"""Share of the voicing threshold below which a maximum is no candidate for the path."""
BLOCK = 64
"""Frames worked through together: half a megabyte."""


@dataclass(frozen=True)
class PitchTrack:
    """The pitch of a whole recording."""

    f0_T: np.ndarray
    """Fundamental frequency in Hz, NaN where unvoiced."""
    strength_T: np.ndarray
    """Best autocorrelation between floor and ceiling, 0..1, voiced or not; NaN in digital silence."""
    correlation_T: np.ndarray
    """Autocorrelation of the chosen candidate, 0..1; 0 where unvoiced."""


def track_pitch(unfiltered_N: np.ndarray, config: FeatureConfig, peak_elsewhere: float = 0.0) -> PitchTrack:
    """Measure pitch and voicing strength of a recording.

    Args:
        unfiltered_N: sound at 16 kHz, neither filtered nor normalised.
        config: floor, ceiling, thresholds and costs.
        peak_elsewhere: of a part of a recording, the largest magnitude in the rest of it.

    Returns:
        One value for each frame of the whole recording.

    Source: Boersma (1993), Accurate short-term analysis of the fundamental frequency and the harmonics-to-noise ratio
    of a sampled sound; Praat manual, "Sound: To Pitch (ac)...".  Two passes: Hirst (2011), The analysis by synthesis
    of speech melody: from data to models.
    """
    samples_N = np.ascontiguousarray(unfiltered_N, dtype=np.float64)
    floor_hz, ceiling_hz = config.pitch_floor_hz, config.pitch_ceiling_hz
    f0_T, correlation_T, strength_T = _one_pass(samples_N, config, floor_hz, ceiling_hz, peak_elsewhere)
    strength_T[without_sound(samples_N, PITCH_PERIODS / floor_hz)] = np.nan
    if config.two_pass_pitch:
        floor_hz, ceiling_hz = second_pass_range(f0_T, config)
        f0_T, correlation_T, _ = _one_pass(samples_N, config, floor_hz, ceiling_hz, peak_elsewhere)
    return PitchTrack(f0_T, strength_T, correlation_T)


def _one_pass(
    samples_N: np.ndarray, config: FeatureConfig, floor_hz: float, ceiling_hz: float, peak_elsewhere: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return F0, the autocorrelation of the chosen candidates, and voicing strength, `[T]` each."""
    n_frames = len(samples_N) // HOP + 1
    window_W, inverse_window, weights_DPL = _window_tables(floor_hz)
    longest_period = int(SAMPLE_RATE / floor_hz)
    count_T = np.empty(n_frames, dtype=np.int64)
    frequency_TK = np.empty((n_frames, PATH_CANDIDATES))
    correlation_TK = np.empty((n_frames, PATH_CANDIDATES))
    strength_T, peak_T = np.empty(n_frames), np.empty(n_frames)
    centre_T = np.arange(n_frames) * HOP
    frames_TS = np.empty((min(BLOCK, n_frames), fft_size(len(window_W), len(inverse_window) - 1)))
    for first in range(0, n_frames, BLOCK):
        block = slice(first, min(first + BLOCK, n_frames))
        block_TS = frames_TS[: block.stop - first]
        weigh_frames(samples_N, centre_T[block], window_W, longest_period, block_TS)
        peak_T[block] = peaks_near_centre(block_TS, len(window_W), longest_period // 2)
        find_candidates(
            normalised_autocorrelation(block_TS, inverse_window),
            len(window_W),
            floor_hz,
            ceiling_hz,
            LOWEST_CORRELATION * config.pitch_voicing_threshold,
            config.pitch_octave_cost,
            inverse_window,
            weights_DPL,
            count_T[block],
            frequency_TK[block],
            correlation_TK[block],
            strength_T[block],
        )
    loudest = max(global_peak(samples_N, PITCH_PERIODS / floor_hz), peak_elsewhere)
    strength_TK = candidate_strengths(
        count_T,
        frequency_TK,
        correlation_TK,
        peak_T / loudest if loudest > 0 else peak_T,
        config.pitch_silence_threshold,
        config.pitch_voicing_threshold,
        config.pitch_octave_cost,
        ceiling_hz,
    )
    chosen_T = best_path(
        count_T, frequency_TK, strength_TK, config.pitch_octave_jump_cost, config.pitch_voiced_unvoiced_cost
    )
    everyone = np.arange(n_frames)
    f0_T = frequency_TK[everyone, chosen_T]
    return np.where(f0_T > 0, f0_T, np.nan), correlation_TK[everyone, chosen_T], strength_T


@functools.lru_cache(maxsize=8)
def _window_tables(floor_hz: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the Hann window, what its autocorrelation does, and the weights of the interpolation."""
    width = 2 * (int(PITCH_PERIODS / floor_hz * SAMPLE_RATE) // 2)
    window_W = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(width) / (width - 1))
    beyond_longest = longest_lag(width) + 1
    room = width // 2 - 1 - beyond_longest
    inverse_window = inverse_window_correlation(window_W, beyond_longest + min(DEEPEST, room))
    return window_W, inverse_window, interpolation_weights(DEEPEST if room >= DEEPEST else 1)


@kernel
def longest_lag(width: int) -> int:
    """Return the last whole lag at which a maximum counts: a third of the window."""
    return (width + 1) // PITCH_PERIODS


@kernel
def find_candidates(
    correlation_TL: np.ndarray,
    width: int,
    floor_hz: float,
    ceiling_hz: float,
    lowest: float,
    octave_cost: float,
    inverse_window: np.ndarray,
    weights_DPL: np.ndarray,
    count_T: np.ndarray,
    frequency_TK: np.ndarray,
    correlation_TK: np.ndarray,
    strength_T: np.ndarray,
) -> None:
    """Find the pitch candidates of each frame, and its voicing strength.

    Args:
        correlation_TL: `normalised_autocorrelation` of the frames.
        width: samples of their window.
        floor_hz: lowest frequency that counts for voicing strength.
        ceiling_hz: highest frequency that counts.
        lowest: lowest autocorrelation of a candidate for the path.
        octave_cost: how much higher frequencies are favoured, for each octave, where there are too many candidates.
        inverse_window: of `inverse_window_correlation`.
        weights_DPL: `interpolation_weights`.
        count_T: the number of candidates is written here, at least 1.
        frequency_TK: their frequencies in Hz; the first candidate is the unvoiced one, 0.
        correlation_TK: their autocorrelations, 0..1; 0 for the unvoiced one.
        strength_T: the highest maximum between floor and ceiling, 0 where there is none.

    Source: Boersma (1993), the candidates of a frame.  Cost: 0.9 us a frame of speech.
    """
    last_lag = width // 2 - 1
    longest = longest_lag(width)
    lag_K = np.empty(longest, dtype=np.int64)
    rank_K = np.empty(longest)
    for frame in range(len(correlation_TL)):
        correlation_L = correlation_TL[frame]
        frequency_K, height_K = frequency_TK[frame], correlation_TK[frame]
        n_maxima = positive_maxima(correlation_L, 2, longest, lag_K)
        n_above = 0
        surely = 0.0
        for number in range(n_maxima):
            lag = lag_K[number]
            here = correlation_L[DEEPEST + lag]
            n_above += here > lowest
            if (lag - 1) * ceiling_hz >= SAMPLE_RATE and (lag + 1) * floor_hz <= SAMPLE_RATE:
                surely = max(surely, here)
        crowded = n_above >= len(frequency_K)
        if crowded:
            _rank(correlation_L, lag_K[:n_maxima], lowest, octave_cost, floor_hz, rank_K)
        frequency_K[0] = height_K[0] = 0.0
        count = 1
        strength = 0.0
        for number in range(n_maxima):
            lag = lag_K[number]
            if correlation_L[DEEPEST + lag] <= lowest or (lag + 1) * ceiling_hz < SAMPLE_RATE:
                continue
            frequency, height = _refined(correlation_L, lag, last_lag, weights_DPL)
            if frequency > ceiling_hz:
                continue
            if frequency >= floor_hz:
                strength = max(strength, height)
            if not (crowded and _ahead_of(rank_K[:n_maxima], number) >= len(frequency_K) - 1):
                frequency_K[count], height_K[count] = frequency, height
                count += 1
        # The others are no candidates; most cannot be the strongest either.
        rise = highest_rise(correlation_L, inverse_window)
        for number in range(n_maxima):
            lag = lag_K[number]
            here = correlation_L[DEEPEST + lag]
            if here > lowest or (lag + 1) * ceiling_hz < SAMPLE_RATE:
                continue
            if here + rise * inverse_window[lag] + SLACK <= strength:
                continue
            if may_reach(correlation_L, lag, last_lag, weights_DPL, max(surely, strength)):
                frequency, height = _refined(correlation_L, lag, last_lag, weights_DPL)
                if floor_hz <= frequency <= ceiling_hz:
                    strength = max(strength, height)
        count_T[frame] = count
        strength_T[frame] = strength


@kernel
def _refined(correlation_L: np.ndarray, lag: int, last_lag: int, weights_DPL: np.ndarray) -> tuple[float, float]:
    """Return frequency in Hz and autocorrelation, 0..1, of the maximum about a whole lag; 0.1 us."""
    period, height = refined_maximum(correlation_L, lag, last_lag, weights_DPL)
    # Interpolation overshoots where the sound is all but periodic.
    return SAMPLE_RATE / period, 1 / height if height > 1 else height


@kernel
def _rank(
    correlation_L: np.ndarray,
    lag_K: np.ndarray,
    lowest: float,
    octave_cost: float,
    floor_hz: float,
    rank_K: np.ndarray,
) -> None:
    """Write the heights by which the maxima of a frame compete for too few places; 0.2 us each."""
    for number in range(len(lag_K)):
        lag = lag_K[number]
        before, here = correlation_L[DEEPEST + lag - 1], correlation_L[DEEPEST + lag]
        behind = correlation_L[DEEPEST + lag + 1]
        if here > lowest:
            period = lag + vertex(before, here, behind)
            height = interpolated(correlation_L, period, RANKING_DEPTH)
            rank_K[number] = height - octave_cost * np.log2(floor_hz * period)
        else:
            rank_K[number] = -np.inf


@kernel
def _ahead_of(rank_K: np.ndarray, number: int) -> int:
    """Count the maxima that come before this one: the higher ones, and of equal ones those at shorter lags."""
    ahead = 0
    for other in range(len(rank_K)):
        ahead += rank_K[other] > rank_K[number] or (rank_K[other] == rank_K[number] and other < number)
    return ahead
