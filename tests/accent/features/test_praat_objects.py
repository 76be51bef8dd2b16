"""Praat opens our text files and finds in them the numbers that went in; values measured by Praat on real speech."""

from pathlib import Path

import numpy as np
import parselmouth
import pytest
from parselmouth.praat import call

from accent.features.praat_objects import formant_grid, intensity_tier, pitch_tier, point_process

NUMBERS = range(1, 5)
STEP = 0.01


@pytest.fixture(scope="module", params=["ARA004", "SPA071"])
def sound(request: pytest.FixtureRequest, saa: Path) -> parselmouth.Sound:
    return parselmouth.Sound(str(saa / request.param / "wav" / "arctic_a0001.wav"))


def opened(text: str, kind: str, tmp_path: Path) -> parselmouth.Data:
    path = tmp_path / f"written.{kind}"
    path.write_text(text)
    found = parselmouth.read(str(path))
    assert found.class_name == kind
    return found


def points(tier: parselmouth.Data, kind: str) -> np.ndarray:
    """Return time and value of every point of a tier, as Praat says them."""
    table = call(tier, "Down to TableOfReal", *(["Hertz"] if kind == "PitchTier" else []))
    return np.array([[call(table, "Get value", row, column) for column in (1, 2)] for row in range(1, count(tier) + 1)])


def values(formant: parselmouth.Formant) -> tuple[np.ndarray, np.ndarray]:
    """Return frequency and bandwidth of four formants in every frame, in Hz."""
    formants_TF = [[formant.get_value_at_time(number, time) for number in NUMBERS] for time in formant.xs()]
    bandwidths_TF = [[formant.get_bandwidth_at_time(number, time) for number in NUMBERS] for time in formant.xs()]
    return np.array(formants_TF), np.array(bandwidths_TF)


def count(tier: parselmouth.Data) -> int:
    return int(call(tier, "Get number of points"))


def test_a_pitch_tier_has_the_voiced_frames_and_no_others(sound: parselmouth.Sound, tmp_path: Path) -> None:
    pitch = sound.to_pitch_ac(time_step=0.01)
    f0_T = pitch.selected_array["frequency"].copy()
    f0_T[f0_T == 0] = np.nan
    voiced_T = np.isfinite(f0_T)
    assert 0 < voiced_T.sum() < len(f0_T)
    tier = opened(pitch_tier(sound.duration, pitch.xs(), f0_T), "PitchTier", tmp_path)
    np.testing.assert_array_equal(points(tier, "PitchTier"), np.column_stack([pitch.xs(), f0_T])[voiced_T])
    assert call(tier, "Get end time") == sound.duration


def test_an_intensity_tier_has_praats_intensity(sound: parselmouth.Sound, tmp_path: Path) -> None:
    intensity = sound.to_intensity(75, 0.01)
    tier = opened(intensity_tier(sound.duration, intensity.xs(), intensity.values[0]), "IntensityTier", tmp_path)
    np.testing.assert_array_equal(points(tier, "IntensityTier"), np.column_stack([intensity.xs(), intensity.values[0]]))


def test_a_formant_grid_says_what_the_formants_said(sound: parselmouth.Sound, tmp_path: Path) -> None:
    formant = sound.to_formant_burg(time_step=STEP, maximum_formant=5000)
    formants_TF, bandwidths_TF = values(formant)
    defined_TF = np.isfinite(formants_TF)
    assert not defined_TF.all()
    # A grid is asked through "To Formant", whose frames lie where Praat likes; the points are put there.
    empty = opened(formant_grid(sound.duration, np.empty(0), *np.empty((2, 0, 4))), "FormantGrid", tmp_path)
    times_T = call(empty, "To Formant", STEP, 0.1).xs()[: len(formants_TF)]
    grid = opened(formant_grid(sound.duration, times_T, formants_TF, bandwidths_TF), "FormantGrid", tmp_path)
    for said_TF, values_TF in zip(
        values(call(grid, "To Formant", STEP, 0.1)), (formants_TF, bandwidths_TF), strict=True
    ):
        np.testing.assert_allclose(said_TF[: len(times_T)][defined_TF], values_TF[defined_TF], rtol=1e-9)


def test_a_point_process_has_praats_pulses(sound: parselmouth.Sound, tmp_path: Path) -> None:
    pulses = call([sound, sound.to_pitch_ac()], "To PointProcess (cc)")
    times_P = call(pulses, "To Matrix").values[0]
    assert len(times_P) > 50
    again = opened(point_process(sound.duration, times_P), "PointProcess", tmp_path)
    np.testing.assert_array_equal(call(again, "To Matrix").values[0], times_P)


def test_a_sound_without_voice_gives_objects_without_points(tmp_path: Path) -> None:
    times_T, nothing_T = np.array([0.0, 0.01]), np.full(2, np.nan)
    assert count(opened(pitch_tier(0.5, times_T, nothing_T), "PitchTier", tmp_path)) == 0
    assert count(opened(point_process(0.5, np.empty(0)), "PointProcess", tmp_path)) == 0
    nothing_TF = np.full((2, 4), np.nan)
    grid = opened(formant_grid(0.5, times_T, nothing_TF, nothing_TF), "FormantGrid", tmp_path)
    assert np.isnan(values(call(grid, "To Formant", STEP, 0.1))[0]).all()


@pytest.mark.parametrize("times_T", [[0.2, 0.1], [0.1, 0.6], [-0.1, 0.1]])
def test_times_that_praat_could_not_order_are_refused(times_T: list[float]) -> None:
    with pytest.raises(ValueError, match=r"0\.5 s"):
        point_process(0.5, np.array(times_T))
    with pytest.raises(ValueError, match=r"0\.5 s"):
        pitch_tier(0.5, np.array(times_T), np.ones(2))
