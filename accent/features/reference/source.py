"""The voice source in the spectrum of a frame: H1-H2, H1*-H2* and spectral tilt, by their definitions in NumPy.

They are read on the 40 ms frame of the pitch analysis.  Cost: 2 ms a second of sound.

Shape legend: N samples at 16 kHz, T frames of 10 ms, V frames with sound (or voiced ones), W samples of a frame,
K bands.
"""

import numpy as np
from scipy.signal import get_window

from accent.dsp.silence import without_sound
from accent.features.config import FeatureConfig
from accent.features.definitions import PITCH_PERIODS
from accent.grid import HOP, SAMPLE_RATE

TILT_FFT = 1024
"""Points of the spectrum of the 40 ms frame: 16 Hz apart, finer than any band."""


def pitch_frames(unfiltered_N: np.ndarray, floor_hz: float) -> np.ndarray:
    """Cut the sound into Hann-weighted frames of three periods of the floor (40 ms), each without its mean.

    Returns:
        `[T, W]`; sample W // 2 of frame k is sample k x 160 of the sound, beyond whose ends there is silence.
        Digital silence, offset or not, is zero.
    """
    width = 2 * round(PITCH_PERIODS / floor_hz * SAMPLE_RATE / 2)
    padded_N = np.pad(np.asarray(unfiltered_N, dtype=np.float64), width // 2)
    frames_TW = np.lib.stride_tricks.sliding_window_view(padded_N, width)[::HOP][: len(unfiltered_N) // HOP + 1]
    weighted_TW = (frames_TW - frames_TW.mean(axis=1, keepdims=True)) * get_window("hann", width)
    # A constant without its mean is rounding errors.
    weighted_TW[without_sound(unfiltered_N, PITCH_PERIODS / floor_hz)] = 0
    return weighted_TW


def first_harmonics(frames_TW: np.ndarray, f0_T: np.ndarray, formants_T8: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Measure H1-H2 in dB: the level of the first harmonic above that of the second.

    The levels are those of the projections of the frame on exactly F0 and 2 F0.  In H1*-H2* each level is first
    relieved of what the first two formants add to it, given their measured frequencies and bandwidths.

    Args:
        frames_TW: weighted frames.
        f0_T: Hz, NaN where unvoiced.
        formants_T8: F1-F4 and B1-B4 in Hz, NaN where undefined.

    Returns:
        H1-H2 and H1*-H2*, `[T]` each; NaN in unvoiced frames, the second also where F1, F2 or a bandwidth is missing.

    Source: Iseli & Alwan (2004), An improved correction formula for the estimation of harmonic magnitudes; Iseli, Shue
    & Alwan (2007), Age, sex, and vowel dependencies of acoustic measures related to the voice source.
    """
    difference_T = np.full(len(f0_T), np.nan)
    corrected_T = difference_T.copy()
    voiced = np.flatnonzero(np.isfinite(f0_T))
    f0_V, frames_VW = f0_T[voiced], frames_TW[voiced]
    clock_W = (np.arange(frames_VW.shape[1]) - frames_VW.shape[1] // 2) / SAMPLE_RATE
    first_VW = np.exp(-2j * np.pi * f0_V[:, None] * clock_W)
    with np.errstate(divide="ignore", invalid="ignore"):
        level_1_V = 20 * np.log10(np.abs(np.einsum("vw,vw->v", frames_VW, first_VW)))
        level_2_V = 20 * np.log10(np.abs(np.einsum("vw,vw->v", frames_VW, first_VW**2)))
        difference_V = level_1_V - level_2_V
    # A frame without either harmonic has no difference: not infinity.
    difference_V[~np.isfinite(difference_V)] = np.nan
    difference_T[voiced] = difference_V

    corrected_V = difference_V.copy()
    for formant in range(2):
        frequency_V, bandwidth_V = formants_T8[voiced, formant], formants_T8[voiced, 4 + formant]
        corrected_V -= formant_gain(f0_V, frequency_V, bandwidth_V)
        corrected_V += formant_gain(2 * f0_V, frequency_V, bandwidth_V)
    corrected_T[voiced] = corrected_V
    return difference_T, corrected_T


def formant_gain(at_hz: np.ndarray, formant_hz: np.ndarray, bandwidth_hz: np.ndarray) -> np.ndarray:
    """Return in dB what a two-pole resonance adds to the level at a frequency, relative to 0 Hz.

    Source: Iseli & Alwan (2004), at our sampling rate.
    """
    radius = np.exp(-np.pi * bandwidth_hz / SAMPLE_RATE)
    at, formant = 2 * np.pi * at_hz / SAMPLE_RATE, 2 * np.pi * formant_hz / SAMPLE_RATE

    def distance(angle: np.ndarray) -> np.ndarray:
        return 1 - 2 * radius * np.cos(angle) + radius**2

    return 10 * np.log10(distance(formant) ** 2 / (distance(at - formant) * distance(at + formant)))


def spectral_tilt(frames_TW: np.ndarray, f0_T: np.ndarray, config: FeatureConfig) -> np.ndarray:
    """Measure the slope of each frame's spectrum in dB per octave; a flat spectrum has 0.

    The spectrum up to `tilt_ceiling_hz` is cut into bands of equal width w around w, 2w, 3w ...: in voiced frames w is
    F0, so that each band holds one harmonic; in unvoiced ones it is `tilt_unvoiced_band_hz`.  The slope is that
    of the weighted least-squares line of band level against log2 of frequency.  Band number k weighs 1 / k, so that
    every octave weighs the same.  The frequency of a voiced band is its harmonic's; that of an unvoiced one the
    geometric mean of its edges, where a smooth spectrum that falls by 6 dB an octave has its mean power.

    Args:
        frames_TW: weighted frames.
        f0_T: Hz, NaN where unvoiced.
        config: highest frequency and width of the bands of unvoiced frames.

    Returns:
        `[T]`; NaN where a band holds no power at all.
    """
    tilt_T = np.full(len(f0_T), np.nan)
    sounding = np.flatnonzero(np.any(frames_TW != 0, axis=1))
    if len(sounding) == 0:
        return tilt_T
    power_VF = np.abs(np.fft.rfft(frames_TW[sounding], TILT_FFT, axis=1)) ** 2
    # The power below each bin's lower edge; linear in between, so that a band may begin within a bin.
    below_VF = np.concatenate([np.zeros((len(sounding), 1)), np.cumsum(power_VF, axis=1)], axis=1)
    bin_hz = SAMPLE_RATE / TILT_FFT

    voiced_V = np.isfinite(f0_T[sounding])
    width_V = np.where(voiced_V, f0_T[sounding], config.tilt_unvoiced_band_hz)
    n_bands = int(config.tilt_ceiling_hz / width_V.min())
    number_K = np.arange(1, n_bands + 1)
    edges_VK = width_V[:, None] * (np.arange(n_bands + 1) + 0.5)
    position_VK = np.minimum(edges_VK / bin_hz + 0.5, power_VF.shape[1] - 1)
    whole_VK = position_VK.astype(int)
    lower_VK = np.take_along_axis(below_VF, whole_VK, axis=1)
    upper_VK = np.take_along_axis(below_VF, whole_VK + 1, axis=1)
    band_power_VK = np.diff(lower_VK + (position_VK - whole_VK) * (upper_VK - lower_VK), axis=1)

    weight_VK = np.where(number_K * width_V[:, None] <= config.tilt_ceiling_hz, 1 / number_K, 0.0)
    octave_VK = np.where(voiced_V[:, None], np.log2(number_K), np.log2(number_K**2 - 0.25) / 2)
    with np.errstate(divide="ignore"):
        level_VK = np.where(weight_VK > 0, 10 * np.log10(band_power_VK), 0.0)
    total_V = weight_VK.sum(axis=1)
    centred_VK = octave_VK - ((weight_VK * octave_VK).sum(axis=1) / total_V)[:, None]
    with np.errstate(invalid="ignore"):
        slope_V = (weight_VK * centred_VK * level_VK).sum(axis=1) / (weight_VK * centred_VK**2).sum(axis=1)
    slope_V[~np.isfinite(slope_V)] = np.nan
    tilt_T[sounding] = slope_V
    return tilt_T
