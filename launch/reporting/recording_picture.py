"""A picture of a recording: wave, spectrogram with formants, F0, intensity, words and phones over one time axis.

Matplotlib is used through its objects, without pyplot's global state.

Cost: the features of the recording, and half a second a picture.

Shape legend: N samples at 16 kHz, T frames of 10 ms, B bars of the wave.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from accent.audio.prepare import Speech
from accent.errors import AccentError
from accent.features.definitions import N_FORMANTS
from accent.features.schema import column_index
from accent.features.textgrid import TIERS, WORD_TIERS, read_labels
from accent.files import replacing
from accent.grid import FRAMES_PER_SECOND, SAMPLE_RATE
from launch.reporting.spectrogram import DYNAMIC_RANGE_DB, HIGHEST_HZ, spectrogram

SUFFIXES = (".png", ".svg")
MOST_SECONDS = 30.0
"""Longer stretches are unreadable in one picture."""
INCHES_A_SECOND = 3.0
NARROWEST_INCHES = 8.0
DOTS_PER_INCH = 150
POINTS_AN_INCH = 72
FORMANT_RANGE_DB = 30.0
"""Formants are shown where intensity is at most this far below its highest value, as in Praat's editor."""
UNVOICED_ALPHA = 0.35
"""Strength of formants in unvoiced frames, where they mean little."""
FORMANT_DOT: dict[str, Any] = {"markersize": 2.6, "markeredgecolor": "white", "markeredgewidth": 0.3}
BARS_AN_INCH = 300
"""Of the wave: each is drawn from its lowest to its highest sample."""
HEIGHTS = {"wave": 0.9, "spectrogram": 2.6, "f0": 1.15, "intensity": 0.85}
"""Inches."""
TIER_INCHES = 0.3
LABEL_SIZES = (5.0, 8.5)
"""Smallest and largest letters in the boxes, in points."""
LETTER_WIDTH = 0.75
"""Of its size: what a label needs for each letter."""
INK, FAINT = "#222222", "#b8b8b8"
FORMANT_COLOUR, F0_COLOUR, INTENSITY_COLOUR = "#D55E00", "#0072B2", "#009E73"
_STYLE = matplotlib.rc_context(
    {
        # Labels are people's own: `A$\\frac B$` is no formula.
        "text.parse_math": False,
        "font.size": 9,
        "axes.labelsize": 9,
        "axes.linewidth": 0.7,
        "axes.edgecolor": "#555555",
        "svg.fonttype": "none",
        # The same recording gives the same file.
        "svg.hashsalt": "accent",
    }
)


@dataclass(frozen=True)
class Tier:
    """A row of boxes below the tracks."""

    name: str
    intervals: Sequence[tuple[float, float, str]]
    """(start, end, label) in seconds of the recording, in order of time."""


def read_tiers(textgrid: Path) -> list[Tier]:
    """Return the words and the phones of a TextGrid, as they are written in it.

    Raises:
        AccentError: it is no TextGrid, or has neither tier.
    """
    found = [("words", read_labels(textgrid, WORD_TIERS)), ("phones", read_labels(textgrid, TIERS))]
    tiers = [Tier(name, intervals) for name, intervals in found if intervals]
    if not tiers:
        raise AccentError(f"{textgrid}: no interval tier named '{WORD_TIERS[0]}' or '{TIERS[0]}'")
    return tiers


def check_picture_path(path: Path) -> None:
    """Refuse a path whose ending names no kind of picture, before anything is measured.

    Raises:
        AccentError: another ending.
    """
    if path.suffix.lower() not in SUFFIXES:
        raise AccentError(f"{path}: a picture ends in {' or '.join(SUFFIXES)}")


