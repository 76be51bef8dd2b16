"""Spectral moments of fricatives: where their noise lies, how far it spreads, how lopsided and how peaked it is.

Cost: about 0.1 ms a fricative.

Shape legend: N samples at 16 kHz, F frequencies.
"""

from collections.abc import Sequence

import numpy as np
from scipy.signal import get_window

from accent.features.schema import SAMPLE_RATE
from accent.features.utterance.rhythm import Interval

FRICATIVES: tuple[str, ...] = ("F", "V", "TH", "DH", "S", "Z", "SH", "ZH")
MOMENTS: tuple[str, ...] = ("centre_of_gravity_hz", "spread_hz", "skewness", "kurtosis")
FRICATIVE_COLUMNS: tuple[str, ...] = tuple(
    f"{fricative.lower()}_{moment}" for fricative in FRICATIVES for moment in MOMENTS
)
MIN_SAMPLES = 128
"""A shorter middle half (8 ms) tells too little about frequency."""


def fricative_moments(unfiltered_N: np.ndarray, intervals: Sequence[Interval], lowest_hz: float) -> dict[str, float]:
    """Measure the spectral moments of every fricative over its middle half, averaged over its occurrences.

    Args:
        unfiltered_N: the whole recording at 16 kHz.
        intervals: the phones, in seconds of the recording.
        lowest_hz: frequencies below are left out.

    Returns:
        A value for each of `FRICATIVE_COLUMNS`; NaN for fricatives that do not occur or are too short.

    Source: Forrest, Weismer, Milenkovic & Dougall (1988), Statistical analysis of word-initial voiceless obstruents.
    """
    found: dict[str, list[np.ndarray]] = {fricative: [] for fricative in FRICATIVES}
    for start, end, label in intervals:
        if label not in found:
            continue
        quarter = (end - start) / 4
        middle_N = unfiltered_N[round((start + quarter) * SAMPLE_RATE) : round((end - quarter) * SAMPLE_RATE)]
        if len(middle_N) >= MIN_SAMPLES:
            found[label].append(spectral_moments(middle_N, lowest_hz))
    values: list[float] = []
    for moments in found.values():
        defined = [each for each in moments if np.isfinite(each).all()]
        values.extend(np.mean(defined, axis=0) if defined else [np.nan] * len(MOMENTS))
    return {column: float(value) for column, value in zip(FRICATIVE_COLUMNS, values, strict=True)}


def spectral_moments(samples_N: np.ndarray, lowest_hz: float) -> np.ndarray:
    """Return centre of gravity (Hz), standard deviation (Hz), skewness and excess kurtosis of a power spectrum.

    The power spectrum of the Hann-weighted samples, from `lowest_hz` up, is read as a distribution over frequency.

    Args:
        samples_N: sound at 16 kHz.
        lowest_hz: frequencies below are left out.

    Returns:
        `[4]`; NaN where there is no power.
    """
    weighted_N = (samples_N - samples_N.mean()) * get_window("hann", len(samples_N))
    power_F = np.abs(np.fft.rfft(weighted_N)) ** 2
    hertz_F = np.fft.rfftfreq(len(samples_N), 1 / SAMPLE_RATE)
    power_F[hertz_F < lowest_hz] = 0
    if power_F.sum() == 0:
        return np.full(len(MOMENTS), np.nan)
    share_F = power_F / power_F.sum()
    centre = (share_F * hertz_F).sum()
    second, third, fourth = ((share_F * (hertz_F - centre) ** order).sum() for order in (2, 3, 4))
    if second == 0:
        return np.full(len(MOMENTS), np.nan)
    return np.array([centre, np.sqrt(second), third / second**1.5, fourth / second**2 - 3])
