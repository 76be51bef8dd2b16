"""Formants by Burg's method, with Praat's numbers: the resonances of an all-pole model of each frame.

The sound is resampled to twice the ceiling and pre-emphasised; each frame is weighted by a Gaussian window, predicted
linearly (two coefficients a formant), and the roots of the prediction polynomial are its resonances.

Cost: 0.3 ms a second of sound, half of it resampling.

Shape legend: N samples, T frames of 10 ms, W samples of a window, D prediction coefficients, K = D / 2 resonances;
8 columns: F1..F4, B1..B4.
"""

import math

import numpy as np

from accent.dsp.compile import kernel
from accent.dsp.polynomial_roots import quadratic_factors
from accent.dsp.resample import brick_wall_resample
from accent.dsp.silence import without_sound
from accent.dsp.windows import gaussian_window
from accent.features.config import FeatureConfig
from accent.features.definitions import N_FORMANTS
from accent.features.kernels.burg import burg_coefficients
from accent.grid import FRAMES_PER_SECOND

MARGIN_HZ = 50.0
"""Resonances this near to 0 Hz or to the ceiling are no formants; Praat leaves them out."""


def formant_frames(unfiltered_N: np.ndarray, config: FeatureConfig, sex: str | None = None) -> np.ndarray:
    """Measure four formants and their bandwidths in each frame of a recording.

    Args:
        unfiltered_N: sound at 16 kHz, neither filtered nor normalised.
        config: ceiling, window, number of formants, pre-emphasis.
        sex: "male" takes the ceiling for men where the configuration has one.

    Returns:
        `[T, 8]` float64 Hz, F1..F4 then B1..B4; NaN where there is no such formant and in digital silence.

    Source: Praat manual, "Sound: To Formant (burg)..."; Childers (1978), Modern spectrum analysis, pp. 252-255.

    Cost per frame: 3 us.
    """
    rate = round(2 * config.formant_ceiling_for(sex))
    silent_T = without_sound(unfiltered_N, 2 * config.formant_window_seconds)
    return resampled_formants(brick_wall_resample(unfiltered_N, rate), rate, silent_T, config)


def resampled_formants(resampled_N: np.ndarray, rate: int, silent_T: np.ndarray, config: FeatureConfig) -> np.ndarray:
    """Measure the formants of a sound that is already at twice the ceiling; `[T, 8]` as `formant_frames`.

    Args:
        resampled_N: the sound from its first sample, at `rate`; beyond its ends there is silence.
        rate: sampling rate in Hz, twice the ceiling.
        silent_T: bool `[T]`, for each frame wanted, centred at 0, 10, 20 ... ms, whether to leave it undefined.
        config: window, number of formants, pre-emphasis.
    """
    n_frames = len(silent_T)
    hop = rate // FRAMES_PER_SECOND
    order = 2 * config.formants_below_ceiling
    window_W = formant_window(config.formant_window_seconds, rate)
    before = len(window_W) // 2
    # One sample more than the sound: pre-emphasis answers to its last sample in the silence after it.
    length = max((n_frames - 1) * hop + len(window_W), before + len(resampled_N) + 1)
    emphasised_N = np.zeros(length)
    emphasised_N[before : before + len(resampled_N)] = resampled_N
    leak = math.exp(-2 * math.pi * config.formant_pre_emphasis_hz / rate)
    emphasised_N[before + 1 : before + len(resampled_N) + 1] -= leak * resampled_N

    coefficients_TD = np.empty((n_frames, order))
    burg_coefficients(emphasised_N, 0, hop, window_W, coefficients_TD)
    # What rings into silence from afar would be measured at great cost: it is predicted all but perfectly.
    coefficients_TD[silent_T] = np.nan
    frames_T8 = np.empty((n_frames, 2 * N_FORMANTS))
    resonances(quadratic_factors(coefficients_TD), float(rate), frames_T8)
    return frames_T8


def formant_window(effective_seconds: float, rate: int) -> np.ndarray:
    """Return Praat's Gaussian window, `[W]`, W even; its sample W // 2 weighs the sample that the frame is centred at.

    It reaches over twice its effective length.  Of an odd number of samples Praat leaves the last one out.

    Source: experiments with Praat's "Sound: To Formant (burg)..." with windows of 110 to 2200 samples.
    """
    # Divided by the sampling period, as Praat does: multiplied by the rate, 396 samples may come out as 395.
    width = math.floor(2 * effective_seconds / (1 / rate))
    return gaussian_window(width)[: 2 * (width // 2)]


@kernel
def resonances(factors_TK2: np.ndarray, rate: float, frames_T8: np.ndarray) -> None:
    """Read the lowest four resonances of each frame from the quadratic factors of its prediction polynomial.

    A factor z^2 + l z + c with conjugate roots has them at radius sqrt(c) and angle arccos(-l / (2 sqrt(c))); the angle
    is the frequency, and the distance from the unit circle, inside or outside, the bandwidth.  Real roots lie at 0 Hz
    or at the Nyquist frequency and are no formants.

    Args:
        factors_TK2: float64 `[T, K, 2]`, linear and constant terms; NaN where there are none.
        rate: sampling rate in Hz.
        frames_T8: float64 `[T, 8]`, to be filled with frequencies and bandwidths in Hz; NaN where there are fewer.

    Source: Praat manual, "Sound: To Formant (burg)..."; the margins by experiment.

    Cost per frame: an arctangent and a logarithm a resonance, 0.1 us.
    """
    n_frames, n_factors, _ = factors_TK2.shape
    frequency_K = np.empty(n_factors)
    bandwidth_K = np.empty(n_factors)
    for frame in range(n_frames):
        n_found = 0
        for factor in range(n_factors):
            middle = -0.5 * factors_TK2[frame, factor, 0]
            constant = factors_TK2[frame, factor, 1]
            height_squared = constant - middle * middle
            if not height_squared > 0:
                continue
            frequency = np.arctan2(np.sqrt(height_squared), middle) * rate / (2 * np.pi)
            if not MARGIN_HZ <= frequency <= 0.5 * rate - MARGIN_HZ:
                continue
            place = n_found
            while place > 0 and frequency_K[place - 1] > frequency:
                frequency_K[place] = frequency_K[place - 1]
                bandwidth_K[place] = bandwidth_K[place - 1]
                place -= 1
            frequency_K[place] = frequency
            bandwidth_K[place] = abs(np.log(constant)) * rate / (2 * np.pi)
            n_found += 1
        for number in range(N_FORMANTS):
            frames_T8[frame, number] = frequency_K[number] if number < n_found else np.nan
            frames_T8[frame, N_FORMANTS + number] = bandwidth_K[number] if number < n_found else np.nan
