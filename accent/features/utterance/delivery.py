"""How the utterance is delivered: its length, pauses, syllable rate and melody; no phones are needed.

Cost: 0.05 ms an utterance.

Shape legend: T frames of 10 ms of the kept region.
"""

import math

import numpy as np

from accent.features.config import FeatureConfig
from accent.features.kernels.syllables import peaks_between_dips
from accent.grid import FRAMES_PER_SECOND

DELIVERY_COLUMNS: tuple[str, ...] = (
    "duration_seconds",
    "speech_share",
    "pause_count",
    "pause_mean_seconds",
    "syllables_per_second",
    "voiced_share",
    "f0_median_hz",
    "f0_range_semitones",
)
LOUD_QUANTILE = 0.99
"""Intensity that stands for the loud parts, as a quantile: single clicks do not decide."""
F0_QUANTILES = (0.05, 0.5, 0.95)
"""Low end of the range, median, high end."""


def delivery(f0_T: np.ndarray, intensity_T: np.ndarray, config: FeatureConfig) -> dict[str, float]:
    """Measure length, pauses, syllable rate and melody of the kept region.

    Pauses are stretches of at least `pause_min_seconds` whose intensity stays `pause_below_db` under the loud parts.
    Silence at the edges of the region is not speech, and no pause either.  The syllable rate is an articulation rate:
    nuclei a second of speech without pauses.  The range of F0 runs from the 5th to the 95th percentile.

    Args:
        f0_T: Hz, NaN where unvoiced.
        intensity_T: dB, through the window of 128 ms of the published method; the frame column `intensity_db` has one
            of 85 ms.
        config: what is a pause and what is a dip.

    Returns:
        A value for each of `DELIVERY_COLUMNS`, NaN where undefined.

    Source: de Jong & Wempe (2009), Praat script to detect syllable nuclei and measure speech rate automatically.
    Their script asks for a dip after a peak only, so never counts the last one, and looks for pitch at 30 to 450 Hz.
    """
    (loud_db,) = quantiles(intensity_T, (LOUD_QUANTILE,))
    silence_db = loud_db - config.pause_below_db
    voiced_T = np.isfinite(f0_T)
    voiced_frames = int(np.count_nonzero(voiced_T))

    min_frames = config.pause_min_seconds * FRAMES_PER_SECOND
    silences = [(start, end) for start, end in _runs(intensity_T < silence_db) if end - start >= min_frames]
    pauses = [end - start for start, end in silences if start > 0 and end < len(intensity_T)]
    speech_frames = len(intensity_T) - sum(end - start for start, end in silences)
    nuclei = syllable_nuclei(intensity_T, voiced_T, silence_db, config.syllable_dip_db)
    f0_low, f0_median, f0_high = quantiles(f0_T[voiced_T], F0_QUANTILES) if voiced_frames else (math.nan,) * 3
    values = (
        len(intensity_T) / FRAMES_PER_SECOND,
        speech_frames / len(intensity_T),
        len(pauses),
        sum(pauses) / len(pauses) / FRAMES_PER_SECOND if pauses else math.nan,
        len(nuclei) / speech_frames * FRAMES_PER_SECOND,
        voiced_frames / len(f0_T),
        f0_median,
        12 * math.log2(f0_high / f0_low),
    )
    return {column: float(value) for column, value in zip(DELIVERY_COLUMNS, values, strict=True)}


def quantiles(values: np.ndarray, shares: tuple[float, ...]) -> list[float]:
    """Return quantiles of some values, between two of them in proportion; NaN if any of the values is NaN.

    The same as `np.quantile`, whose generality costs ten times as long as the sorting.

    >>> quantiles(np.array([3.0, 1.0, 2.0]), (0.5, 0.75))
    [2.0, 2.5]
    """
    ordered = np.sort(values)
    if math.isnan(ordered[-1]):
        return [math.nan] * len(shares)
    found = []
    for share in shares:
        position = share * (len(ordered) - 1)
        below = int(position)
        low, high = float(ordered[below]), float(ordered[min(below + 1, len(ordered) - 1)])
        found.append(low + (high - low) * (position - below))
    return found


def syllable_nuclei(intensity_T: np.ndarray, voiced_T: np.ndarray, silence_db: float, dip_db: float) -> np.ndarray:
    """Return the frames of the syllable nuclei: voiced peaks of intensity with a dip between any two of them.

    Between two neighbouring peaks the intensity falls at least `dip_db` below both; of peaks with less of a dip between
    them the highest counts.

    Args:
        intensity_T: dB.
        voiced_T: bool.
        silence_db: peaks below this level do not count.
        dip_db: depth of a dip that parts two nuclei.
    """
    candidates = peaks_between_dips(np.ascontiguousarray(intensity_T), dip_db)
    return candidates[voiced_T[candidates] & (intensity_T[candidates] >= silence_db)]


def _runs(condition_T: np.ndarray) -> list[tuple[int, int]]:
    """Return first frame and end (exclusive) of each unbroken stretch where the condition holds."""
    if not condition_T.any():
        return []
    edges = np.flatnonzero(np.diff(condition_T.view(np.int8), prepend=0, append=0)).tolist()
    return list(zip(edges[::2], edges[1::2], strict=True))
