"""What a trained model costs at work: a file from disk, a stream, an hour of it, the start of a command; and how well
a stream agrees with a recording.

    OMP_NUM_THREADS=1 python -m tests.benchmarks.live RUN FILES... [--minutes 60]

RUN is calibrated.  Files are cut to 3 s where they are embedded, and put one after the other, again and again, where
they are streamed.  Times are wall time and, because machines are shared, processor time of this process.
SpeechBrain's ECAPA-TDNN, as large as its published one and with random weights, which take as long, embeds the same
files with its own call where speechbrain is installed.  Where a bound is set it stands beside the figure, and "over"
says that it is missed: no test asserts a time.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, NamedTuple

import numpy as np
import psutil
import soundfile
import torch
import typer
from rich.console import Console
from rich.table import Table

import accent
from accent.audio.decode import decode
from accent.features.extract import prepare_backend

FILE_SECONDS = 3.0
START_SECONDS = 3.5
"""A stream's first block is not finished by then."""
MOST_SECONDS = 100.0
"""Of a recording."""
HOP_SECONDS = 0.5
ROUNDS = 5
STARTS = 5
MOST_REAL_TIME = 0.05
MOST_HOP_MS = 50.0
MOST_START_SECONDS = 3.0


class Times(NamedTuple):
    """Seconds of each of several runs."""

    wall: np.ndarray
    processor: np.ndarray


def timed(runs: Iterator[Callable[[], object]]) -> Times:
    found = []
    for run in runs:
        wall, processor = time.perf_counter(), time.process_time()
        run()
        found.append((time.perf_counter() - wall, time.process_time() - processor))
    return Times(*np.array(found).T)


def beside(value: float, most: float, digits: int) -> str:
    """Return a figure with its bound."""
    return f"{value:.{digits}f} (bound {most:g}{', over' if value > most else ''})"


def row_of_files(table: Table, name: str, times: Times) -> None:
    cells = []
    for seconds in times:
        p50, p95 = np.percentile(seconds, [50, 95])
        cells += [f"{1e3 * p50:.1f}", f"{1e3 * p95:.1f}", f"{FILE_SECONDS * len(seconds) / seconds.sum():.0f}"]
    table.add_row(name, *cells)


def embedding_of_files(model: accent.AccentModel, files: list[Path]) -> Table:
    table = Table(title=f"Embedding a file of {FILE_SECONDS:g} s from disk, {len(files)} files, {ROUNDS} rounds")
    for column in ("", "p50 ms", "p95 ms", "x real time", "CPU p50 ms", "CPU p95 ms", "CPU x real time"):
        table.add_column(column)
    model.embed(files[0])
    row_of_files(table, "ours", timed(lambda path=path: model.embed(path) for _ in range(ROUNDS) for path in files))
    if find_spec("speechbrain") is None:
        table.caption = "speechbrain is not installed"
        return table
    embed = speechbrain_call()
    embed(files[0])
    row_of_files(
        table, "SpeechBrain ECAPA-TDNN", timed(lambda path=path: embed(path) for _ in range(ROUNDS) for path in files)
    )
    return table


def speechbrain_call() -> Callable[[Path], torch.Tensor]:
    """Return SpeechBrain's own way from a file at 16 kHz to an embedding, with the modules of its published recipe."""
    from speechbrain.inference.classifiers import EncoderClassifier
    from speechbrain.lobes.features import Fbank
    from speechbrain.lobes.models.ECAPA_TDNN import ECAPA_TDNN, Classifier
    from speechbrain.processing.features import InputNormalization

    modules = {
        "compute_features": Fbank(n_mels=80),
        "mean_var_norm": InputNormalization(norm_type="sentence", std_norm=False),
        "embedding_model": ECAPA_TDNN(
            80,
            channels=[1024, 1024, 1024, 1024, 3072],
            kernel_sizes=[5, 3, 3, 3, 1],
            dilations=[1, 2, 3, 4, 1],
            attention_channels=128,
            lin_neurons=192,
        ),
        "classifier": Classifier(192, out_neurons=7205),
    }
    classifier = EncoderClassifier(modules=modules, hparams={"label_encoder": None})
    classifier.eval()

    def embed(path: Path) -> torch.Tensor:
        samples_N, _ = soundfile.read(path, dtype="float32")
        with torch.no_grad():
            return classifier.encode_batch(torch.from_numpy(samples_N)[None])

    return embed


