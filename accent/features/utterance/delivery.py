"""How the utterance is delivered: its length, pauses, syllable rate and melody; no phones are needed.

Cost: about 1 ms a second of sound.

Shape legend: T frames of 10 ms of the kept region.
"""

import numpy as np

from accent.audio import Speech
from accent.features.config import FeatureConfig
from accent.features.reference.grid import padded_sound
from accent.features.reference.pitch import INTENSITY_PERIODS, TIME_STEP, PitchTrack
from accent.features.schema import FRAMES_PER_SECOND, HOP, SAMPLE_RATE

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
NUCLEI_FLOOR_HZ = 50.0
"""Pitch floor of the intensity contour that syllable nuclei are looked for in: a window of 128 ms."""
LOUD_QUANTILE = 0.99
"""Intensity that stands for the loud parts, as a quantile: single clicks do not decide."""
F0_QUANTILES = (0.05, 0.5, 0.95)
"""Low end of the range, median, high end."""


def delivery(speech: Speech, pitch: PitchTrack, config: FeatureConfig) -> dict[str, float]:
    """Measure length, pauses, syllable rate and melody of the kept region.

    Pauses are stretches of at least `pause_min_seconds` whose intensity stays `pause_below_db` under the loud parts.
    Silence at the edges of the region is not speech, and no pause either.  The syllable rate is an articulation rate:
    nuclei a second of speech without pauses.  The range of F0 runs from the 5th to the 95th percentile.

    Returns:
        A value for each of `DELIVERY_COLUMNS`, NaN where undefined.

    Source: de Jong & Wempe (2009), Praat script to detect syllable nuclei and measure speech rate automatically.
    Their script asks for a dip after a peak only, so never counts the last one, and looks for pitch at 30 to 450 Hz.
    """
    intensity_T = smooth_intensity(speech)
    silence_db = np.quantile(intensity_T, LOUD_QUANTILE) - config.pause_below_db
    f0_T = pitch.f0_T[speech.kept]
    voiced_T = np.isfinite(f0_T)

    min_frames = config.pause_min_seconds * FRAMES_PER_SECOND
    silences = [(start, end) for start, end in _runs(intensity_T < silence_db) if end - start >= min_frames]
    pauses = [end - start for start, end in silences if start > 0 and end < len(intensity_T)]
    speech_frames = len(intensity_T) - sum(end - start for start, end in silences)
    nuclei = syllable_nuclei(intensity_T, voiced_T, silence_db, config.syllable_dip_db)
    f0_low, f0_median, f0_high = np.nan, np.nan, np.nan
    if voiced_T.any():
        f0_low, f0_median, f0_high = np.quantile(f0_T[voiced_T], F0_QUANTILES)
    values = (
        len(intensity_T) / FRAMES_PER_SECOND,
        speech_frames / len(intensity_T),
        len(pauses),
        np.mean(pauses) / FRAMES_PER_SECOND if pauses else np.nan,
        len(nuclei) / speech_frames * FRAMES_PER_SECOND,
        np.mean(voiced_T),
        f0_median,
        12 * np.log2(f0_high / f0_low),
    )
    return {column: float(value) for column, value in zip(DELIVERY_COLUMNS, values, strict=True)}


def smooth_intensity(speech: Speech) -> np.ndarray:
    """Return the intensity of the kept region in dB, `[T]`, through a window of 128 ms.

    That is the window of the published method; the frame column `intensity_db` has one of 85 ms.
    """
    sound, _ = padded_sound(speech.unfiltered_N, SAMPLE_RATE, HOP, INTENSITY_PERIODS / NUCLEI_FLOOR_HZ, "odd")
    return sound.to_intensity(NUCLEI_FLOOR_HZ, TIME_STEP, True).values[0, speech.kept]


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
    peaks = []
    highest, lowest = 0, 0
    rising = True
    for frame, level in enumerate(intensity_T):
        if rising:
            if level > intensity_T[highest]:
                highest = frame
            elif level <= intensity_T[highest] - dip_db:
                peaks.append(highest)
                lowest, rising = frame, False
        elif level < intensity_T[lowest]:
            lowest = frame
        elif level >= intensity_T[lowest] + dip_db:
            highest, rising = frame, True
    if rising:
        peaks.append(highest)
    candidates = np.array(peaks, dtype=np.int64)
    return candidates[voiced_T[candidates] & (intensity_T[candidates] >= silence_db)]


def _runs(condition_T: np.ndarray) -> list[tuple[int, int]]:
    """Return first frame and end (exclusive) of every unbroken stretch where the condition holds."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], condition_T, [False]]).astype(np.int8)))
    return [(int(start), int(end)) for start, end in edges.reshape(-1, 2)]
