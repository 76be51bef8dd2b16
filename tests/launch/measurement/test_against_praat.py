"""Tables against Praat: by Praat's own hand on the sound file, and through the backend that Praat computes.

Praat reads the file at its own rate and puts frames where it likes, so its values are asked for at the times of the
table, where Praat interpolates.  The bounds leave a factor of two or more above what was measured.
"""

from pathlib import Path

import numpy as np
import parselmouth
import pytest

from accent.features.config import FeatureConfig
from launch.measurement.measure import Per, measure
from launch.measurement.recordings import Recording, list_recordings

SPEAKERS = ("ARA004", "CMN007", "SPA071")
CONFIG = FeatureConfig(formant_ceiling_male_hz=5000.0)
VOICED_DIFFERENTLY = 0.05
"""Share of frames."""
BOUNDS = {
    "f0_hz": (0.3, 3),
    "intensity_db": (0.03, 0.15),
    "f1_hz": (12, 90),
    "f2_hz": (26, 240),
    "f3_hz": (35, 260),
}
"""Median and 90th percentile of the absolute differences, in frames that are voiced for both."""
GROUPS = {
    "spectrum": (("mel_", "mfcc_", "chroma_", "contrast_", "rms_"), 0.001),
    "f0": (("f0_hz", "f0_median", "f0_range"), 0.002),
    "intensity": (("intensity_db",), 0.001),
    "formants": (("f1_hz", "f2_hz", "f3_hz", "f4_hz"), 0.1),
    "harmonicity": (("hnr_",), 0.001),
    "cepstrum": (("cpp_db", "cpps_db"), 0.001),
    "time": (("duration_seconds", "start_seconds", "phones_per_second"), 1e-9),
}
"""Parts of columns' names, and the bound of the 99th percentile of their differences."""


@pytest.fixture(scope="module")
def chosen(saa: Path) -> list[Recording]:
    recordings, _ = list_recordings(saa)
    found = [one for one in recordings if one.speaker in SPEAKERS and one.path.stem == "arctic_a0001"]
    assert len(found) == len(SPEAKERS) and all(one.sex == "male" for one in found)
    return found


def test_frames_are_what_praat_says_of_the_file(chosen: list[Recording]) -> None:
    table = measure(chosen, "frame", ("f0_hz", "intensity_db", "f1_hz", "f2_hz", "f3_hz"), CONFIG, workers=1).table
    theirs: dict[str, list[float]] = {name: [] for name in ("f0_hz", "intensity_db", "f1_hz", "f2_hz", "f3_hz")}
    for recording in chosen:
        sound = parselmouth.Sound(str(recording.path))
        pitch = sound.to_pitch_ac(time_step=0.01, pitch_floor=75, pitch_ceiling=600)
        intensity = sound.to_intensity(75, 0.01)
        formant = sound.to_formant_burg(0.01, 5, 5000, 0.025, 50)
        for time in table.time_seconds[table.file == recording.name]:
            theirs["f0_hz"].append(pitch.get_value_at_time(time))
            theirs["intensity_db"].append(intensity.get_value(time))
            for number in (1, 2, 3):
                theirs[f"f{number}_hz"].append(formant.get_value_at_time(number, time))
    voiced = np.isfinite(table.f0_hz.to_numpy(dtype=float))
    both = voiced & np.isfinite(theirs["f0_hz"])
    assert np.mean(voiced != np.isfinite(theirs["f0_hz"])) <= VOICED_DIFFERENTLY
    for column, (median, most) in BOUNDS.items():
        difference = np.abs(table[column].to_numpy(dtype=float) - np.array(theirs[column]))[both]
        difference = difference[np.isfinite(difference)]
        print(column, len(difference), np.quantile(difference, [0.5, 0.9]))
        assert len(difference) > 0.9 * both.sum() > 400, column
        assert np.median(difference) <= median and np.quantile(difference, 0.9) <= most, column


@pytest.mark.parametrize("per", ["phone", "utterance"])
def test_tables_are_those_of_the_backend_of_praat_and_librosa(chosen: list[Recording], per: Per) -> None:
    reference = FeatureConfig(formant_ceiling_male_hz=5000.0, backend="reference")
    ours, theirs = (measure(chosen, per, (), config, workers=1).table for config in (CONFIG, reference))
    assert list(ours.columns) == list(theirs.columns) and len(ours) == len(theirs)
    compared = 0
    for group, (parts, bound) in GROUPS.items():
        columns = [one for one in ours.select_dtypes("number").columns if any(part in one for part in parts)]
        a, b = (table[columns].to_numpy(dtype=float) for table in (ours, theirs))
        both = np.isfinite(a) & np.isfinite(b)
        if not both.any():
            continue
        compared += 1
        assert np.mean(np.isfinite(a) != np.isfinite(b)) <= 0.002, group
        assert np.quantile(np.abs(a - b)[both], 0.99) <= bound, group
    assert compared == {"phone": 7, "utterance": 4}[per]
