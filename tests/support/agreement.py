"""The numba backend against Praat and librosa on whole corpora: the errors of every column, and a table of them.

Praat is also held against itself, on the sound after 37 samples of silence: where its own values jump, no other
implementation can be closer.  Cost: 0.15 s a second of sound, nearly all of it Praat.

Shape legend: T frames of all recordings, D columns, R recordings.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from accent.audio.prepare import Speech, load_speech
from accent.features.backend import VOICE_REPORT_COLUMNS
from accent.features.config import FeatureConfig
from accent.features.kernels import backend as numba_backend
from accent.features.kernels.perturbation import jitter_and_shimmer as our_jitter_and_shimmer
from accent.features.reference import backend as reference
from accent.features.reference.padding import padded_sound
from accent.features.reference.pitch import track_pitch
from accent.features.reference.pulses import glottal_pulses, jitter_and_shimmer, pulse_times
from accent.features.schema import FAMILIES, column_index, family_slices
from accent.grid import HOP, SAMPLE_RATE

CONFIG = FeatureConfig()
SHIFT = 37
"""Samples of silence before the sound when Praat is compared with itself."""
PERTURBATION = ("jitter_local", "shimmer_local")


@dataclass(frozen=True)
class Agreement:
    """What the two backends said about the same recordings."""

    theirs_TD: np.ndarray
    """The reference backend's frames."""
    ours_TD: np.ndarray
    """The numba backend's frames."""
    shifted_T2: np.ndarray
    """Praat's jitter and shimmer of the shifted sound."""
    given_pulses_T2: np.ndarray
    """Our jitter and shimmer from Praat's pulses."""
    formants_at_16_khz_T8: np.ndarray
    """Formants by Praat from the sound at 16 kHz, through Praat's own resampling."""
    their_reports_RD: np.ndarray
    our_reports_RD: np.ndarray
    seconds: float

    def pair(self, column: str) -> tuple[np.ndarray, np.ndarray]:
        """Return a column of both backends where both define it: theirs, ours."""
        at = column_index(column)
        both = np.isfinite(self.theirs_TD[:, at]) & np.isfinite(self.ours_TD[:, at])
        return self.theirs_TD[both, at], self.ours_TD[both, at]

    def error(self, column: str) -> np.ndarray:
        """Return the absolute errors of a column where both backends define it."""
        theirs, ours = self.pair(column)
        return np.abs(ours - theirs)

    def differently_defined(self, column: str) -> float:
        """Return the share of frames where only one backend defines the column."""
        at = column_index(column)
        return float(np.mean(np.isfinite(self.theirs_TD[:, at]) != np.isfinite(self.ours_TD[:, at])))


def recordings(corpus: Path) -> list[Path]:
    """Return all sound files of a corpus in L2-ARCTIC's layout."""
    return sorted(corpus.glob("*/wav/*.wav"))


def compare(paths: Iterable[Path]) -> Agreement:
    """Run both backends, and Praat against itself, on recordings."""
    parts: list[tuple[np.ndarray, ...]] = []
    seconds = 0.0
    for path in paths:
        speech = load_speech(path, CONFIG.audio)
        seconds += len(speech.unfiltered_N) / SAMPLE_RATE
        theirs, ours = (backend.analyse(speech, CONFIG) for backend in (reference, numba_backend))
        parts.append(
            (
                theirs.frames_TD,
                ours.frames_TD,
                _of_shifted(speech),
                _from_the_same_pulses(speech),
                _formants_at_16_khz(speech),
                np.array([[theirs.voice_report[name] for name in VOICE_REPORT_COLUMNS]]),
                np.array([[ours.voice_report[name] for name in VOICE_REPORT_COLUMNS]]),
            )
        )
    theirs_TD, ours_TD, shifted_T2, given_T2, formants_T8, their_RD, our_RD = (
        np.concatenate(column) for column in zip(*parts, strict=True)
    )
    return Agreement(theirs_TD, ours_TD, shifted_T2, given_T2, formants_T8, their_RD, our_RD, seconds)


def relative(theirs: np.ndarray, ours: np.ndarray) -> np.ndarray:
    """Return |ours - theirs| / |theirs| where both are defined and theirs is not 0."""
    both = np.isfinite(theirs) & np.isfinite(ours) & (theirs != 0)
    return np.abs(ours[both] / theirs[both] - 1)


