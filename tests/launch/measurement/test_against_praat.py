"""Tables of ten recordings against Praat and librosa, value by value, and against a script that Praat runs itself.

On the same samples and frames (the reference backend) every value of a table stays within the bound of its column.
Praat's own script reads the file at its own rate and puts frames where it likes: there the bounds are for medians and
90th percentiles, a factor of two or so above what was measured.  `pytest -s` prints what was found.
"""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import parselmouth
import pytest
import soundfile

from accent.audio.prepare import AudioConfig
from accent.features.config import FeatureConfig
from accent.features.phones import VOWELS
from launch.measurement.measure import Per, measure
from launch.measurement.recordings import Recording, list_recordings
from tests.support.sound.praat_table import BASIC, VOICE, read_praat_table, save_praat_table

CONFIG = FeatureConfig(formant_ceiling_male_hz=5000.0)
MINUTES = FeatureConfig(audio=AudioConfig(max_seconds=3600.0))
REFERENCE = FeatureConfig(formant_ceiling_male_hz=5000.0, backend="reference")
LARGEST = {
    r"(mel|mfcc|chroma|contrast)_\d.*": 1e-9,
    "centroid_hz|bandwidth_hz|rolloff_hz|log_flatness_ln|zero_crossing_rate_per_sample|rms_db": 1e-7,
    "f0_hz": 0.02,
    "voicing_strength_ratio": 1e-5,
    "intensity_db": 2e-5,
    "f[1-4]_hz": 1e-5,
    "b[1-4]_hz": 1e-5,
    "hnr_db": 0.01,
    "jitter_local_ratio": 1e-6,
    "shimmer_local_ratio": 5e-6,
    "cpp_db": 1e-6,
    "h1_h2_db|h1_h2_corrected_db": 0.02,
    "tilt_db_octave": 1e-3,
    "f0_median_hz": 1e-3,
    "f0_range_semitones": 1e-4,
    "jitter_(rap|ppq5)_ratio|shimmer_apq[35]_ratio": 1e-7,
    "hnr_mean_db": 2e-4,
    "cpps_db": 1e-6,
}
"""Columns, and the largest difference of a value of theirs.  Other columns are the same program in both backends."""
VOICED_DIFFERENTLY = 0.05
"""Share of frames."""
FRAME_BOUNDS = {
    "f0_hz": (0.3, 3),
    "intensity_db": (0.03, 0.15),
    "f1_hz": (12, 90),
    "f2_hz": (26, 240),
    "f3_hz": (35, 260),
}
"""Median and 90th percentile of the differences from Praat on the file, in frames that are voiced for both."""
VOWEL_BOUNDS = {
    "third2_f0_hz": (0.5, 4),
    "third2_intensity_db": (0.3, 1.2),
    "third2_f1_hz": (9, 60),
    "third2_f2_hz": (16, 120),
    "third2_f3_hz": (20, 150),
    "third2_f4_hz": (40, 250),
    "third2_hnr_db": (0.5, 2),
    "mid_jitter_local": (0.004, 0.015),
    "mid_shimmer_local": (0.01, 0.03),
    "mid_cpp_db": (1, 4),
}
"""The same of vowels, from Praat's script."""


@pytest.fixture(scope="module")
def chosen(saa: Path) -> list[Recording]:
    """The first recording of every second speaker."""
    recordings, _ = list_recordings(saa)
    speakers = sorted({str(one.speaker) for one in recordings})[::2]
    found = [next(one for one in recordings if one.speaker == speaker) for speaker in speakers]
    assert len(found) == 10 and all(one.sex == "male" for one in found)
    return found


def described(column: str, difference: np.ndarray) -> str:
    quantiles = ", ".join(f"{value:.2g}" for value in np.quantile(difference, [0.5, 0.9, 1]))
    return f"{column}: {len(difference)} values, median, 90 % and largest difference {quantiles}"