def streaming(model: accent.AccentModel, sound_N: np.ndarray, rate: int, minutes: float) -> Table:
    """Feed a stream hop by hop, as fast as it goes."""
    table = Table(title=f"A stream of {minutes:g} minutes, an answer every {HOP_SECONDS:g} s")
    for column in ("minute", "x real time taken", "CPU", "hop p50 ms", "hop p95 ms", "CPU p50 ms", "CPU p95 ms", "MB"):
        table.add_column(column)
    hop = round(HOP_SECONDS * rate)
    stream, process, at = model.stream(rate, HOP_SECONDS), psutil.Process(), 0
    stream.feed(sound_N[:hop])

    def hops(count: int) -> Iterator[Callable[[], object]]:
        nonlocal at
        for _ in range(count):
            at = (at + hop) % (len(sound_N) - hop)
            piece_N = sound_N[at : at + hop]
            yield lambda piece_N=piece_N: stream.feed(piece_N)

    marks = sorted({mark for mark in (1.0, minutes / 6, minutes / 2, minutes) if mark <= minutes} | {minutes})
    done, everything = 0.0, []
    for mark in marks:
        times = timed(hops(round((mark - done) * 60 / HOP_SECONDS)))
        everything.append(times)
        seconds = (mark - done) * 60
        p = [1e3 * np.percentile(part, share) for part in times for share in (50, 95)]
        table.add_row(
            f"{mark:g}",
            beside(times.wall.sum() / seconds, MOST_REAL_TIME, 3),
            f"{times.processor.sum() / seconds:.3f}",
            f"{p[0]:.1f}",
            beside(p[1], MOST_HOP_MS, 1),
            f"{p[2]:.1f}",
            f"{p[3]:.1f}",
            f"{process.memory_info().rss / 1e6:.0f}",
        )
        done = mark
    return table


def agreement(model: accent.AccentModel, sounds: list[np.ndarray], rate: int) -> Table:
    """Compare the last answer of a stream with the answer for the same sound as one recording."""
    table = Table(title="The answer at the end of a stream beside that for one recording")
    for column in (
        "",
        "sounds",
        "cosine, least",
        "cosine, mean",
        "probability differs by at most",
        "same accent first",
    ):
        table.add_column(column)
    begun = round(START_SECONDS * rate)
    everything = [np.concatenate(sounds)[: round(MOST_SECONDS * rate)]]
    rows = ((f"{START_SECONDS:g} s", [one[:begun] for one in sounds]), ("files", sounds), ("all in a row", everything))
    for name, heard in rows:
        found = []
        for samples_N in heard:
            stream = model.stream(rate)
            stream.feed(samples_N)
            streamed, whole = stream.finish(), model.identify(samples_N, rate)
            assert streamed.identification is not None and streamed.embedding_E is not None
            ours, theirs = streamed.identification.probabilities, whole.probabilities
            cosine = float(streamed.embedding_E @ model.embed(samples_N, rate))
            found.append(
                (cosine, max(abs(ours[key] - theirs[key]) for key in ours), next(iter(ours)) == next(iter(theirs)))
            )
        cosine_n, differs_n, same_n = np.array(found).T
        table.add_row(
            name,
            str(len(heard)),
            f"{cosine_n.min():.4f}",
            f"{cosine_n.mean():.4f}",
            f"{differs_n.max():.3f}",
            f"{same_n.mean():.0%}",
        )
    return table


def start(run: Path, path: Path) -> Table:
    table = Table(title=f"`accent identify RUN FILE` from start to answer, {STARTS} times")
    for column in ("wall s, fastest", "wall s, median", "CPU s, fastest", "CPU s, median"):
        table.add_column(column)
    found = []
    for _ in range(STARTS + 1):
        before, wall = os.times(), time.perf_counter()
        command = [sys.executable, "-m", "launch.cli", "identify", str(run), str(path), "--json"]
        printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        assert json.loads(printed)["probabilities"]
        after = os.times()
        processor = after.children_user + after.children_system - before.children_user - before.children_system
        found.append((time.perf_counter() - wall, processor))
    # The first one reads the files into memory.
    wall_n, processor_n = np.array(found[1:]).T
    table.add_row(
        beside(wall_n.min(), MOST_START_SECONDS, 2),
        f"{np.median(wall_n):.2f}",
        f"{processor_n.min():.2f}",
        f"{np.median(processor_n):.2f}",
    )
    return table


def main(
    run: Annotated[Path, typer.Argument(metavar="RUN")],
    files: Annotated[list[Path], typer.Argument(metavar="FILES...")],
    minutes: Annotated[float, typer.Option(min=1.0, help="Of the stream.")] = 60.0,
) -> None:
    """Print what a trained model costs at work."""
    console = Console()
    console.print(start(run, files[0]))
    model = accent.load(run)
    prepare_backend(model.embedder.feature_config)
    sounds = []
    with tempfile.TemporaryDirectory() as folder:
        cut = []
        for number, path in enumerate(files):
            samples_NC, rate, _ = decode(path)
            samples_N = samples_NC.mean(1)
            sounds.append(samples_N)
            samples_N = np.resize(samples_N, round(FILE_SECONDS * rate))
            cut.append(Path(folder, f"{number}.wav"))
            soundfile.write(cut[-1], samples_N, rate)
        console.print(embedding_of_files(model, cut))
    console.print(agreement(model, sounds, rate))
    console.print(streaming(model, np.concatenate(sounds), rate, minutes))


if __name__ == "__main__":
    typer.run(main)
