"""Is this speech?  Noise and music get an accent from any model; `identify` and `verify` refuse them with the reason.

Three numbers decide, all of them read from columns that are there anyway:

    voiced    share of the frames that have a pitch
    steady    share of the steps from a voiced frame to the next that move the pitch by less than 0.03 semitones: a note
              holds still, a voice never does
    level     standard deviation of the loudness, in dB: speech has pauses and syllables

    voiced < 0.15                              noise
    level < 2.0 dB                             noise, or a machine
    steady > 0.40                              music, or a tone
    steady > 0.22 and level < 5.0 dB           music, or a machine

Measured by `python -m tests.benchmarks.speech_check`: the numbers are in this room's README.  Singing is not told from
speech, nor is a crowd.  Silence is refused before this, when the sound is prepared.

Shapes: T frames, D columns.  Cost: a few passes over one column and over the mel columns, under a millisecond.
"""

from typing import NamedTuple

import numpy as np

from accent.features.schema import column_index, family_slices

LEAST_VOICED = 0.15
STILL_SEMITONES = 0.03
LEAST_LEVEL_DB = 2.0
MOST_STEADY = 0.40
MOST_STEADY_IF_LEVEL = 0.22
LEVEL_DB = 5.0
LEAST_STEPS = 30
"""Steps between voiced frames from which on `steady` is believed."""
_F0 = column_index("f0_hz")
_MEL = family_slices()["mel"]


class SoundKind(NamedTuple):
    """What the check looks at."""

    voiced: float
    """Share of the frames that have a pitch."""
    steady: float
    """Share of the steps between voiced frames that hold the pitch still; 0 where there are too few."""
    level_db: float
    """Standard deviation of the loudness."""

    @property
    def reason(self) -> str | None:
        """Why this is no speech; None if it may be."""
        if self.voiced < LEAST_VOICED:
            return f"noise, not speech: {self.voiced:.0%} of it is voiced, speech is from {LEAST_VOICED:.0%} on"
        if self.level_db < LEAST_LEVEL_DB:
            return f"noise or a machine, not speech: its loudness varies by {self.level_db:.1f} dB only"
        if self.steady > MOST_STEADY:
            return f"music or a tone, not speech: its pitch holds still for {self.steady:.0%} of the time"
        if self.steady > MOST_STEADY_IF_LEVEL and self.level_db < LEVEL_DB:
            return (
                f"music or a machine, not speech: its pitch holds still for {self.steady:.0%} of the time, "
                f"and its loudness varies by {self.level_db:.1f} dB only"
            )
        return None


def kind_of_sound(frames_TD: np.ndarray) -> SoundKind:
    """Measure what tells speech from noise and music.

    Args:
        frames_TD: schema columns in raw units, NaN where undefined.
    """
    f0_T = frames_TD[:, _F0].astype(np.float64)
    voiced_T = np.isfinite(f0_T) & (f0_T > 0)
    semitones_T = 12 * np.log2(np.where(voiced_T, f0_T, 1.0))
    steps = np.abs(np.diff(semitones_T))[voiced_T[1:] & voiced_T[:-1]]
    steady = float((steps < STILL_SEMITONES).mean()) if len(steps) >= LEAST_STEPS else 0.0
    power_T = (10.0 ** (frames_TD[:, _MEL].astype(np.float64) / 10)).mean(1)
    return SoundKind(float(voiced_T.mean()), steady, float(np.std(10 * np.log10(power_T + 1e-12))))
