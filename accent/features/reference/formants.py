"""Formants by Burg's method, by Praat, on our grid.

Praat is given the sound at exactly twice the ceiling, so that it does no resampling of its own: its resampler and ours
differ enough to move formants.

Cost: about 10 ms a second of sound.

Shape legend: N samples at 16 kHz, T frames of 10 ms, 8 columns: F1..F4, B1..B4.
"""

import numpy as np

from accent.dsp.resample import brick_wall_resample
from accent.dsp.silence import without_sound
from accent.features.config import FeatureConfig
from accent.features.definitions import N_FORMANTS
from accent.features.reference.padding import padded_sound
from accent.grid import FRAMES_PER_SECOND


def formant_frames(unfiltered_N: np.ndarray, config: FeatureConfig, sex: str | None = None) -> np.ndarray:
    """Measure four formants and their bandwidths in each frame of a recording.

    Args:
        unfiltered_N: sound at 16 kHz, neither filtered nor normalised.
        config: ceiling, window, number of formants, pre-emphasis.
        sex: "male" takes the ceiling for men where the configuration has one.

    Returns:
        `[T, 8]` float64 Hz, F1..F4 then B1..B4; NaN where there is no such formant and in digital silence.
        In the noise of a pause Praat finds resonances too: they are kept, and their bandwidths are wide.

    Source: Praat manual, "Sound: To Formant (burg)..."; Childers (1978), Modern spectrum analysis, pp. 252-255.
    """
    ceiling_hz = config.formant_ceiling_for(sex)
    rate = round(2 * ceiling_hz)
    # Praat's Gaussian window reaches over twice its effective length.
    window_seconds = 2 * config.formant_window_seconds
    sound, times_T = padded_sound(
        brick_wall_resample(unfiltered_N, rate), rate, rate // FRAMES_PER_SECOND, window_seconds, "even"
    )
    formant = sound.to_formant_burg(
        time_step=1 / FRAMES_PER_SECOND,
        max_number_of_formants=config.formants_below_ceiling,
        maximum_formant=ceiling_hz,
        window_length=config.formant_window_seconds,
        pre_emphasis_from=config.formant_pre_emphasis_hz,
    )
    numbers = range(1, N_FORMANTS + 1)
    # Praat interpolates between frames; at a frame's own time it returns that frame's value.
    frames_T8 = np.array(
        [
            [formant.get_value_at_time(number, time) for number in numbers]
            + [formant.get_bandwidth_at_time(number, time) for number in numbers]
            for time in formant.xs()
        ]
    )
    if len(frames_T8) != len(times_T):
        raise RuntimeError(f"Praat made {len(frames_T8)} formant frames where the grid has {len(times_T)}")
    frames_T8[without_sound(unfiltered_N, window_seconds)] = np.nan
    return frames_T8
