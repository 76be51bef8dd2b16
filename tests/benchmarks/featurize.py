"""What featurizing costs: ours, the reference backend and openSMILE (where it is installed), side by side in one run.

    OMP_NUM_THREADS=1 python -m tests.benchmarks.featurize CORPUS

Contestants run every stage of every recording in turn, several times, and the fastest run counts: the noise of a shared
machine only ever adds.  Memory is handled as in the featurizer's workers.  Five tables: the start of a fresh process;
milliseconds a second of sound for each stage; the whole path against openSMILE; cost against the length of the
recording; throughput against the number of worker processes.  Where a bound is set it stands beside the figure, and
"over" or "under" says that it is missed: no test asserts a time.
"""

import math
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import soundfile
import soxr
import typer
from rich.console import Console
from rich.progress import track
from rich.table import Table

from accent.audio.decode import decode
from accent.audio.prepare import Speech, load_speech, prepare_speech
from accent.features.config import FeatureConfig
from accent.features.extract import find_backend, prepare_backend
from accent.features.kernels import (
    cepstrum,
    formants,
    harmonicity,
    intensity,
    perturbation,
    pitch,
    pulses,
    source,
    spectrum,
)
from accent.features.reference import cepstrum as praat_cepstrum
from accent.features.reference import formants as praat_formants
from accent.features.reference import harmonicity as praat_harmonicity
from accent.features.reference import pitch as praat_pitch
from accent.features.reference import pulses as praat_pulses
from accent.features.reference import source as source_by_definition
from accent.features.reference import spectrum as librosa_spectrum
from accent.features.reference import voice_report as praat_report
from accent.features.textgrid import read_alignment
from accent.features.utterance import utterance_features
from accent.grid import SAMPLE_RATE
from shards.corpora import open_corpus
from shards.corpora.corpus import Utterance
from shards.writing.encode import encode
from shards.writing.processor import FeatureProcessor
from shards.writing.workers.resources import available_cores, keep_freed_memory

OURS = FeatureConfig(backend="numba")
REFERENCE = FeatureConfig(backend="reference")
Stages = dict[str, Callable[[], Any]]
RUNS_IN_A_ROW = 3
WHOLE_PATH = "whole path, file to sample"
LEAST_RATIO = {
    "harmonics-to-noise ratio": 10,
    "pulses, jitter, shimmer": 10,
    "CPP, CPPS": 8,
    "H1-H2, tilt": 2,
}
"""How many times as fast as the reference a stage is meant to be."""
MOST_MS_OF_REFERENCE = 650
"""Milliseconds a second of sound on the whole path of the reference backend: more is a fault, not a slow machine."""
MOST_SECONDS_TO_START = {"kernels compiled first": 60, "kernels on disk": 5}
"""From a fresh process to its first features."""
START = """
import time
began = time.perf_counter()
from accent.features.config import FeatureConfig
from accent.features.extract import prepare_backend
prepare_backend(FeatureConfig(backend="numba"))
print(time.perf_counter() - began)
"""
SMILE = "openSMILE eGeMAPSv02, 25 low-level descriptors"


def main(
    corpus: Annotated[Path, typer.Argument(help="Any corpus that `accent featurize` reads.")],
    recordings: Annotated[int, typer.Option(help="How many of its recordings, evenly spread.")] = 24,
    repeats: Annotated[int, typer.Option(help="Turns of every stage, of three runs each; the fastest run counts.")] = 3,
    rate: Annotated[int, typer.Option(help="The recordings are copied to this sampling rate first.")] = 44_100,
    workers: Annotated[int, typer.Option(help="Most worker processes of the last table.")] = available_cores(),
    hours: Annotated[float, typer.Option(help="Of sound for the last table: the recordings again and again.")] = 4.0,
) -> None:
    """Measure what featurizing costs on one core, and how it grows."""
    console = Console(width=110)
    print_start(console)
    keep_freed_memory()
    prepare_backend(OURS)
    prepare_backend(REFERENCE)
    with tempfile.TemporaryDirectory() as folder:
        utterances = copies(corpus, Path(folder) / "copies", recordings, rate)
        print_stages(console, utterances, Path(folder), repeats)
        print_lengths(console, utterances, repeats)
        print_workers(console, repeated(utterances, Path(folder), hours), Path(folder), workers)


