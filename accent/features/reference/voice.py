"""Voice quality on our grid: harmonics-to-noise ratio, jitter, shimmer, cepstral peak, H1-H2 and spectral tilt.

Praat measures the first four; H1-H2 and tilt follow their definitions, in NumPy, on the 40 ms frame of the pitch
analysis.  Cost: about 55 ms a second of sound, of which the harmonics-to-noise ratio takes 32, jitter and shimmer 12,
the cepstral peak 8 and the rest 2.

Shape legend: N samples at 16 kHz, T frames of 10 ms, V frames with sound (or voiced ones), W samples of a frame,
P glottal pulses, K bands.
"""

import numpy as np
import parselmouth
from parselmouth.praat import call
from scipy.signal import get_window

from accent.features.config import FeatureConfig
from accent.features.reference.grid import brick_wall_resample, padded_sound, without_sound
from accent.features.reference.pitch import PITCH_PERIODS, PitchTrack
from accent.features.schema import FRAMES_PER_SECOND, HOP, SAMPLE_RATE

TIME_STEP = 1 / FRAMES_PER_SECOND
PRAAT_NO_HARMONICITY = -200.0
"""What Praat answers, in dB, for a frame without any periodicity."""
CEPSTRUM_RATE = 10_000
"""Hz; twice the highest frequency that the cepstrum sees (Praat's default of 5 kHz)."""
CEPSTRUM_PERIODS = 6
"""Periods of the cepstral floor in Praat's window."""
CEPSTRUM_PRE_EMPHASIS_HZ = 50
"""Praat's default."""
PEAK_TOLERANCE = 0.05
"""Praat's default (tolerance 0..1); it decides about rahmonics, not about the prominence."""
TILT_FFT = 1024
"""Points of the spectrum of the 40 ms frame: 16 Hz apart, finer than any band."""


def voice_frames(
    unfiltered_N: np.ndarray, pitch: PitchTrack, formants_T8: np.ndarray, config: FeatureConfig
) -> np.ndarray:
    """Measure all columns of the family "voice".

    Args:
        unfiltered_N: sound at 16 kHz, neither filtered nor normalised.
        pitch: its pitch track.
        formants_T8: F1-F4 and B1-B4 in Hz, NaN where undefined.
        config: windows and limits.

    Returns:
        `[T, 7]` float64, T = N // 160 + 1, in the order of the schema; NaN where undefined.
    """
    frames_TW = pitch_frames(unfiltered_N, config.pitch_floor_hz)
    jitter_T, shimmer_T = jitter_and_shimmer(pitch, config)
    h1_h2_T, corrected_T = first_harmonics(frames_TW, pitch.f0_T, formants_T8)
    return np.stack(
        [
            harmonicity(unfiltered_N, config),
            jitter_T,
            shimmer_T,
            cepstral_peak_prominence(unfiltered_N, config),
            h1_h2_T,
            corrected_T,
            spectral_tilt(frames_TW, pitch.f0_T, config),
        ],
        axis=1,
    )


def harmonicity(unfiltered_N: np.ndarray, config: FeatureConfig) -> np.ndarray:
    """Measure the harmonics-to-noise ratio in dB, `[T]`, NaN where Praat finds no periodicity.

    Source: Boersma (1993); Praat manual, "Sound: To Harmonicity (ac)...".
    """
    window_seconds = 2 * config.hnr_periods_per_window / config.hnr_floor_hz
    sound, _ = padded_sound(unfiltered_N, SAMPLE_RATE, HOP, window_seconds, "even")
    harmonicity_T = sound.to_harmonicity_ac(
        time_step=TIME_STEP,
        minimum_pitch=config.hnr_floor_hz,
        silence_threshold=config.hnr_silence_threshold,
        periods_per_window=config.hnr_periods_per_window,
    ).values[0]
    return np.where(harmonicity_T == PRAAT_NO_HARMONICITY, np.nan, harmonicity_T)


def glottal_pulses(pitch: PitchTrack) -> parselmouth.Data:
    """Return Praat's glottal pulses (a PointProcess, in seconds of `pitch.sound`).

    Source: Praat manual, "Sound & Pitch: To PointProcess (cc)".
    """
    return call([pitch.sound, pitch.pitch], "To PointProcess (cc)")


def pulse_times(pulses: parselmouth.Data) -> np.ndarray:
    """Return the times `[P]` of a PointProcess in seconds."""
    if call(pulses, "Get number of points") == 0:
        return np.empty(0)
    return call(pulses, "To Matrix").values[0]


def jitter_and_shimmer(pitch: PitchTrack, config: FeatureConfig) -> tuple[np.ndarray, np.ndarray]:
    """Measure local jitter and local shimmer around each frame.

    A frame reads the pulses up to `jitter_window_seconds` away.  Both are NaN where they hold fewer than
    `jitter_min_periods` periods.

    Returns:
        Jitter and shimmer `[T]` as ratios: the mean difference between neighbouring periods (amplitudes) over their
        mean.

    Source: Praat manual, "PointProcess: Get jitter (local)..." and "Voice 3. Shimmer".
    """
    pulses = glottal_pulses(pitch)
    from_T = pitch.times_T - config.jitter_window_seconds
    to_T = pitch.times_T + config.jitter_window_seconds
    periods_T = count_periods(pulse_times(pulses), from_T, to_T, config)
    limits = (config.period_floor_seconds, config.period_ceiling_seconds, config.max_period_factor)
    jitter_T = np.full(len(from_T), np.nan)
    shimmer_T = np.full(len(from_T), np.nan)
    for frame in np.flatnonzero(periods_T >= config.jitter_min_periods):
        window = (from_T[frame], to_T[frame])
        jitter_T[frame] = call(pulses, "Get jitter (local)", *window, *limits)
        shimmer_T[frame] = call(
            [pitch.sound, pulses], "Get shimmer (local)", *window, *limits, config.max_amplitude_factor
        )
    return jitter_T, shimmer_T


