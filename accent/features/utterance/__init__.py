"""Values of the utterance as a whole: voice report, delivery, and with an alignment rhythm, vowels and fricatives.

A new group of values is one more module and one more line in `UTTERANCE_COLUMNS` and `utterance_features`.

Cost: 0.02 ms an utterance besides the voice report, which the backend measures; with an alignment 0.3 ms.

Shape legend: T frames of 10 ms of the kept region, D columns of the schema.
"""

from collections.abc import Sequence

from accent.audio.prepare import Speech
from accent.features.backend import VOICE_REPORT_COLUMNS, Analysis
from accent.features.config import FeatureConfig
from accent.features.schema import column_index
from accent.features.utterance.delivery import DELIVERY_COLUMNS, delivery
from accent.features.utterance.fricatives import FRICATIVE_COLUMNS, fricative_moments
from accent.features.utterance.rhythm import DURATION_COLUMNS, RHYTHM_COLUMNS, Interval, phone_durations, rhythm
from accent.features.utterance.vowels import VOWEL_COLUMNS, vowel_space

ALIGNMENT_COLUMNS: tuple[str, ...] = (*RHYTHM_COLUMNS, *DURATION_COLUMNS, *VOWEL_COLUMNS, *FRICATIVE_COLUMNS)
"""Values that need to know the phones; NaN without an alignment."""
UTTERANCE_COLUMNS: tuple[str, ...] = (*DELIVERY_COLUMNS, *VOICE_REPORT_COLUMNS, *ALIGNMENT_COLUMNS)
"""All values, in the order in which they are stored; units are in the names."""


def utterance_features(
    speech: Speech,
    analysis: Analysis,
    intervals: Sequence[Interval] | None,
    config: FeatureConfig,
) -> dict[str, float]:
    """Measure the utterance as a whole.

    Args:
        speech: the prepared recording.
        analysis: what the backend measured of it.
        intervals: the phones in seconds of the original recording, in order of time, if there is an alignment.
        config: settings of the analyses.

    Returns:
        A value for each of `UTTERANCE_COLUMNS`, in that order; NaN where undefined.
    """
    frames_TD = analysis.frames_TD[speech.kept]
    f0_T, f1_T, f2_T = (frames_TD[:, column_index(name)] for name in ("f0_hz", "f1_hz", "f2_hz"))
    values = {**delivery(f0_T, analysis.smooth_intensity_T[speech.kept], config), **analysis.voice_report}
    if intervals is None:
        values.update(dict.fromkeys(ALIGNMENT_COLUMNS, float("nan")))
    else:
        values.update(rhythm(intervals))
        values.update(phone_durations(intervals))
        values.update(vowel_space(f1_T, f2_T, speech.first_frame, intervals))
        values.update(fricative_moments(speech.unfiltered_N, intervals, config.fricative_lowest_hz))
    return {column: values[column] for column in UTTERANCE_COLUMNS}
