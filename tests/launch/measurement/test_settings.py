"""Settings by sex and speaker: each recording is measured as if its settings were those of the command."""

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from accent.errors import AccentError
from accent.features.config import FeatureConfig
from launch.measurement.measure import measure
from launch.measurement.recordings import Recording, list_recordings
from launch.measurement.settings import config_for, read_settings

MAN = "ARA004"


def written(folder: Path, text: str) -> Path:
    (folder / "settings.csv").write_text(text)
    return folder / "settings.csv"


def test_a_speakers_row_goes_over_that_of_the_sex(tmp_path: Path) -> None:
    rules = read_settings(
        written(
            tmp_path,
            "speaker,sex,pitch_floor,pitch_ceiling,formant_ceiling,formants\n"
            "007,,60,,4800,6\n,female,100,500,,\n,male,,300,5050,\n",
        )
    )
    config = FeatureConfig(formant_ceiling_male_hz=5000.0)
    of = {
        (speaker, sex): config_for(Recording(Path("a.wav"), "a.wav", speaker, "x", sex), config, rules)
        for speaker in ("007", "7")
        for sex in ("male", "female", None)
    }
    special = of["007", "male"]
    assert (special.pitch_floor_hz, special.pitch_ceiling_hz, special.formants_below_ceiling) == (60, 300, 6)
    assert special.formant_ceiling_for("male") == special.formant_ceiling_for(None) == 4800
    assert of["7", None] == config
    assert (of["7", "female"].pitch_floor_hz, of["7", "female"].pitch_ceiling_hz) == (100, 500)
    assert of["7", "male"].formant_ceiling_for("male") == 5050 and of["7", "male"].pitch_floor_hz == 75


def test_a_table_has_the_values_of_its_own_settings_and_says_which(
    saa: Path, tmp_path: Path, accent: Callable[..., tuple[int, str, str]]
) -> None:
    sound = saa / MAN / "wav" / "arctic_a0001.wav"
    settings = written(
        tmp_path, "speaker,sex,pitch_floor,pitch_ceiling,formant_ceiling\nNOBODY,,60,,\n,male,100,300,4500\n"
    )
    out = tmp_path / "table.csv"
    command = ("measure", sound, "--out", out, "--per", "frame", "--columns", "f0_hz,f1_hz", "--sex", "male")
    status, _, errors = accent(*command, "--workers", 1, "--settings", settings)
    assert status == 0 and "no recording of speaker NOBODY" in errors
    config = FeatureConfig(
        pitch_floor_hz=100.0, pitch_ceiling_hz=300.0, formant_ceiling_hz=4500.0, formant_ceiling_male_hz=4500.0
    )
    expected = measure(list_recordings(sound, "male")[0], "frame", ("f0_hz", "f1_hz"), config, workers=1).table
    table = pd.read_csv(out)
    pd.testing.assert_frame_equal(table[["f0_hz", "f1_hz"]], expected[["f0_hz", "f1_hz"]].astype(float), rtol=1e-5)
    used = pd.read_csv(tmp_path / "table.settings.csv").iloc[0]
    assert (used.pitch_floor, used.pitch_ceiling, used.formant_ceiling, used.formants) == (100, 300, 4500, 5)
    assert pd.read_csv(tmp_path / "table.codebook.csv").setting.str.contains("by recording in table.settings.csv").all()


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("speaker,floor\nA,75\n", "no setting is called 'floor'"),
        ("speaker,sex,pitch_floor\n,,75\n", "row 1 names neither speaker nor sex"),
        ("sex,pitch_floor\nman,75\n", "the sex 'man'; it is female or male"),
        ("speaker,pitch_floor\nA,75\nA,80\n", "row 2 is a second one for A"),
        ("speaker,pitch_floor\nA,low\n", "row 1 has 'low' for pitch_floor"),
    ],
)
def test_a_table_of_settings_that_says_nothing_clear_is_refused(tmp_path: Path, text: str, line: str) -> None:
    with pytest.raises(AccentError, match=line):
        read_settings(written(tmp_path, text))


def test_settings_out_of_range_are_refused_before_anything_is_measured(
    saa: Path, tmp_path: Path, accent: Callable[..., tuple[int, str, str]]
) -> None:
    settings = written(tmp_path, "sex,pitch_floor\nmale,5\n")
    sound = saa / MAN / "wav" / "arctic_a0001.wav"
    status, _, errors = accent("measure", sound, "--out", tmp_path / "t.csv", "--sex", "male", "--settings", settings)
    assert status == 2 and "settings: pitch_floor_hz: 5.0 is not between" in errors
    assert not (tmp_path / "t.csv").exists()