def is_period(times_P: np.ndarray, config: FeatureConfig) -> np.ndarray:
    """Tell which intervals between neighbouring pulses are periods, as Praat does (found by experiment).

    An interval is one if its length lies between floor and ceiling and at least one of its neighbours is as long up to
    the maximum period factor.  The very first and the very last interval need no such neighbour.

    Args:
        times_P: the pulses of the whole recording, in seconds.
        config: floor, ceiling and factor.

    Returns:
        bool `[P - 1]`.
    """
    interval_P = np.diff(times_P)
    within_P = (interval_P >= config.period_floor_seconds) & (interval_P <= config.period_ceiling_seconds)
    longer_P = np.maximum(interval_P[1:], interval_P[:-1])
    alike_P = longer_P <= config.max_period_factor * np.minimum(interval_P[1:], interval_P[:-1])
    return within_P & (np.append(True, alike_P) | np.append(alike_P, True))[: len(interval_P)]


def count_periods(times_P: np.ndarray, from_T: np.ndarray, to_T: np.ndarray, config: FeatureConfig) -> np.ndarray:
    """Count the periods that lie wholly within each window: Praat's "Get number of periods", all windows at once."""
    periods_before_P = np.concatenate([[0], np.cumsum(is_period(times_P, config))])
    first_T = np.searchsorted(times_P, from_T, side="left")
    last_T = np.searchsorted(times_P, to_T, side="right") - 1
    inside_T = last_T > first_T
    counts_T = np.zeros(len(from_T), dtype=np.int64)
    counts_T[inside_T] = periods_before_P[last_T[inside_T]] - periods_before_P[first_T[inside_T]]
    return counts_T


def power_cepstrogram(
    unfiltered_N: np.ndarray, config: FeatureConfig, first_frame: int = 0, n_frames: int | None = None
) -> parselmouth.Data:
    """Return Praat's PowerCepstrogram with one column for each frame of the grid, or of a part of it.

    Args:
        unfiltered_N: sound at 16 kHz, neither filtered nor normalised.
        config: `cpp_floor_hz` decides the window.
        first_frame: first frame wanted; its window sees the sound before it.
        n_frames: how many frames are wanted; all that follow if not given.

    Source: Praat manual, "Sound: To PowerCepstrogram...".
    """
    hop = CEPSTRUM_RATE // FRAMES_PER_SECOND
    window_seconds = CEPSTRUM_PERIODS / config.cpp_floor_hz
    resampled_N = brick_wall_resample(unfiltered_N, CEPSTRUM_RATE)
    sound, times_T = padded_sound(resampled_N, CEPSTRUM_RATE, hop, window_seconds, "odd")
    n_frames = len(times_T) - first_frame if n_frames is None else n_frames
    # What padding adds belongs to one frame; every further frame takes one hop.
    length = sound.n_samples - (len(times_T) - n_frames) * hop
    part = sound.values[0, first_frame * hop : first_frame * hop + length]
    return call(
        parselmouth.Sound(part, CEPSTRUM_RATE),
        "To PowerCepstrogram",
        config.cpp_floor_hz,
        TIME_STEP,
        CEPSTRUM_RATE / 2,
        CEPSTRUM_PRE_EMPHASIS_HZ,
    )


def cepstral_peak_prominence(unfiltered_N: np.ndarray, config: FeatureConfig) -> np.ndarray:
    """Measure the cepstral peak prominence of each frame in dB, `[T]`, NaN in digital silence.

    The height of the highest peak of the power cepstrum between 1 / ceiling and 1 / floor (parabolic interpolation)
    above a straight line fitted robustly between the two trend quefrencies.

    Source: Hillenbrand, Cleveland & Erickson (1994), Acoustic correlates of breathy vocal quality; Praat manual,
    "PowerCepstrum: Get peak prominence...".
    """
    table = call(
        power_cepstrogram(unfiltered_N, config),
        "To Table (peak prominence)",
        config.cpp_floor_hz,
        config.cpp_ceiling_hz,
        PEAK_TOLERANCE,
        "parabolic",
        config.cpp_trend_from_seconds,
        config.cpp_trend_to_seconds,
        "Straight",
        "Robust",
    )
    columns = [call(table, "Get column label", number + 1) for number in range(call(table, "Get number of columns"))]
    prominence_T = call(table, "Down to Matrix").values[:, columns.index("cpp")].copy()
    prominence_T[without_sound(unfiltered_N, CEPSTRUM_PERIODS / config.cpp_floor_hz)] = np.nan
    return prominence_T


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
