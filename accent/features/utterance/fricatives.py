"""Spectral moments of fricatives: where their noise lies, how far it spreads, how lopsided and how peaked it is.

Cost: about 0.02 ms a fricative.

Shape legend: N samples at 16 kHz, F frequencies from 0 to half the sampling rate.
"""

import math
from collections.abc import Sequence

import numpy as np

from accent.dsp.moments import moments_of_spectrum
from accent.features.utterance.rhythm import Interval
from accent.grid import SAMPLE_RATE

FRICATIVES: tuple[str, ...] = ("F", "V", "TH", "DH", "S", "Z", "SH", "ZH")
MOMENTS: tuple[str, ...] = ("centre_of_gravity_hz", "spread_hz", "skewness", "kurtosis")
FRICATIVE_COLUMNS: tuple[str, ...] = tuple(
    f"{fricative.lower()}_{moment}" for fricative in FRICATIVES for moment in MOMENTS
)
MIN_SAMPLES = 128
"""A shorter middle half (8 ms) tells too little about frequency."""


def fricative_moments(unfiltered_N: np.ndarray, intervals: Sequence[Interval], lowest_hz: float) -> dict[str, float]:
    """Measure the spectral moments of each fricative over its middle half, averaged over its occurrences.

    Args:
        unfiltered_N: the whole recording at 16 kHz.
        intervals: the phones, in seconds of the recording.
        lowest_hz: frequencies below are left out.

    Returns:
        A value for each of `FRICATIVE_COLUMNS`; NaN for fricatives that do not occur or are too short.

    Source: Forrest, Weismer, Milenkovic & Dougall (1988), Statistical analysis of word-initial voiceless obstruents.
    """
    found: dict[str, list[tuple[float, ...]]] = {fricative: [] for fricative in FRICATIVES}
    for start, end, label in intervals:
        if label not in found:
            continue
        quarter = (end - start) / 4
        middle_N = unfiltered_N[round((start + quarter) * SAMPLE_RATE) : round((end - quarter) * SAMPLE_RATE)]
        if len(middle_N) >= MIN_SAMPLES:
            found[label].append(spectral_moments(middle_N, lowest_hz))
    values: list[float] = []
    for moments in found.values():
        defined = [each for each in moments if all(map(math.isfinite, each))]
        values.extend(math.fsum(one) / len(defined) for one in zip(*defined, strict=True))
        values.extend([math.nan] * (0 if defined else len(MOMENTS)))
    return dict(zip(FRICATIVE_COLUMNS, values, strict=True))


def spectral_moments(samples_N: np.ndarray, lowest_hz: float) -> tuple[float, float, float, float]:
    """Return centre of gravity (Hz), standard deviation (Hz), skewness and excess kurtosis of a power spectrum.

    The power spectrum of the Hann-weighted samples, from `lowest_hz` up, is read as a distribution over frequency.

    Args:
        samples_N: sound at 16 kHz.
        lowest_hz: frequencies below are left out.

    Returns:
        The four; NaN where there is no power.
    """
    spectrum_F = np.fft.rfft(samples_N - samples_N.mean())
    step_hz = 1 / (len(samples_N) * (1 / SAMPLE_RATE))  # rounded as by np.fft.rfftfreq, for what lies on the limit
    moments: tuple[float, float, float, float] = moments_of_spectrum(spectrum_F, len(samples_N), step_hz, lowest_hz)
    return moments