@pytest.mark.parametrize(
    ("per", "recordings", "expected"),
    [("frame", 10, 13), ("utterance", 3, 7), pytest.param("utterance", 10, 7, marks=pytest.mark.slow)],
)
def test_every_value_is_that_of_praat_and_librosa(
    chosen: list[Recording], per: Per, recordings: int, expected: int
) -> None:
    ours, theirs = (measure(chosen[:recordings], per, (), config, workers=1).table for config in (CONFIG, REFERENCE))
    assert list(ours.columns) == list(theirs.columns) and len(ours) == len(theirs)
    compared = 0
    for pattern, largest in LARGEST.items():
        columns = [one for one in ours.columns if re.fullmatch(pattern, one)]
        if not columns:
            continue
        compared += 1
        a, b = (table[columns].to_numpy(dtype=float) for table in (ours, theirs))
        np.testing.assert_array_equal(np.isfinite(a), np.isfinite(b), err_msg=pattern)
        difference = np.abs(a - b)[np.isfinite(a)]
        print(described(f"--per {per}: {pattern}", difference))
        assert len(difference) and difference.max() <= largest, pattern
    assert compared == expected


def test_frames_are_what_praat_says_of_the_file(chosen: list[Recording]) -> None:
    table = measure(chosen, "frame", tuple(FRAME_BOUNDS), CONFIG, workers=1).table
    theirs: dict[str, list[float]] = {name: [] for name in FRAME_BOUNDS}
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
    for column, bounds in FRAME_BOUNDS.items():
        difference = np.abs(table[column].to_numpy(dtype=float) - np.array(theirs[column]))[both]
        check(column, difference, 0.9 * both.sum(), bounds)


def test_vowels_are_what_a_script_of_praat_says(chosen: list[Recording], tmp_path: Path) -> None:
    ours = measure(chosen, "phone", (*BASIC, *VOICE), CONFIG, workers=1).table
    parts = []
    for recording in chosen:
        assert recording.textgrid is not None
        save_praat_table(recording.path, recording.textgrid, tmp_path / "praat.tsv", 5000, voice=True)
        parts.append(read_praat_table(tmp_path / "praat.tsv"))
    theirs = pd.concat(parts, ignore_index=True)
    assert list(ours.phone) == list(theirs.phone)
    np.testing.assert_allclose(ours.duration_seconds, theirs.duration_seconds, atol=1e-9)
    vowels = ours.phone.isin(VOWELS).to_numpy()
    for column, bounds in VOWEL_BOUNDS.items():
        header = f"{column}_ratio" if column.endswith("_local") else column
        difference = np.abs(ours[header].to_numpy(dtype=float) - theirs[column].to_numpy(dtype=float))[vowels]
        check(column, difference, 0.8 * vowels.sum(), bounds)


def test_minutes_of_speech_are_measured_whole(saa: Path, tmp_path: Path) -> None:
    joined, seconds = [], 0.0
    for path in sorted(saa.glob("[ACFS]*/wav/*.wav")):
        samples, rate = soundfile.read(path)
        if rate == 44_100 and seconds < 150:
            joined.append(samples)
            seconds += len(samples) / rate
    soundfile.write(tmp_path / "long.wav", np.concatenate(joined), 44_100, subtype="PCM_16")
    recordings, _ = list_recordings(tmp_path)
    table = measure(recordings, "frame", ("f0_hz",), MINUTES, workers=1).table
    assert seconds > 150 and len(table) == pytest.approx(100 * seconds, abs=30)
    pitch = parselmouth.Sound(str(tmp_path / "long.wav")).to_pitch_ac(time_step=0.01, pitch_floor=75, pitch_ceiling=600)
    theirs = np.array([pitch.get_value_at_time(time) for time in table.time_seconds])
    ours = table.f0_hz.to_numpy(dtype=float)
    assert np.mean(np.isfinite(ours) != np.isfinite(theirs)) <= VOICED_DIFFERENTLY
    check("F0 of minutes", np.abs(ours - theirs), 0.9 * np.isfinite(theirs).sum(), FRAME_BOUNDS["f0_hz"])


def check(column: str, difference: np.ndarray, least: float, bounds: tuple[float, float]) -> None:
    difference = difference[np.isfinite(difference)]
    print(described(column, difference))
    assert len(difference) > least, column
    assert np.median(difference) <= bounds[0] and np.quantile(difference, 0.9) <= bounds[1], column