def choose_stretch(seconds: float, start: float, end: float | None) -> tuple[float, float]:
    """Return the stretch to draw, in seconds.

    Args:
        seconds: length of the recording.
        start: where the picture begins.
        end: where it ends; None for the recording's end.

    Raises:
        AccentError: there is nothing between them, or too much for one picture.
    """
    stop = seconds if end is None else min(end, seconds)
    if not 0 <= start < stop:
        raise AccentError(f"--from {start:g} --to {stop:g}: no stretch of a recording of {seconds:.2f} s")
    if stop - start > MOST_SECONDS:
        raise AccentError(
            f"{stop - start:.1f} s do not fit one picture; name at most {MOST_SECONDS:g} s with --from and --to"
        )
    return start, stop


@_STYLE
def draw_recording(
    paths: Sequence[Path],
    speech: Speech,
    frames_TD: np.ndarray,
    tiers: Sequence[Tier],
    title: str,
    stretch: tuple[float, float],
) -> None:
    """Draw a stretch of a recording.

    Args:
        paths: the files to write, each a .png or an .svg.
        speech: the prepared recording.
        frames_TD: frames of the whole recording, columns of the schema; NaN where undefined.
        tiers: from top to bottom; none without a TextGrid.
        title: above the picture.
        stretch: as `choose_stretch` returns it.

    Raises:
        AccentError: a file cannot be written.
    """
    start, end = stretch
    inches = max(NARROWEST_INCHES, INCHES_A_SECOND * (end - start) + 1.2)
    heights = [*HEIGHTS.values(), *(TIER_INCHES for _ in tiers)]
    layout = ConstrainedLayoutEngine(h_pad=0.02, w_pad=0.06, hspace=0)
    figure = Figure(figsize=(inches, sum(heights) + 1.1), layout=layout)
    rows = figure.subplots(len(heights), 1, sharex=True, height_ratios=heights)
    wave, spectrum, melody, level = rows[: len(HEIGHTS)]
    wave.set_title(title, fontsize=10, loc="left", color=INK)
    wave.set_xlim(start, end)
    _draw_wave(wave, speech.unfiltered_N, stretch, round(inches * BARS_AN_INCH))
    _draw_spectrogram(spectrum, speech.unfiltered_N, stretch)
    times_T = np.arange(len(frames_TD)) / FRAMES_PER_SECOND
    inside_T = (times_T >= start) & (times_T <= end)
    _draw_tracks(spectrum, melody, level, times_T[inside_T], frames_TD[inside_T])
    for axes, tier in zip(rows[len(HEIGHTS) :], tiers, strict=True):
        _draw_tier(axes, tier, stretch, POINTS_AN_INCH * inches / (end - start))
    if tiers:
        _draw_boundaries(rows[: len(HEIGHTS)], tiers[-1], stretch)
    for axes in rows[:-1]:
        axes.tick_params(axis="x", length=0)
    rows[-1].set_xlabel("time (s)")
    figure.align_ylabels(rows)
    for path in paths:
        _write(figure, path)


def _draw_wave(axes: Axes, sound_N: np.ndarray, stretch: tuple[float, float], n_bars: int) -> None:
    first, stop = (round(edge * SAMPLE_RATE) for edge in stretch)
    part_N = sound_N[first:stop]
    if len(part_N) <= 4 * n_bars:
        axes.plot((first + np.arange(len(part_N))) / SAMPLE_RATE, part_N, color=INK, linewidth=0.5)
    else:
        width = math.ceil(len(part_N) / n_bars)
        starts_B = np.arange(0, len(part_N), width)
        times_B = (first + starts_B + width / 2) / SAMPLE_RATE
        lowest_B, highest_B = np.minimum.reduceat(part_N, starts_B), np.maximum.reduceat(part_N, starts_B)
        axes.fill_between(times_B, lowest_B, highest_B, color=INK, linewidth=0.3)
    peak = max(float(np.abs(part_N).max()), 1e-6)
    axes.set_ylim(-1.08 * peak, 1.08 * peak)
    axes.axhline(0, color=FAINT, linewidth=0.5, zorder=0)
    axes.set_yticks([-peak, 0, peak], [f"{-peak:.2g}", "0", f"{peak:.2g}"])
    axes.set_ylabel("wave")


