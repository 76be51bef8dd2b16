"""Measured values as Praat's own objects, in its long text format: Praat opens, shows and edits them.

Each function returns the text of one file.  A value that is undefined gives no point: Praat's tiers hold points where
something was measured, and a 0 would be one.  Numbers are written with all their digits.

Times are Praat's: the sound begins at 0 and its first sample lies half a sampling period later.  On that clock frame k
of pitch and formants is centred at k x 10 ms.

Cost: about 2 microseconds a point.

Shape legend: T frames of 10 ms, P glottal pulses, F formants.

Source: Praat manual, "PitchTier", "IntensityTier", "FormantGrid", "PointProcess".
"""

from collections.abc import Iterator, Sequence

import numpy as np


def pitch_tier(seconds: float, times_T: np.ndarray, f0_T: np.ndarray) -> str:
    """Return a PitchTier.

    Args:
        seconds: length of the sound.
        times_T: rising, in seconds.
        f0_T: Hz; NaN where unvoiced.

    Raises:
        ValueError: the two have different lengths, or times that are outside the sound or do not rise.
    """
    return _file("PitchTier", list(_tier(seconds, times_T, f0_T)))


def intensity_tier(seconds: float, times_T: np.ndarray, intensity_T: np.ndarray) -> str:
    """Return an IntensityTier; as `pitch_tier`, with intensity in dB, NaN where undefined."""
    return _file("IntensityTier", list(_tier(seconds, times_T, intensity_T)))


def formant_grid(seconds: float, times_T: np.ndarray, formants_TF: np.ndarray, bandwidths_TF: np.ndarray) -> str:
    """Return a FormantGrid.

    Args:
        seconds: length of the sound.
        times_T: rising, in seconds.
        formants_TF: Hz, the first formant first; NaN where there is no such formant.
        bandwidths_TF: Hz, of the same formants.

    Raises:
        ValueError: the shapes differ, or times that are outside the sound or do not rise.
    """
    if formants_TF.shape != bandwidths_TF.shape:
        raise ValueError(f"formants {formants_TF.shape} and bandwidths {bandwidths_TF.shape} differ in shape")
    lines = ["xmin = 0 ", f"xmax = {seconds!r} "]
    for name, values_TF in (("formants", formants_TF), ("bandwidths", bandwidths_TF)):
        lines.append(f"{name}: size = {values_TF.shape[1]} ")
        for number, values_T in enumerate(values_TF.T, start=1):
            lines.append(f"{name} [{number}]:")
            lines.extend(f"    {line}" for line in _tier(seconds, times_T, values_T))
    return _file("FormantGrid", lines)


def point_process(seconds: float, times_P: np.ndarray) -> str:
    """Return a PointProcess: the instants `[P]` in seconds, such as glottal pulses.

    Raises:
        ValueError: times that are outside the sound or do not rise.
    """
    _check_times(seconds, times_P)
    points = (f"    t [{number}] = {time!r} " for number, time in enumerate(times_P.tolist(), start=1))
    return _file("PointProcess", ["xmin = 0 ", f"xmax = {seconds!r} ", f"nt = {len(times_P)} ", "t []: ", *points])


def _file(kind: str, lines: Sequence[str]) -> str:
    return "\n".join(['File type = "ooTextFile"', f'Object class = "{kind}"', "", *lines, ""])


def _tier(seconds: float, times_T: np.ndarray, values_T: np.ndarray) -> Iterator[str]:
    if times_T.shape != values_T.shape:
        raise ValueError(f"times {times_T.shape} and values {values_T.shape} differ in shape")
    _check_times(seconds, times_T)
    defined_T = np.isfinite(values_T)
    times, values = times_T[defined_T].tolist(), values_T[defined_T].tolist()
    yield "xmin = 0 "
    yield f"xmax = {seconds!r} "
    yield f"points: size = {len(times)} "
    for number, (time, value) in enumerate(zip(times, values, strict=True), start=1):
        yield f"points [{number}]:"
        yield f"    number = {time!r} "
        yield f"    value = {value!r} "


def _check_times(seconds: float, times_T: np.ndarray) -> None:
    if len(times_T) and not (times_T[0] >= 0 and times_T[-1] <= seconds and (np.diff(times_T) > 0).all()):
        raise ValueError(f"times do not rise from 0 to at most {seconds} s")