def copies(corpus: Path, folder: Path, count: int, rate: int) -> list[Utterance]:
    """Copy some recordings of a corpus at another sampling rate, 16 bits."""
    every = open_corpus(corpus).utterances
    folder.mkdir()
    chosen = []
    for utterance in every[:: max(1, len(every) // count)][:count]:
        samples_NC, from_rate, _ = decode(utterance.path)
        path = folder / f"{utterance.key}.wav"
        soundfile.write(path, soxr.resample(samples_NC, from_rate, rate), rate, subtype="PCM_16")
        chosen.append(replace(utterance, path=path))
    return chosen


def fastest(calls: Sequence[Callable[[], Any]], repeats: int) -> np.ndarray:
    """Run the calls in turn, several times; return the seconds of the fastest run of each.

    In its turn a call runs several times in a row, as in a worker, which does nothing else: the first run finds the
    processor's caches full of the other contestant's work.
    """
    seconds = np.full(len(calls), np.inf)
    for _ in range(repeats):
        for number, call in enumerate(calls):
            for _ in range(RUNS_IN_A_ROW):
                began = time.perf_counter()
                call()
                seconds[number] = min(seconds[number], time.perf_counter() - began)
    return seconds


def print_start(console: Console) -> None:
    """Print how long a fresh process takes to its first features: without compiled kernels on disk, and with them."""
    table = Table(title="seconds from a fresh process to its first features")
    for heading in ("start", "seconds", "at most"):
        table.add_column(heading, justify="left" if heading == "start" else "right")
    with tempfile.TemporaryDirectory() as cache:
        environment = {**os.environ, "NUMBA_CACHE_DIR": cache}
        for name, most in MOST_SECONDS_TO_START.items():
            done = subprocess.run(
                [sys.executable, "-c", START], env=environment, check=True, capture_output=True, text=True
            )
            seconds = float(done.stdout)
            table.add_row(name, f"{seconds:.1f}", f"{most}{', over' if seconds > most else ''}")
    console.print(table)


def print_stages(console: Console, utterances: Sequence[Utterance], root: Path, repeats: int) -> None:
    """Print the cost of every stage of both backends, and of openSMILE."""
    spent: dict[str, np.ndarray] = {}
    smile_seconds = 0.0
    sound_seconds = 0.0
    smile = find_smile()
    for utterance in track(utterances, "stages", console=console, transient=True):
        speech = load_speech(utterance.path, OURS.audio)
        sound_seconds += len(speech.unfiltered_N) / SAMPLE_RATE
        ours = {**our_stages(speech), **stages_around(utterance, root, OURS)}
        theirs = {**reference_stages(speech), **stages_around(utterance, root, REFERENCE)}
        for name in ours:
            spent[name] = spent.get(name, np.zeros(2)) + fastest([ours[name], theirs[name]], repeats)
        if smile is not None:
            smile_seconds += fastest([lambda: smile(speech)], repeats)[0]  # noqa: B023 - called at once

    table = Table(title=f"ms a second of sound on one core: {len(utterances)} recordings, {sound_seconds:.0f} s")
    for heading in ("stage", "numba", "reference", "ratio", "at least"):
        table.add_column(heading, justify="left" if heading == "stage" else "right")
    for name, (ours_s, theirs_s) in spent.items():
        if name == WHOLE_PATH:
            table.add_section()
        row = (f"{1000 * one / sound_seconds:.2f}" for one in (ours_s, theirs_s))
        ratio, least = theirs_s / ours_s, LEAST_RATIO.get(name)
        bound = "" if least is None else f"{least}{', under' if ratio < least else ''}"
        table.add_row(name, *row, f"{ratio:.1f}", bound)
    ours_s, theirs_s = spent[WHOLE_PATH]
    table.add_row("x real time", *(f"{sound_seconds / one:.0f}" for one in (ours_s, theirs_s)), "", "")
    console.print(table)
    reference_ms = 1000 * theirs_s / sound_seconds
    verdict = "over" if reference_ms > MOST_MS_OF_REFERENCE else "within"
    console.print(f"the reference's whole path: {verdict} {MOST_MS_OF_REFERENCE} ms a second of sound")
    if smile is None:
        console.print("openSMILE is not installed (pip install opensmile)")
    else:
        console.print(
            f"{SMILE}: {1000 * smile_seconds / sound_seconds:.2f} ms a second of sound, already decoded; "
            f"our whole path is {smile_seconds / ours_s:.1f} x as fast"
        )


def our_stages(speech: Speech) -> Stages:
    """Return the parts of the numba backend, each as a call."""
    sound_N = speech.unfiltered_N
    f0_T = pitch.track_pitch(sound_N, OURS).f0_T
    formants_T8 = formants.formant_frames(sound_N, OURS)

    def perturbations() -> None:
        times_P = pulses.glottal_pulses(sound_N, f0_T)
        perturbation.jitter_and_shimmer(sound_N, times_P, speech.total_frames, OURS)
        perturbation.voice_perturbation(sound_N, times_P, 0.0, len(sound_N) / SAMPLE_RATE, OURS)

    return {
        "mel, MFCC, chroma, spectral": lambda: spectrum.spectral_frames(speech.normalised_N),
        "pitch, voicing strength": lambda: pitch.track_pitch(sound_N, OURS),
        "intensity, two windows": lambda: (intensity.intensity(sound_N, OURS), intensity.smooth_intensity(sound_N)),
        "formants": lambda: formants.formant_frames(sound_N, OURS),
        "harmonics-to-noise ratio": lambda: harmonicity.harmonicity(sound_N, OURS),
        "pulses, jitter, shimmer": perturbations,
        "CPP, CPPS": lambda: cepstrum.cepstral_peaks(sound_N, OURS, speech.first_frame, speech.n_frames),
        "H1-H2, tilt": lambda: source.source_frames(sound_N, f0_T, formants_T8, OURS),
    }


def reference_stages(speech: Speech) -> Stages:
    """Return the same parts of the reference backend."""
    sound_N = speech.unfiltered_N
    pitch_track = praat_pitch.track_pitch(sound_N, REFERENCE)
    formants_T8 = praat_formants.formant_frames(sound_N, REFERENCE)

    def perturbations() -> None:
        praat_pulses.jitter_and_shimmer(pitch_track, REFERENCE)
        praat_report.voice_perturbation(pitch_track, speech.kept, REFERENCE)

    def cepstral_peaks() -> None:
        praat_cepstrum.cepstral_peak_prominence(sound_N, REFERENCE)
        praat_cepstrum.smoothed_cepstral_peak(speech, REFERENCE)

    def source_frames() -> None:
        frames_TW = source_by_definition.pitch_frames(sound_N, REFERENCE.pitch_floor_hz)
        source_by_definition.first_harmonics(frames_TW, pitch_track.f0_T, formants_T8)
        source_by_definition.spectral_tilt(frames_TW, pitch_track.f0_T, REFERENCE)

    def intensities() -> None:
        praat_pitch.intensity(sound_N, REFERENCE)
        praat_pitch.smooth_intensity(sound_N)

    return {
        "mel, MFCC, chroma, spectral": lambda: librosa_spectrum.spectral_frames(speech.normalised_N),
        "pitch, voicing strength": lambda: praat_pitch.track_pitch(sound_N, REFERENCE),
        "intensity, two windows": intensities,
        "formants": lambda: praat_formants.formant_frames(sound_N, REFERENCE),
        "harmonics-to-noise ratio": lambda: praat_harmonicity.harmonicity(sound_N, REFERENCE),
        "pulses, jitter, shimmer": perturbations,
        "CPP, CPPS": cepstral_peaks,
        "H1-H2, tilt": source_frames,
    }


def stages_around(utterance: Utterance, root: Path, config: FeatureConfig) -> Stages:
    """Return what both backends share around the features, and the whole path from the file to a packed sample."""
    samples_NC, rate, _ = decode(utterance.path)
    speech = load_speech(utterance.path, config.audio)
    analysis = find_backend(config.backend)(speech, config, utterance.sex)
    textgrid = utterance.textgrid
    intervals = None if textgrid is None else read_alignment(textgrid).intervals
    return {
        "decode": lambda: decode(utterance.path),
        "mix, resample, filter, trim, loudness": lambda: prepare_speech(samples_NC, rate, config.audio),
        "alignment": lambda: None if textgrid is None else read_alignment(textgrid),
        "values of the utterance": lambda: utterance_features(speech, analysis, intervals, config),
        WHOLE_PATH: lambda: encode(utterance, root, config),
    }


def find_smile() -> Callable[[Speech], Any] | None:
    """Return openSMILE's low-level descriptors as a call, or nothing where it is not installed."""
    try:
        import opensmile  # type: ignore[import-not-found,unused-ignore]
    except ImportError:
        return None
    smile = opensmile.Smile(
        feature_set=opensmile.FeatureSet.eGeMAPSv02, feature_level=opensmile.FeatureLevel.LowLevelDescriptors
    )
    return lambda speech: smile.process_signal(speech.unfiltered_N.astype(np.float32), SAMPLE_RATE)


def print_lengths(console: Console, utterances: Sequence[Utterance], repeats: int) -> None:
    """Print what a second of sound costs in ever longer recordings; a flat line says that cost is linear."""
    every_N = np.concatenate([load_speech(one.path, OURS.audio).unfiltered_N for one in utterances])
    table = Table(title="ms a second of sound against the length of the recording (features only)")
    table.add_column("seconds", justify="right")
    table.add_column("numba", justify="right")
    table.add_column("reference", justify="right")
    seconds = 1
    while seconds * SAMPLE_RATE <= min(len(every_N), 120 * SAMPLE_RATE):
        speech = prepare_speech(every_N[: seconds * SAMPLE_RATE], SAMPLE_RATE, OURS.audio)
        calls = [
            lambda config=config, speech=speech: find_backend(config.backend)(speech, config, None)
            for config in (OURS, REFERENCE)
        ]
        taken = 1000 * fastest(calls, repeats) / seconds
        table.add_row(str(seconds), *(f"{one:.2f}" for one in taken))
        seconds *= 2
    console.print(table)


def repeated(utterances: Sequence[Utterance], folder: Path, hours: float) -> Path:
    """Write a table that lists the recordings under ever new names until they make so many hours."""
    seconds = sum(soundfile.info(one.path).duration for one in utterances)
    rows = ["path\tspeaker\taccent"]
    for copy in range(math.ceil(3600 * hours / seconds)):
        for one in utterances:
            alias = folder / "aliases" / f"{one.key}-{copy:05d}.wav"
            alias.parent.mkdir(exist_ok=True)
            alias.symlink_to(one.path)
            rows.append(f"{alias}\t{one.speaker}\t{one.accent}")
    table = folder / "repeated.tsv"
    table.write_text("\n".join(rows) + "\n", encoding="utf-8")
    return table


def print_workers(console: Console, corpus: Path, folder: Path, most: int) -> None:
    """Print the throughput of the whole featurizer, start of the processes included, and how it grows with workers."""
    table = Table(title="accent featurize, all of it: start, features, shards, manifest")
    for heading in ("workers", "seconds", "x real time", "speed-up / workers"):
        table.add_column(heading, justify="right")
    alone = 0.0
    workers = 1
    while workers <= most:
        began = time.perf_counter()
        shard_set = FeatureProcessor(corpus, folder / f"shards-{workers}", workers=workers).process_dataset()
        taken = time.perf_counter() - began
        alone = alone or taken
        table.add_row(
            str(workers),
            f"{taken:.1f}",
            f"{3600 * shard_set.manifest.hours / taken:.0f}",
            f"{alone / taken / workers:.2f}",
        )
        workers *= 2
    console.print(table)


if __name__ == "__main__":
    typer.run(main)
