"""The voice source in the spectrum of a frame: H1-H2, H1*-H2* and spectral tilt.

They are read on the 40 ms frame of the pitch analysis: the harmonics by projecting it on exactly F0 and 2 F0, the tilt
from one Fourier transform.

Cost: 0.2 ms a second of sound.

Shape legend: N samples at 16 kHz, T frames of 10 ms, V frames with sound, G groups of 8 of them, W samples of a
window, S samples of a padded frame, F frequencies, K bands.
"""

import functools

import numpy as np

from accent.dsp.compile import kernel
from accent.dsp.lanes import LANES
from accent.dsp.real_fourier import lanes_to_rows, power_spectra
from accent.dsp.silence import without_sound
from accent.features.config import FeatureConfig
from accent.features.definitions import PITCH_PERIODS
from accent.features.kernels.autocorrelation import weigh_frames
from accent.grid import HOP, SAMPLE_RATE

TILT_FFT = 1024
"""Points of the spectrum of the 40 ms frame: 16 Hz apart, finer than any band."""
BLOCK = 32
"""Frames worked on at a time, so that they stay in the cache."""


def source_frames(
    unfiltered_N: np.ndarray, f0_T: np.ndarray, formants_T8: np.ndarray, config: FeatureConfig
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Measure H1-H2, H1*-H2* and spectral tilt.

    Args:
        unfiltered_N: sound at 16 kHz, neither filtered nor normalised; beyond its ends there is silence.
        f0_T: Hz, NaN where unvoiced.
        formants_T8: F1-F4 and B1-B4 in Hz, NaN where undefined.
        config: pitch floor, which decides the frame; highest frequency and unvoiced bands of the tilt.

    Returns:
        H1-H2 in dB, NaN in unvoiced frames; H1*-H2* in dB, NaN also where F1, F2 or a bandwidth is missing; tilt in dB
        an octave, NaN where a band holds no power at all; `[T]` each.

    Source: Iseli & Alwan (2004), An improved correction formula for the estimation of harmonic magnitudes; Iseli, Shue
    & Alwan (2007), Age, sex, and vowel dependencies of acoustic measures related to the voice source.
    """
    samples_N = np.ascontiguousarray(unfiltered_N, dtype=np.float64)
    width = 2 * round(PITCH_PERIODS / config.pitch_floor_hz * SAMPLE_RATE / 2)
    window_W = _window(width)
    # Otherwise a constant without its mean would be a spectrum of rounding errors.
    sounding_V = np.flatnonzero(~without_sound(samples_N, PITCH_PERIODS / config.pitch_floor_hz))
    f0_V = np.ascontiguousarray(f0_T[sounding_V], dtype=np.float64)
    band_V = np.where(np.isfinite(f0_V), f0_V, config.tilt_unvoiced_band_hz)
    octave_2K = _band_octaves(int(config.tilt_ceiling_hz / band_V.min(initial=config.tilt_unvoiced_band_hz)))
    weight_K = 1 / np.arange(1.0, octave_2K.shape[1] + 1)

    difference_V, tilt_V = np.empty(len(f0_V)), np.empty(len(f0_V))
    frames_VS = np.empty((BLOCK, max(width, TILT_FFT)))
    for start in range(0, len(sounding_V), BLOCK):
        block = slice(start, start + BLOCK)
        block_VS = frames_VS[: len(f0_V[block])]
        weigh_frames(samples_N, sounding_V[block] * HOP, window_W, width // 2, block_VS)
        difference_V[block] = level_differences(block_VS, width, f0_V[block])
        power_GF8 = power_spectra(block_VS, TILT_FFT)
        power_VK = band_powers(power_GF8, band_V[block], config.tilt_ceiling_hz, len(weight_K))
        # All logarithms at once: several at a time.
        tilt_V[block] = tilts(np.log(power_VK, out=power_VK), f0_V[block], weight_K, octave_2K)

    difference_T, corrected_T, tilt_T = (np.full(len(f0_T), np.nan) for _ in range(3))
    difference_T[sounding_V] = difference_V
    corrected_T[sounding_V] = corrected_differences(
        difference_V, f0_V, np.ascontiguousarray(formants_T8[sounding_V], dtype=np.float64)
    )
    tilt_T[sounding_V] = tilt_V
    return difference_T, corrected_T, tilt_T


@functools.lru_cache(maxsize=8)
def _window(width: int) -> np.ndarray:
    """Return the Hann window whose first sample weighs 0 and whose last does not."""
    # numpy's, not scipy.signal's: whose import takes longer than a second, and every start would pay for it.
    return np.hanning(width + 1)[:-1]


def _band_octaves(n_bands: int) -> np.ndarray:
    """Return `[2, K]` the octaves at which bands 1, 2, 3 ... widths above 0 Hz lie, relative to one width.

    The frequency of a voiced band (row 1) is its harmonic's; that of an unvoiced one (row 0) the geometric mean of its
    edges, where a smooth spectrum that falls by 6 dB an octave has its mean power.
    """
    number_K = np.arange(1, n_bands + 1)
    return np.stack([np.log2(number_K**2 - 0.25) / 2, np.log2(number_K)])


@kernel(reorder=True)
def level_differences(frames_TS: np.ndarray, width: int, f0_T: np.ndarray) -> np.ndarray:
    """Measure H1-H2: the level of a frame's projection on F0 above that on 2 F0.

    The frame is folded about its middle, so that cosines meet its even part and sines its odd part.  One rotation by
    F0 a sample makes both; its square is the rotation by 2 F0.

    Args:
        frames_TS: weighted frames whose first sample weighs 0.
        width: samples of a frame, even; what follows is padding.
        f0_T: Hz, NaN where unvoiced.

    Returns:
        `[T]` dB; NaN in unvoiced frames and in those without either harmonic.

    Source: the definition.  Cost: 0.8 us a voiced frame of 640 samples.
    """
    half = width // 2
    difference_T = np.full(len(f0_T), np.nan)
    for frame in range(len(f0_T)):
        if np.isnan(f0_T[frame]):
            continue
        before, behind = frames_TS[frame, 1:half][::-1], frames_TS[frame, half + 1 : width]
        turn = 2 * np.pi * f0_T[frame] / SAMPLE_RATE
        turn_cos, turn_sin = np.cos(turn), np.sin(turn)
        cos, sin = turn_cos, turn_sin
        first_even = second_even = frames_TS[frame, half]
        first_odd = second_odd = 0.0
        for at in range(len(behind)):
            even, odd = behind[at] + before[at], behind[at] - before[at]
            first_even += even * cos
            first_odd += odd * sin
            second_even += even * (2 * cos * cos - 1)
            second_odd += odd * (2 * cos * sin)
            cos, sin = cos * turn_cos - sin * turn_sin, sin * turn_cos + cos * turn_sin
        first = first_even * first_even + first_odd * first_odd
        second = second_even * second_even + second_odd * second_odd
        if first > 0 and second > 0:
            difference_T[frame] = 10 * (np.log10(first) - np.log10(second))
    return difference_T


@kernel
def corrected_differences(difference_T: np.ndarray, f0_T: np.ndarray, formants_T8: np.ndarray) -> np.ndarray:
    """Relieve H1-H2 of what the first two formants add to each harmonic, given their frequencies and bandwidths.

    Args:
        difference_T: H1-H2 in dB, NaN where unvoiced.
        f0_T: Hz.
        formants_T8: F1-F4 and B1-B4 in Hz, NaN where undefined.

    Returns:
        H1*-H2* in dB, `[T]`; NaN where H1-H2, F1, F2 or a bandwidth is NaN.

    Source: Iseli & Alwan (2004).  Cost: 0.2 us a voiced frame.
    """
    corrected_T = difference_T.copy()
    for frame in range(len(difference_T)):
        if np.isnan(difference_T[frame]):
            continue
        for formant in range(2):
            formant_hz, bandwidth_hz = formants_T8[frame, formant], formants_T8[frame, 4 + formant]
            corrected_T[frame] -= formant_gain(f0_T[frame], formant_hz, bandwidth_hz)
            corrected_T[frame] += formant_gain(2 * f0_T[frame], formant_hz, bandwidth_hz)
    return corrected_T


@kernel
def formant_gain(at_hz: float, formant_hz: float, bandwidth_hz: float) -> float:
    """Return in dB what a two-pole resonance adds to the level at a frequency, relative to 0 Hz.

    Source: Iseli & Alwan (2004), at our sampling rate.  Cost: 0.05 us.
    """
    radius = np.exp(-np.pi * bandwidth_hz / SAMPLE_RATE)
    at, formant = 2 * np.pi * at_hz / SAMPLE_RATE, 2 * np.pi * formant_hz / SAMPLE_RATE
    at_zero = 1 - 2 * radius * np.cos(formant) + radius**2
    below = 1 - 2 * radius * np.cos(at - formant) + radius**2
    above = 1 - 2 * radius * np.cos(at + formant) + radius**2
    return 10 * np.log10(at_zero**2 / (below * above))


@kernel
def band_powers(power_GF8: np.ndarray, band_T: np.ndarray, ceiling_hz: float, n_bands: int) -> np.ndarray:
    """Add up the power of each frame in bands of equal width, centred at 1, 2, 3 ... widths.

    Args:
        power_GF8: of `power_spectra`, `TILT_FFT` // 2 + 1 bins; the power of a bin is spread evenly about its middle.
        band_T: width of the bands in Hz.
        ceiling_hz: bands centred up to here count.
        n_bands: columns of the result, enough for the narrowest bands.

    Returns:
        `[T, K]`; infinity behind a frame's last band, NaN for a band that holds no power at all.

    Source: the definition.  Cost: 0.5 us a frame.
    """
    n_bins = power_GF8.shape[1]
    bin_hz = SAMPLE_RATE / TILT_FFT
    power_8F = np.empty((LANES, n_bins))
    power_TK = np.full((len(band_T), n_bands), np.inf)
    for frame in range(len(band_T)):
        if frame % LANES == 0:
            lanes_to_rows(power_GF8[frame // LANES], power_8F)
        power_F = power_8F[frame % LANES]
        upper = min(0.5 * band_T[frame] / bin_hz + 0.5, n_bins - 1)
        # Bins that lie in every band, whatever share of the first they begin with.
        whole = max(int(band_T[frame] / bin_hz) - 1, 0)
        for band in range(n_bands):
            if (band + 1) * band_T[frame] > ceiling_hz:
                break
            lower, upper = upper, min((band + 1.5) * band_T[frame] / bin_hz + 0.5, n_bins - 1)
            power = power_between(power_F, lower, upper, whole)
            power_TK[frame, band] = power if power > 0 else np.nan
    return power_TK


@kernel
def tilts(log_power_TK: np.ndarray, f0_T: np.ndarray, weight_K: np.ndarray, octave_2K: np.ndarray) -> np.ndarray:
    """Measure the spectral tilt: the slope of the least-squares line of band level against log2 of frequency.

    Band number k weighs 1 / k, so that every octave weighs the same.

    Args:
        log_power_TK: natural logarithms of `band_powers`.
        f0_T: Hz, NaN where unvoiced.
        weight_K: what each band weighs.
        octave_2K: of `_band_octaves`; unvoiced, voiced.

    Returns:
        `[T]` dB an octave; NaN where a band holds no power at all.

    Source: the definition.  Cost: 0.1 us a frame.
    """
    tilt_T = np.full(len(f0_T), np.nan)
    for frame in range(len(f0_T)):
        octave_K = octave_2K[0 if np.isnan(f0_T[frame]) else 1]
        weights = octaves = squares = levels = products = 0.0
        for band in range(len(weight_K)):
            level = log_power_TK[frame, band]
            if level == np.inf:
                break
            weight, octave = weight_K[band], octave_K[band]
            weights += weight
            octaves += weight * octave
            squares += weight * octave * octave
            levels += weight * level
            products += weight * octave * level
        slope = (products - octaves * levels / weights) / (squares - octaves * octaves / weights)
        if np.isfinite(slope):
            tilt_T[frame] = 10 / np.log(10) * slope
    return tilt_T


@kernel
def power_between(power_F: np.ndarray, lower: float, upper: float, whole: int) -> float:
    """Return the power between two places; bin f reaches from f to f + 1.

    Args:
        power_F: power of each bin.
        lower: the place where to begin.
        upper: the place where to end.
        whole: bins after the first that surely lie between them; the same number for bands of the same width, so that
            the processor foresees the end of the loop.

    Cost: 0.01 us.
    """
    first, last = int(lower), int(upper)
    if first == last:
        return (upper - lower) * power_F[first]
    power = (first + 1 - lower) * power_F[first] + (upper - last) * power_F[last]
    behind = min(first + 1 + whole, last)
    for value in power_F[first + 1 : behind]:
        power += value
    for value in power_F[behind:last]:
        power += value
    return power
