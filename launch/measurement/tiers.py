"""The tracks of a recording as Praat's objects, one file each: what was measured, to look at and to correct in Praat.

FOLDER/NAME.PitchTier, .IntensityTier, .FormantGrid and .PointProcess (the glottal pulses), NAME being the recording's
path, and beside them a copy of its TextGrid.  They cover the whole recording, also what a table leaves out at its
edges.

Cost: that of the features once more.

Shape legend: T frames of 10 ms, D columns of the schema.
"""

from pathlib import Path

import numpy as np

from accent.audio.prepare import Speech
from accent.errors import AccentError
from accent.features.config import FeatureConfig
from accent.features.definitions import N_FORMANTS
from accent.features.extract import find_backend
from accent.features.kernels.pulses import glottal_pulses
from accent.features.praat_objects import formant_grid, intensity_tier, pitch_tier, point_process
from accent.features.schema import column_index
from accent.files import write_bytes, write_text
from accent.grid import FRAMES_PER_SECOND, SAMPLE_RATE
from launch.measurement.recordings import Recording

HALF_A_SAMPLE = 0.5 / SAMPLE_RATE
"""On Praat's clock the first sample lies half a period after 0.  Pitch and formants are centred between two samples,
intensity and pulses lie on one."""


def write_tiers(folder: Path, recording: Recording, speech: Speech, config: FeatureConfig) -> None:
    """Write the four objects of a recording, and its TextGrid where it has one.

    Args:
        folder: made if need be.
        recording: its name is a path below the folder, where it loses its ending.
        speech: the prepared recording.
        config: settings of the analyses.

    Raises:
        AccentError: one of them cannot be written.
    """
    frames_TD = find_backend(config.backend)(speech, config, recording.sex).frames_TD
    seconds = len(speech.unfiltered_N) / SAMPLE_RATE
    times_T = np.arange(len(frames_TD)) / FRAMES_PER_SECOND
    f0_T, intensity_T = (frames_TD[:, column_index(column)] for column in ("f0_hz", "intensity_db"))
    formants_TF, bandwidths_TF = (
        frames_TD[:, [column_index(f"{letter}{number}_hz") for number in range(1, N_FORMANTS + 1)]] for letter in "fb"
    )
    on_samples_T = times_T + HALF_A_SAMPLE
    inside_T = on_samples_T <= seconds
    pulses_P = glottal_pulses(speech.unfiltered_N, np.ascontiguousarray(f0_T)) + HALF_A_SAMPLE
    objects = {
        "PitchTier": pitch_tier(seconds, times_T, f0_T),
        "IntensityTier": intensity_tier(seconds, on_samples_T[inside_T], intensity_T[inside_T]),
        "FormantGrid": formant_grid(seconds, times_T, formants_TF, bandwidths_TF),
        "PointProcess": point_process(seconds, pulses_P[(pulses_P >= 0) & (pulses_P <= seconds)]),
    }
    place = folder / recording.name
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        textgrid = None if recording.textgrid is None else recording.textgrid.read_bytes()
    except OSError as error:
        raise AccentError(f"{error.filename}: {error.strerror or error}") from error
    for kind, text in objects.items():
        write_text(place.with_suffix(f".{kind}"), text)
    if textgrid is not None:
        write_bytes(place.with_suffix(".TextGrid"), textgrid)
