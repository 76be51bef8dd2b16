"""Tiers beside a table: Praat opens them and finds what the table says, and the pulses that it finds itself."""

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import parselmouth
import pytest
from parselmouth.praat import call

from launch.commands.measurement.measure import measure as command

SPEAKER, NAME = "ARA004", "arctic_a0001"


@pytest.fixture(scope="module")
def measured(saa: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the sound and its TextGrid, the table of its frames, and the folder `tiers`."""
    root = tmp_path_factory.mktemp("tiers")
    for kind, suffix in (("wav", "wav"), ("textgrid", "TextGrid")):
        shutil.copy(saa / SPEAKER / kind / f"{NAME}.{suffix}", root / f"{NAME}.{suffix}")
    command(root / f"{NAME}.wav", root / "frames.csv", per="frame", textgrid=root / "tiers", sex="male", workers=1)
    return root


def opened(root: Path, kind: str) -> parselmouth.Data:
    return parselmouth.read(str(root / "tiers" / f"{NAME}.{kind}"))


def test_the_tiers_have_the_values_of_the_table(measured: Path) -> None:
    table = pd.read_csv(measured / "frames.csv")
    pitch, intensity, grid = (opened(measured, kind) for kind in ("PitchTier", "IntensityTier", "FormantGrid"))
    voiced = table[table.f0_hz.notna()]
    assert 50 < len(voiced) < len(table)
    for row in voiced.itertuples():
        assert call(pitch, "Get value at time", row.time_seconds) == pytest.approx(row.f0_hz, rel=1e-3)
    formants = call(grid, "To Formant", 0.01, 0.1)
    for number in (1, 2):
        ours = table[f"f{number}_hz"].to_numpy()
        # Praat puts the frames where it likes, and interpolates between the points.
        places = (formants.xs() - table.time_seconds[0]) * 100
        before = np.floor(places).astype(int)
        inside = (before >= 0) & (before < len(ours) - 1)
        places, before = places[inside], before[inside]
        expected = ours[before] + (places - before) * (ours[before + 1] - ours[before])
        found = np.array([formants.get_value_at_time(number, time) for time in formants.xs()])[inside]
        defined = np.isfinite(expected)
        assert defined.sum() > 100
        np.testing.assert_allclose(found[defined], expected[defined], rtol=1e-3)
    half_a_sample = 0.5 / 16_000
    found = [call(intensity, "Get value at time", time + half_a_sample) for time in table.time_seconds]
    # A last frame on the end of the sound is half a sample outside it on Praat's clock, and gives no point.
    defined = table.intensity_db.notna() & (table.time_seconds + half_a_sample <= call(intensity, "Get end time"))
    assert defined.sum() >= len(table) - 1
    np.testing.assert_allclose(np.array(found)[defined], table.intensity_db[defined], rtol=1e-3)


def test_the_pitch_tier_has_a_point_for_each_voiced_frame_of_the_recording(measured: Path) -> None:
    table = pd.read_csv(measured / "frames.csv")
    tier = opened(measured, "PitchTier")
    times = np.array(
        [call(tier, "Get time from index", at + 1) for at in range(int(call(tier, "Get number of points")))]
    )
    inside = times[(times > table.time_seconds.min() - 1e-6) & (times < table.time_seconds.max() + 1e-6)]
    np.testing.assert_allclose(inside, table.time_seconds[table.f0_hz.notna()], atol=1e-9)


def test_the_pulses_are_those_that_praat_finds_in_the_file(measured: Path) -> None:
    sound = parselmouth.Sound(str(measured / f"{NAME}.wav"))
    theirs = call(call([sound, sound.to_pitch_ac(0.01)], "To PointProcess (cc)"), "To Matrix").values[0]
    ours = call(opened(measured, "PointProcess"), "To Matrix").values[0]
    distance = np.abs(ours[:, None] - theirs).min(axis=1)
    print(len(ours), len(theirs), np.quantile(distance, [0.5, 0.9, 0.95]))
    assert len(ours) == pytest.approx(len(theirs), rel=0.05)
    assert np.median(distance) < 1e-4


def test_the_textgrid_lies_beside_the_tiers(measured: Path) -> None:
    copy, original = (folder / f"{NAME}.TextGrid" for folder in (measured / "tiers", measured))
    assert copy.read_bytes() == original.read_bytes()
    assert opened(measured, "TextGrid").class_name == "TextGrid"
