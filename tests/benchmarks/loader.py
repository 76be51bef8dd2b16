"""What reading batches costs: ours, webdataset's own pipeline and bare `preadv`, on the same shards in one run.

    OMP_NUM_THREADS=1 python -m tests.benchmarks.loader

The shards are synthetic: 2,000 samples of 360 frames, 103 KB each, read once before the first measurement, so that they
come from the page cache.  Contestants take turns, several times, and the fastest round counts: the noise of a shared
machine only ever adds.  Six tables: throughput; time to the first batch and to resume on 100,000 samples; the cost of
choosing the rows of a step; padding; coverage and repeats of an epoch; what a training step pays for the reading
beside it.

"worker" is one more thread for us, one more process for webdataset.  Its samples come one by one unless "batches" says
otherwise, in tar order; ours are always batches in shuffled order, with phones, labels and masks.
Megabytes are 10^6 bytes of frames; what is read with them (phones, labels, JSON) is not counted for anyone.
"""

import dataclasses
import os
import tempfile
import time
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer
import webdataset
from rich.console import Console
from rich.progress import track
from rich.table import Table

from shards.loading.config import BatchConfig
from shards.loading.loader import EvaluationLoader, TrainingLoader
from shards.sampling.decks import BatchShape, build_decks
from shards.sampling.sampler import training_rows
from shards.sampling.shared_prompts import find_shared_prompts
from shards.shard_set.index import FRAME_BYTES
from shards.shard_set.manifest import ShardSet
from tests.support.shard_sets.large import repeat_shard_set
from tests.support.shard_sets.synthetic import make_shard_set

FRAMES, CROP = 360, 300
SPEAKERS = {accent: [f"{accent}{number}" for number in range(4)] for accent in "abcdef"}
WHOLE = BatchConfig(utterances_per_speaker=4, crop_frames=FRAMES, workers=0)
CROPS = dataclasses.replace(WHOLE, crop_frames=CROP)
HERE, THERE = "webdataset", "webdataset, 1 worker"
"""Its default pipeline, `WebDataset(shards).decode()`: in this process, and in a worker process of its loader."""
MOST_MS_TO_CHOOSE = 50
"""Milliseconds of processor time that choosing the rows of a step may take."""
Round = Callable[[], int]
"""Reads a round of samples; returns how many bytes of frames."""