def _draw_spectrogram(axes: Axes, sound_N: np.ndarray, stretch: tuple[float, float]) -> None:
    found = spectrogram(sound_N, *stretch)
    axes.imshow(
        found.levels_FT,
        cmap="Greys",
        vmin=-DYNAMIC_RANGE_DB,
        vmax=0,
        origin="lower",
        aspect="auto",
        interpolation="bilinear",
        extent=(found.start, found.end, 0, found.highest_hz),
    )
    axes.set_xlim(*stretch)
    axes.set_ylim(0, HIGHEST_HZ)
    axes.set_yticks(range(0, int(HIGHEST_HZ) + 1, 1000))
    axes.set_ylabel("frequency (Hz)")


def _draw_tracks(spectrum: Axes, melody: Axes, level: Axes, times_T: np.ndarray, frames_TD: np.ndarray) -> None:
    f0_T, intensity_T = (frames_TD[:, column_index(name)] for name in ("f0_hz", "intensity_db"))
    loud_T = np.zeros(len(times_T), dtype=bool)
    if np.isfinite(intensity_T).any():
        loud_T = intensity_T >= np.nanmax(intensity_T) - FORMANT_RANGE_DB
    for shown_T, strength in ((loud_T & ~np.isfinite(f0_T), UNVOICED_ALPHA), (loud_T & np.isfinite(f0_T), 1.0)):
        for number in range(1, N_FORMANTS + 1):
            formant_T = np.where(shown_T, frames_TD[:, column_index(f"f{number}_hz")], np.nan)
            spectrum.plot(times_T, formant_T, "o", color=FORMANT_COLOUR, alpha=strength, **FORMANT_DOT)
    melody.plot(times_T, f0_T, "o", color=F0_COLOUR, markersize=2.8)
    if np.isfinite(f0_T).any():
        melody.set_ylim(0.88 * np.nanmin(f0_T), 1.1 * np.nanmax(f0_T))
    else:
        melody.set_yticks([])
    melody.set_ylabel("F0 (Hz)")
    melody.grid(axis="y", color="#eeeeee", linewidth=0.7)
    level.plot(times_T, intensity_T, color=INTENSITY_COLOUR, linewidth=1.3)
    level.grid(axis="y", color="#eeeeee", linewidth=0.7)
    level.set_ylabel("intensity\n(dB)")


def _draw_tier(axes: Axes, tier: Tier, stretch: tuple[float, float], points_a_second: float) -> None:
    start, end = stretch
    axes.set_ylim(0, 1)
    axes.set_yticks([])
    axes.set_ylabel(tier.name, rotation=0, ha="right", va="center")
    for left, right, label in tier.intervals:
        if right <= start or left >= end:
            continue
        for edge in (left, right):
            axes.axvline(edge, color="#555555", linewidth=0.7)
        middle = (max(left, start) + min(right, end)) / 2
        width = (min(right, end) - max(left, start)) * points_a_second
        size = float(np.clip(width / (LETTER_WIDTH * max(len(label), 1)), *LABEL_SIZES))
        axes.text(middle, 0.48, label, ha="center", va="center", fontsize=size, color=INK, clip_on=True)


def _draw_boundaries(rows: Sequence[Axes], tier: Tier, stretch: tuple[float, float]) -> None:
    """Continue the boundaries of a tier through the tracks."""
    edges = sorted({edge for left, right, _ in tier.intervals for edge in (left, right)})
    for edge in edges:
        if stretch[0] < edge < stretch[1]:
            for axes in rows:
                axes.axvline(edge, color="#0072B2", linewidth=0.5, alpha=0.35, zorder=1.5)


def _write(figure: Figure, path: Path) -> None:
    kind = path.suffix.lower()[1:]
    FigureCanvasAgg(figure)
    metadata = {"Date": None} if kind == "svg" else {}
    with replacing(path) as file:
        figure.savefig(file, format=kind, dpi=DOTS_PER_INCH, metadata=metadata)