def _of_shifted(speech: Speech) -> np.ndarray:
    track = track_pitch(np.concatenate([np.zeros(SHIFT), speech.unfiltered_N]), CONFIG)
    at_our_frames = replace(track, times_T=track.times_T[: speech.total_frames] + SHIFT / SAMPLE_RATE)
    return np.stack(jitter_and_shimmer(at_our_frames, CONFIG), axis=1)


def _from_the_same_pulses(speech: Speech) -> np.ndarray:
    track = track_pitch(speech.unfiltered_N, CONFIG)
    # Praat places a sample in the middle of its period: the recording's first one half a period after frame 0.
    first_sample_seconds = track.times_T[0] + 0.5 / SAMPLE_RATE
    times_P = pulse_times(glottal_pulses(track)) - first_sample_seconds
    return np.stack(our_jitter_and_shimmer(speech.unfiltered_N, times_P, speech.total_frames, CONFIG), axis=1)


def _formants_at_16_khz(speech: Speech) -> np.ndarray:
    window_seconds = 2 * CONFIG.formant_window_seconds
    sound, _ = padded_sound(speech.unfiltered_N, SAMPLE_RATE, HOP, window_seconds, "even")
    formant = sound.to_formant_burg(
        1 / 100, CONFIG.formants_below_ceiling, CONFIG.formant_ceiling_hz, CONFIG.formant_window_seconds, 50.0
    )
    return np.array(
        [
            [formant.get_value_at_time(number, time) for number in range(1, 5)]
            + [formant.get_bandwidth_at_time(number, time) for number in range(1, 5)]
            for time in formant.xs()
        ]
    )


def print_table(agreement: Agreement, title: str) -> None:
    """Print the errors of every column; those of a spectral family's bands are summed up in one line."""
    hours = agreement.seconds / 3600
    table = Table(title=f"{title}: {len(agreement.theirs_TD)} frames, {hours:.2f} h; numba against Praat and librosa")
    for heading in ("column", "median |d|", "99 %", "99.9 %", "largest", "defined by one only"):
        table.add_column(heading, justify="left" if heading == "column" else "right")
    for family in FAMILIES:
        if family.name in ("mel", "mfcc", "chroma"):
            _add_row(table, f"{family.name} (all {len(family.columns)})", agreement, family.columns)
        else:
            for column in family.columns:
                _add_row(table, column, agreement, (column,))
    Console(width=120).print(table)

    table = Table(title=f"{title}: relative errors of jitter, shimmer, formants", title_justify="left")
    for heading in ("what", "median", "90 %", "99 %"):
        table.add_column(heading, justify="left" if heading == "what" else "right")
    for number, column in enumerate(PERTURBATION):
        theirs_T, ours_T = (
            frames_TD[:, column_index(column)] for frames_TD in (agreement.theirs_TD, agreement.ours_TD)
        )
        _add_quantiles(
            table, f"{column}, from Praat's pulses", relative(theirs_T, agreement.given_pulses_T2[:, number])
        )
        _add_quantiles(table, f"{column}, from our pulses", relative(theirs_T, ours_T))
        _add_quantiles(
            table, f"{column}, Praat after {SHIFT} samples", relative(theirs_T, agreement.shifted_T2[:, number])
        )
    their_formants_T8 = agreement.theirs_TD[:, family_slices()["formants"]]
    for number in range(4):
        difference = np.abs(agreement.formants_at_16_khz_T8[:, number] - their_formants_T8[:, number])
        _add_quantiles(table, f"F{number + 1} in Hz, Praat at 16 kHz", difference[np.isfinite(difference)])
    for number, name in enumerate(VOICE_REPORT_COLUMNS):
        theirs_R, ours_R = agreement.their_reports_RD[:, number], agreement.our_reports_RD[:, number]
        _add_quantiles(table, f"voice report: {name}", relative(theirs_R, ours_R))
    Console(width=120).print(table)


def _add_row(table: Table, name: str, agreement: Agreement, columns: Sequence[str]) -> None:
    error = np.concatenate([agreement.error(column) for column in columns])
    quantiles = np.quantile(error, [0.5, 0.99, 0.999, 1.0]) if len(error) else np.full(4, np.nan)
    one_only = np.mean([agreement.differently_defined(column) for column in columns])
    table.add_row(name, *(f"{value:.2g}" for value in quantiles), f"{100 * one_only:.3f} %")


def _add_quantiles(table: Table, name: str, error: np.ndarray) -> None:
    quantiles = np.quantile(error, [0.5, 0.9, 0.99]) if len(error) else np.full(3, np.nan)
    table.add_row(name, *(f"{value:.2g}" for value in quantiles))