def main(
    samples: Annotated[int, typer.Option(help="samples in the synthetic shards")] = 2000,
    repeats: Annotated[int, typer.Option(help="rounds, of which the fastest counts")] = 10,
) -> None:
    """Print the six tables."""
    torch.set_num_threads(1)
    console = Console()
    with tempfile.TemporaryDirectory() as folder:
        each = -(-samples // sum(map(len, SPEAKERS.values())))
        shard_set = make_shard_set(
            Path(folder, "shards"), SPEAKERS, each, lengths=(FRAMES, FRAMES), phones=True, samples_per_shard=256
        )
        for entry in shard_set.manifest.shards:
            (shard_set.root / entry.name).read_bytes()
        console.print(throughput(shard_set, repeats, console))
        console.print(positions(repeat_shard_set(shard_set, Path(folder, "large"), -(-100_000 // len(shard_set)))))
        console.print(choosing_rows())
        console.print(padding(shard_set))
        console.print(coverage(shard_set, Path(folder, "unbalanced")))
        console.print(beside_training(shard_set, repeats))


def throughput(shard_set: ShardSet, repeats: int, console: Console) -> Table:
    """Return samples and megabytes a second of every contestant."""

    def ours(config: BatchConfig) -> Round:
        loader = TrainingLoader(shard_set, None, config)
        # Every sample is longer than the crop, or as long: no batch has padding.
        return lambda: sum(len(batch.sample_B) for batch in loader) * loader.crop_frames * FRAME_BYTES

    def evaluation(workers: int) -> Round:
        loader = EvaluationLoader(shard_set, None, BatchConfig(workers=workers))
        return lambda: sum(len(batch.sample_B) for batch in loader) * FRAMES * FRAME_BYTES

    bare, bare_crops = bare_preadv(shard_set, WHOLE), bare_preadv(shard_set, CROPS)
    # Name, what it does, the bare reading of the same ranges.
    contestants: list[tuple[str, Round, str]] = [
        (HERE, webdataset_pipeline(shard_set), "bare"),
        ("webdataset, select_files", webdataset_pipeline(shard_set, select=True), "bare"),
        ("webdataset, batches of 48", webdataset_pipeline(shard_set, batched=True), "bare"),
        (THERE, webdataset_pipeline(shard_set, workers=1), "bare"),
        ("webdataset, select_files, 1 worker", webdataset_pipeline(shard_set, select=True, workers=1), "bare"),
        ("webdataset, batches of 48, 1 worker", webdataset_pipeline(shard_set, batched=True, workers=1), "bare"),
        ("bare", bare, "bare"),
        ("ours, whole", ours(WHOLE), "bare"),
        ("ours, whole, 1 worker", ours(dataclasses.replace(WHOLE, workers=1)), "bare"),
        ("ours, whole, 2 workers", ours(dataclasses.replace(WHOLE, workers=2)), "bare"),
        ("ours, whole, checksums", ours(dataclasses.replace(WHOLE, verify=True)), "bare"),
        ("ours, whole, checksums, 2 workers", ours(dataclasses.replace(WHOLE, verify=True, workers=2)), "bare"),
        ("ours, evaluation (checksums)", evaluation(0), "bare"),
        ("bare, crops", bare_crops, "bare, crops"),
        (f"ours, crops of {CROP}", ours(CROPS), "bare, crops"),
        (f"ours, crops of {CROP}, 1 worker", ours(dataclasses.replace(CROPS, workers=1)), "bare, crops"),
        (f"ours, crops of {CROP}, checksums", ours(dataclasses.replace(CROPS, verify=True)), "bare, crops"),
    ]
    rates = dict.fromkeys([name for name, *_ in contestants], 0.0)
    for _ in track(range(repeats + 1), "throughput", console=console, transient=True):
        for name, read, _ in contestants:
            began = time.perf_counter()
            done = read()
            rates[name] = max(rates[name], done / (time.perf_counter() - began))
    table = Table(title="Throughput from the page cache; 'bare' is preadv into a reused buffer, frames only")
    table.add_column("reading")
    for heading in ("samples/s", "MB/s", "of bare", "x webdataset here", "x webdataset's worker"):
        table.add_column(heading, justify="right")
    for name, _, floor in contestants:
        rate = rates[name]
        each = (CROP if "crops" in name else FRAMES) * FRAME_BYTES
        table.add_row(
            name,
            f"{rate / each:,.0f}",
            f"{rate / 1e6:,.0f}",
            f"{rate / rates[floor]:.0%}",
            f"{rate / rates[HERE]:.1f}",
            f"{rate / rates[THERE]:.1f}",
        )
    return table


def bare_preadv(shard_set: ShardSet, config: BatchConfig) -> Round:
    """Return a round that reads the frames of an epoch's rows into one reused batch, and does nothing else."""
    loader = TrainingLoader(shard_set, None, config)
    descriptors = [os.open(shard_set.root / entry.name, os.O_RDONLY) for entry in shard_set.manifest.shards]
    ranges = []
    for step in range(loader.steps_per_epoch):
        numbers_B, starts_B, counts_B = loader.rows(step)
        index_B = shard_set.index[numbers_B]
        for row, (shard, offset, length) in enumerate(
            zip(
                index_B["shard"].tolist(),
                (index_B["frames_offset"].astype(np.int64) + starts_B * FRAME_BYTES).tolist(),
                (counts_B * FRAME_BYTES).tolist(),
                strict=True,
            )
        ):
            ranges.append((descriptors[shard], row * loader.crop_frames * FRAME_BYTES, length, offset))
    buffer = memoryview(bytearray(loader.global_batch * loader.crop_frames * FRAME_BYTES))

    def read() -> int:
        done = 0
        for descriptor, place, length, offset in ranges:
            done += os.preadv(descriptor, (buffer[place : place + length],), offset)
        return done

    return read


def webdataset_pipeline(shard_set: ShardSet, select: bool = False, batched: bool = False, workers: int = 0) -> Round:
    """Return a round that reads all shards as webdataset's documentation does: untar, group, decode .npy to numpy.

    Args:
        shard_set: what is read; its samples are equally long.
        select: leave phones and JSON out while untarring.
        batched: collate 48 samples into one array, as ours do.
        workers: processes of its loader; they stay from round to round.
    """
    urls = [str(shard_set.root / entry.name) for entry in shard_set.manifest.shards]
    chosen = _is_frames if select else None
    dataset = webdataset.WebDataset(urls, shardshuffle=False, select_files=chosen).decode()
    if batched:
        dataset = dataset.batched(48)
    if workers:
        # Torch's own class, by way of webdataset: batches are made by the pipeline, not by the loader.
        dataset = webdataset.WebLoader(dataset, batch_size=None, num_workers=workers, persistent_workers=True)
    return lambda: sum(sample["frames.npy"].nbytes for sample in dataset)


def _is_frames(name: str) -> bool:
    return name.endswith(".frames.npy")


def positions(shard_set: ShardSet) -> Table:
    """Return how long the first batch takes from the start of a run, and from places far into it."""
    table = Table(title=f"Opening {len(shard_set):,} samples and reading the first batch of a run of 50 epochs")
    table.add_column("position")
    for heading in ("step", "in the training thread, s", "2 workers, s", "evaluation, s"):
        table.add_column(heading, justify="right")
    for name, share in (("the start", 0.0), ("resumed at 1 %", 0.01), ("50 %", 0.5), ("99 %", 0.99)):
        cells = []
        for workers in (0, 2):
            took = []
            for _ in range(3):
                began = time.perf_counter()
                config = dataclasses.replace(CROPS, workers=workers)
                loader = TrainingLoader(ShardSet.open(shard_set.root), None, config)
                step = int(share * 50 * loader.steps_per_epoch)
                next(loader.steps(step, step + 100))
                took.append(time.perf_counter() - began)
            cells.append(f"{min(took):.3f}")
        evaluated = "-"
        if share == 0.0:
            began = time.perf_counter()
            next(iter(EvaluationLoader(ShardSet.open(shard_set.root))))
            evaluated = f"{time.perf_counter() - began:.3f}"
        table.add_row(name, f"{step:,}", *cells, evaluated)
    return table


def choosing_rows() -> Table:
    """Return what the rows of one step cost with nothing remembered of the steps before, with shared prompts."""
    table = Table(title="Choosing the rows of a far step of 100,000 utterances: processor time, the quickest of five")
    table.add_column("speakers")
    for heading in ("rows", "ms", "at most"):
        table.add_column(heading, justify="right")
    for n_speakers, shape in ((24, BatchShape(6, 2, 4)), (3000, BatchShape(5, 3, 7))):
        generator = np.random.default_rng(0)
        speaker_N, prompt_N = generator.integers(0, n_speakers, 100_000), generator.integers(0, 5_000, 100_000)
        numbers_N, accent_N = np.arange(100_000), speaker_N % 6
        shared = find_shared_prompts(numbers_N, accent_N, speaker_N, prompt_N, list("abcdef"))
        decks = build_decks(numbers_N, accent_N, speaker_N, shared)
        took = []
        for step in range(1_000_000, 6_000_000, 1_000_000):
            decks.newest.clear()
            began = time.thread_time()
            training_rows(step, decks, shape, 0)
            took.append(1000 * (time.thread_time() - began))
        bound = f"{MOST_MS_TO_CHOOSE}{', over' if min(took) > MOST_MS_TO_CHOOSE else ''}"
        table.add_row(f"{n_speakers:,}", str(shape.rows), f"{min(took):.1f}", bound)
    return table


def padding(shard_set: ShardSet) -> Table:
    """Return the share of padding on lengths like L2-ARCTIC's: log-normal, 3.6 s on average, cut to 1-10 s."""
    table = Table(title="Padding, 1 - real frames / padded frames, on lengths like L2-ARCTIC's (3.6 s, 1-10 s)")
    table.add_column("spread of log length")
    for heading in ("crops of 300", "crops of 200", "crops that follow the corpus", "evaluation, 1 rank", "8 ranks"):
        table.add_column(heading, justify="right")
    for spread in (0.3, 0.35, 0.4, 0.5):
        seconds = np.random.default_rng(0).lognormal(np.log(3.6) - spread**2 / 2, spread, len(shard_set))
        index = np.array(shard_set.index)
        index["frames"] = np.clip(100 * seconds, 100, 1000)
        lengths = dataclasses.replace(shard_set, index=index)
        cells = []
        for crop in (300, 200, None):
            loader = TrainingLoader(lengths, None, BatchConfig(crop_frames=crop))
            counts = [loader.rows(step).counts_B for step in range(4 * loader.steps_per_epoch)]
            waste = 1 - np.mean(counts) / loader.crop_frames
            cells.append(f"{waste:.1%}" + (f" ({loader.crop_frames})" if crop is None else ""))
        for world_size in (1, 8):
            real = padded = 0
            for rank in range(world_size):
                evaluation = EvaluationLoader(lengths, rank=rank, world_size=world_size)
                for batch in range(len(evaluation)):
                    counts_B = evaluation.rows(batch).counts_B
                    real += int(counts_B.sum())
                    padded += len(counts_B) * max(1, int(counts_B.max()))
            cells.append(f"{1 - real / padded:.1%}")
        table.add_row(f"{spread}", *cells)
    return table


def coverage(balanced: ShardSet, folder: Path) -> Table:
    """Return how much of a corpus an epoch reads, and how often it reads the same sample again."""
    names = [name for speakers in SPEAKERS.values() for name in speakers]
    counts = {name: 10 + 15 * number for number, name in enumerate(names)}
    unbalanced = make_shard_set(folder, SPEAKERS, lengths=(1, 1), utterances_of=counts)
    table = Table(title="An epoch: as many draws as there are samples, every speaker and accent equally often")
    table.add_column("corpus")
    for heading in ("samples", "read at least once", "draws of a sample read before", "most often", "all read after"):
        table.add_column(heading, justify="right")
    for name, shard_set in (("equal speakers", balanced), ("10 to 355 utterances a speaker", unbalanced)):
        loader = TrainingLoader(shard_set, None, BatchConfig(crop_frames=1))
        times_N = np.zeros(len(shard_set), int)
        for step in range(loader.steps_per_epoch):
            np.add.at(times_N, loader.rows(step).numbers_B, 1)
        seen, step = np.zeros(len(shard_set), bool), 0
        while not seen.all():
            seen[loader.rows(step).numbers_B] = True
            step += 1
        table.add_row(
            name,
            f"{len(shard_set):,}",
            f"{np.mean(times_N > 0):.1%}",
            f"{np.maximum(times_N - 1, 0).sum() / times_N.sum():.1%}",
            str(times_N.max()),
            f"{step / loader.steps_per_epoch:.2f} epochs",
        )
    return table


def beside_training(shard_set: ShardSet, repeats: int) -> Table:
    """Return what a step of training costs with reading beside it; the step is small operations called from Python."""
    values = torch.randn(8, 8)

    def work() -> None:
        for _ in range(100):
            for _ in range(50):
                torch.relu(values + values)
            sum(range(3000))

    def step_time(batches: Iterable[object]) -> float:
        taken, began = [], time.perf_counter()
        for _ in batches:
            work()
            taken.append(time.perf_counter() - began)
            began = time.perf_counter()
        return float(np.median(taken))

    steps = 20
    loaders = {f"{workers} workers": workers for workers in (0, 1, 2, 4)}
    contestants: dict[str, Callable[[], Iterable[object]]] = {"no reading": lambda: range(steps)}
    for name, workers in loaders.items():
        loader = TrainingLoader(shard_set, None, dataclasses.replace(WHOLE, workers=workers))
        contestants[name] = partial(loader.steps, 0, steps)
    taken = dict.fromkeys(contestants, float("inf"))
    for _ in range(repeats):
        for name, batches in contestants.items():
            taken[name] = min(taken[name], step_time(batches()))
    table = Table(title="A step bound by Python, with batches of 48 whole samples (4.9 MB) read for it")
    table.add_column("reading")
    table.add_column("ms a step", justify="right")
    table.add_column("more than without", justify="right")
    for name, seconds in taken.items():
        table.add_row(name, f"{1000 * seconds:.2f}", f"{seconds / taken['no reading'] - 1:.1%}")
    return table


if __name__ == "__main__":
    typer.run(main)
