"""All measures of recordings as one table: by frame, phone, word, utterance or speaker; in parallel over files.

A worker process reads one recording and returns its rows; this process puts them together in the order of the files.
This module and what it imports must not import torch.

Cost: that of the features, some milliseconds a second of sound; a second or so a process to start.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from accent.audio.prepare import load_speech
from accent.errors import AccentError
from accent.features.config import FeatureConfig
from accent.features.extract import extract, prepare_backend
from accent.features.kernels.pitch import track_pitch
from accent.features.kernels.pulses import glottal_pulses
from accent.features.phones import has_phones
from accent.features.schema import COLUMNS, column_index
from accent.features.textgrid import read_alignment, read_words
from accent.features.utterance import UTTERANCE_COLUMNS
from accent.features.voice_onset import voice_onset_times
from launch.measurement.codebook import Entry, describe
from launch.measurement.recordings import Recording
from launch.measurement.rows import Rows, frame_rows, interval_rows
from launch.measurement.settings import Rule, config_for
from launch.measurement.tiers import write_tiers
from shards.writing.workers.memory_estimate import footprint
from shards.writing.workers.pool import WorkerPool
from shards.writing.workers.resources import available_cores

if TYPE_CHECKING:
    import pandas as pd

Per = Literal["frame", "phone", "word", "utterance", "speaker"]
OF_FRAMES = ("frame", "phone", "word")
OF_INTERVALS = ("phone", "word")
VOICE_ONSET = "vot_ms"
"""Column of tables by phone beside those of the features."""


@dataclass(frozen=True)
class Measurement:
    """A table and what its columns are."""

    table: "pd.DataFrame"
    """Empty cells are undefined."""
    codebook: tuple[Entry, ...]
    refused: tuple[tuple[str, str], ...]
    """Each recording that could not be measured, and why."""


@dataclass(frozen=True)
class _Fault:
    reason: str


def choose_columns(per: Per, wanted: Sequence[str]) -> tuple[str, ...]:
    """Return the columns to measure, in the featurizer's order; all of them if none is named.

    Raises:
        AccentError: a name that no column and no header has.
    """
    there = COLUMNS if per in OF_FRAMES else UTTERANCE_COLUMNS
    if not wanted:
        return there
    unknown = [name for name in wanted if name not in there]
    if unknown:
        raise AccentError(f"--columns: '{unknown[0]}' is no column of --per {per}; there are {', '.join(there)}")
    return tuple(name for name in there if name in wanted)


def measure(
    recordings: Sequence[Recording],
    per: Per,
    columns: Sequence[str] = (),
    config: FeatureConfig | None = None,
    workers: int | None = None,
    tiers: Path | None = None,
    rules: Sequence[Rule] = (),
) -> Measurement:
    """Measure recordings.

    Args:
        recordings: what to measure.
        per: what a row is.
        columns: names of the featurizer's columns; all by default.
        config: settings of the analyses.
        workers: processes; one for each core this process may use by default.
        tiers: folder for the tracks of each recording as Praat's objects; none are written by default.
        rules: other settings for some speakers, as `read_settings` returns them.

    Returns:
        The table, its codebook and what was refused.

    Raises:
        AccentError: an unknown column, speakers that nobody names, or not one recording that can be measured.
    """
    import pandas as pd

    config = config or FeatureConfig()
    chosen = choose_columns(per, columns)
    if per == "speaker" and any(one.speaker is None for one in recordings):
        raise AccentError("--per speaker needs a corpus, whose table says who speaks; use --per utterance")
    entries = tuple(describe(column, config) for column in chosen)
    parts, refused = [], []
    for recording, found in _rows_of_all(recordings, per, entries, config, workers, tiers, rules):
        if isinstance(found, _Fault):
            refused.append((recording.name, found.reason))
            continue
        about = {"file": recording.name, "speaker": recording.speaker, "accent": recording.accent, "sex": recording.sex}
        part = pd.DataFrame(found)
        for at, (name, value) in enumerate(about.items()):
            part.insert(at, name, value)
        parts.append(part)
    if not parts:
        name, reason = refused[0]
        raise AccentError(f"none of {len(recordings)} recordings can be measured; the first, {name}: {reason}")
    table = pd.concat(parts, ignore_index=True)
    if per == "speaker":
        headers = [entry.header for entry in entries]
        by_speaker = table.groupby(["speaker", "accent", "sex"], dropna=False, sort=True)
        table = by_speaker[headers].mean().reset_index()
        table.insert(3, "utterances", by_speaker.size().to_numpy())
    also = (describe(VOICE_ONSET, config),) if per == "phone" else ()
    return Measurement(table, (*also, *entries), tuple(refused))


def _rows_of_all(
    recordings: Sequence[Recording],
    per: Per,
    entries: Sequence[Entry],
    config: FeatureConfig,
    workers: int | None,
    tiers: Path | None,
    rules: Sequence[Rule],
) -> "list[tuple[Recording, Rows | _Fault]]":
    prepare_backend(config)
    console = Console(stderr=True)
    bar_columns = (TextColumn("measure"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    work = partial(_rows_or_fault, per=per, entries=tuple(entries), config=config, tiers=tiers, rules=tuple(rules))
    count = min(available_cores() if workers is None else workers, len(recordings))
    with Progress(*bar_columns, console=console, disable=not console.is_terminal) as progress:
        bar = progress.add_task("", total=len(recordings))
        if count == 1:
            found = []
            for recording in recordings:
                found.append((recording, work(recording)))
                progress.advance(bar)
            return found
        with WorkerPool(work, count) as pool:
            return list(
                pool.in_order(
                    [recordings],
                    name=lambda one: str(one.path),
                    footprint=lambda one: footprint(one.path, _size(one.path), config.audio.max_seconds),
                    done=lambda _: progress.advance(bar),
                )
            )


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0


def _rows_or_fault(
    recording: Recording,
    per: Per,
    entries: tuple[Entry, ...],
    config: FeatureConfig,
    tiers: Path | None,
    rules: tuple[Rule, ...],
) -> "Rows | _Fault":
    try:
        return _rows(recording, per, entries, config_for(recording, config, rules), tiers)
    except AccentError as error:
        return _Fault(str(error).removeprefix(f"{recording.path}: "))


def _rows(
    recording: Recording, per: Per, entries: tuple[Entry, ...], config: FeatureConfig, tiers: Path | None
) -> Rows:
    textgrid = recording.textgrid if has_phones(recording.language) else None
    if textgrid is None and per in OF_INTERVALS:
        raise AccentError("no TextGrid; make one with accent align")
    speech = load_speech(recording.path, config.audio)
    phones = None if textgrid is None else read_alignment(textgrid).intervals
    features = extract(speech, config, intervals=phones, sex=recording.sex)
    if tiers is not None:
        write_tiers(tiers, recording, speech, config)
    names = [entry.header for entry in entries]
    if per not in OF_FRAMES:
        return {entry.header: np.array([features.utterance[entry.column]]) for entry in entries}
    frames_TD = features.frames_TD[:, [column_index(entry.column) for entry in entries]]
    if per == "frame":
        return frame_rows(frames_TD, names, speech.first_frame, features.phones_T)
    if per == "word" and textgrid is not None:
        return interval_rows(frames_TD, names, speech.first_frame, read_words(textgrid), per)
    pulses_P = glottal_pulses(speech.unfiltered_N, track_pitch(speech.unfiltered_N, config).f0_T)
    onset_I = 1000 * voice_onset_times(speech.unfiltered_N, pulses_P, phones or ())
    return interval_rows(frames_TD, names, speech.first_frame, phones or (), per, {VOICE_ONSET: onset_I})
