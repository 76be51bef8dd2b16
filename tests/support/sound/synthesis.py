"""Signals whose answers are known before anything is measured: the oracle of the feature tests.

Everything is float64 mono at 16 kHz and costs a few milliseconds a second of sound.  Shape legend: N samples,
P pulses, H harmonics.
"""

from collections.abc import Sequence

import numpy as np
from scipy.signal import lfilter

RATE = 16_000
VOWELS = {
    "a": (700.0, 1200.0, 2600.0, 3500.0, 4500.0),
    "i": (300.0, 2300.0, 3000.0, 3700.0, 4600.0),
    "u": (320.0, 800.0, 2500.0, 3400.0, 4500.0),
}
"""Five formants each, in Hz."""


def alternating_pulse_times(period: float, jitter: float, seconds: float, start: float = 0.0) -> np.ndarray:
    """Return pulse times [P] in seconds whose periods are period x (1 + jitter / 2) and x (1 - jitter / 2) in turn.

    Neighbouring periods differ by jitter x period every time and their mean is `period`, so local jitter is `jitter`.
    Two periods together repeat exactly: keep them longer than the longest period the pitch analysis looks for, or it
    will take them for one.
    """
    n_periods = int((seconds - start) / period) - 1
    periods = period * (1 + 0.5 * jitter * (-1.0) ** np.arange(n_periods))
    return start + np.concatenate([[0.5 * period], 0.5 * period + np.cumsum(periods)])


def alternating_amplitudes(n_pulses: int, shimmer: float) -> np.ndarray:
    """Return amplitudes [P] that alternate about 1 so that local shimmer is `shimmer`."""
    return 1 + 0.5 * shimmer * (-1.0) ** np.arange(n_pulses)


def pulses(times_P: np.ndarray, amplitudes_P: np.ndarray, seconds: float, width: float = 1.5e-4) -> np.ndarray:
    """Return [N] samples with a Gaussian pulse at each time; `width` is its standard deviation in seconds.

    The default is smooth enough that a time between two samples stays exact, and short enough to have harmonics up to
    2 kHz.
    """
    clock_N = np.arange(round(seconds * RATE)) / RATE
    samples_N = np.zeros_like(clock_N)
    reach = int(8 * width * RATE) + 1
    for time, amplitude in zip(times_P, amplitudes_P, strict=True):
        near = slice(max(0, int(time * RATE) - reach), int(time * RATE) + reach + 1)
        samples_N[near] += amplitude * np.exp(-0.5 * ((clock_N[near] - time) / width) ** 2)
    return samples_N


def harmonics(
    f0: float, seconds: float, db_per_octave: float = 0.0, highest_hz: float = 7_600.0, seed: int = 0
) -> np.ndarray:
    """Return [N] a sum of all harmonics of `f0` up to `highest_hz`, levels falling by `db_per_octave`.

    Phases are random (seeded), so that the signal has no pulse for an analysis to hide in.
    """
    levels_H = db_per_octave * np.log2(np.arange(1, int(highest_hz / f0) + 1))
    return harmonics_at_levels(f0, levels_H.tolist(), seconds, seed)


def harmonics_at_levels(f0: float, levels_db: Sequence[float], seconds: float, seed: int = 0) -> np.ndarray:
    """Return [N] a sum of the first harmonics of `f0` at the given levels in dB (0 dB is amplitude 1)."""
    clock_N = np.arange(round(seconds * RATE)) / RATE
    phases_H = np.random.default_rng(seed).uniform(0, 2 * np.pi, len(levels_db))
    samples_N = np.zeros_like(clock_N)
    for number, (level, phase) in enumerate(zip(levels_db, phases_H, strict=True), start=1):
        samples_N += 10 ** (level / 20) * np.cos(2 * np.pi * number * f0 * clock_N + phase)
    return samples_N


def noise(seconds: float, db_per_octave: float = 0.0, seed: int = 0) -> np.ndarray:
    """Return [N] Gaussian noise whose power per hertz falls by `db_per_octave` (flat below 20 Hz), of unit power."""
    n_samples = round(seconds * RATE)
    spectrum = np.fft.rfft(np.random.default_rng(seed).standard_normal(n_samples))
    frequencies = np.maximum(np.fft.rfftfreq(n_samples, 1 / RATE), 20.0)
    samples_N = np.fft.irfft(spectrum * 10 ** (db_per_octave * np.log2(frequencies / 1_000) / 20), n_samples)
    return samples_N / np.sqrt(np.mean(samples_N**2))


def harmonics_plus_noise(f0: float, hnr_db: float, seconds: float, seed: int = 0) -> np.ndarray:
    """Return [N] a periodic sound plus white noise at a known ratio of their powers."""
    periodic_N = harmonics(f0, seconds, db_per_octave=-6.0, seed=seed)
    periodic_N /= np.sqrt(np.mean(periodic_N**2))
    return periodic_N + noise(seconds, seed=seed + 1) * 10 ** (-hnr_db / 20)


def resonate(source_N: np.ndarray, formants: Sequence[float], bandwidths: Sequence[float]) -> np.ndarray:
    """Return the source [N] after a cascade of two-pole resonators (hertz), each with gain 1 at 0 Hz (Klatt 1980)."""
    filtered_N = source_N
    for frequency, bandwidth in zip(formants, bandwidths, strict=True):
        radius = np.exp(-np.pi * bandwidth / RATE)
        poles = [1.0, -2 * radius * np.cos(2 * np.pi * frequency / RATE), radius**2]
        filtered_N = lfilter([sum(poles)], poles, filtered_N)
    return filtered_N


def vowel(
    f0: float,
    formants: Sequence[float],
    seconds: float,
    bandwidths: Sequence[float] = (60.0, 90.0, 120.0, 150.0, 200.0),
    db_per_octave: float = -12.0,
) -> np.ndarray:
    """Return [N] a steady vowel: a harmonic source of known slope through resonators at `formants` hertz, peak 0.5."""
    source_N = harmonics(f0, seconds, db_per_octave)
    vowel_N = resonate(source_N, formants, tuple(bandwidths)[: len(formants)])
    return 0.5 * vowel_N / np.max(np.abs(vowel_N))
