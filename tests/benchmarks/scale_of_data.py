"""What a set of a million, or ten million, samples costs before its first batch: seconds and memory of each step.

    OMP_NUM_THREADS=1 python -m tests.benchmarks.scale_of_data --rows 100000 --rows 1000000 --folder SCRATCH

The index and the names are as long as they would be; all rows point at the samples of one small shard, so ten million
rows take 0.6 GB of disk.  Each step runs in a process of its own, after the steps it needs; seconds are of the
processor.  Two figures of memory: how far the process grew at the step's peak, the pages of the mapped index included,
which processes of one machine share; and how much memory of its own it holds afterwards.  Featurizing's plan is made of
a table with as many rows, up to a million.
"""

import gc
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import torch
import typer
from rich.console import Console
from rich.table import Table

from launch.training.identity import shard_set_fingerprint
from shards.corpora import open_corpus
from shards.loading.config import BatchConfig
from shards.loading.loader import EvaluationLoader, TrainingLoader
from shards.shard_set.manifest import ShardSet
from shards.shard_set.summary import describe
from shards.splits.split import SplitConfig, make_split
from shards.writing.plan import FeaturizeConfig, make_plan
from tests.support.device import forget_peak, peak_bytes
from tests.support.shard_sets.long_index import make_long_shard_set

MOST_TABLE_ROWS = 1_000_000
"""Rows of the longest table that is planned: its sound files are one a speaker."""
TABLE_SPEAKERS = 1_000
Work = Callable[[], Any]


class Case(NamedTuple):
    """One shape of a corpus."""

    name: str
    accents: int
    speakers_per_accent: int
    own_prompts: bool
    batch: BatchConfig


BATCH_OF_96 = BatchConfig(accents_per_batch=6, speakers_per_accent=4, crop_frames=100, workers=0)
CASES = {
    one.name: one
    for one in (
        Case("600 speakers", 6, 100, False, BATCH_OF_96),
        Case("a prompt a row", 6, 100, True, BATCH_OF_96),
        Case("200 accents of 1,000 speakers", 200, 1_000, False, BATCH_OF_96),
        Case("one speaker an accent", 6, 1, False, BATCH_OF_96),
    )
}


def main(
    rows: Annotated[list[int], typer.Option(help="rows of the index; may be repeated")] = [100_000, 1_000_000],  # noqa: B006
    case: Annotated[list[str], typer.Option(help="shapes of corpora")] = list(CASES),  # noqa: B006
    folder: Annotated[Path | None, typer.Option(help="scratch folder; a temporary one if left out")] = None,
    step: Annotated[str | None, typer.Option(help="one step, in this process, as JSON")] = None,
) -> None:
    """Print a table of every step."""
    torch.set_num_threads(1)
    if step is not None:
        assert folder is not None
        print(json.dumps(measured(step, CASES[case[0]], folder)))
        return
    table = Table(title="Seconds; megabytes at the peak, mapped pages included; megabytes of its own held afterwards")
    table.add_column("corpus")
    table.add_column("step")
    for number in rows:
        table.add_column(f"{number:,} rows", justify="right")
    cells: dict[tuple[str, str], list[str]] = {}
    for number in rows:
        for name in case:
            with tempfile.TemporaryDirectory(dir=folder) as scratch:
                found = steps_of(CASES[name], number, Path(scratch))
            for one in STEPS:
                cells.setdefault((name, one), []).append(found.get(one, "-"))
    for (name, one), shown in cells.items():
        if set(shown) != {"-"}:
            table.add_row(name, one, *shown)
    Console(width=160).print(table)


def steps_of(case: Case, rows: int, scratch: Path) -> dict[str, str]:
    """Make a set and measure every step in a process of its own; step -> what the table shows."""
    # In a process of its own, so that this one stays small.
    subprocess.run([sys.executable, "-c", _MAKE, str(scratch), str(rows), case.name], check=True)
    found = {}
    for step in STEPS:
        if step == "featurize: plan of a table" and (case.name != next(iter(CASES)) or rows > MOST_TABLE_ROWS):
            continue
        if step == "training loader, same prompts" and case.own_prompts:
            continue
        command = [sys.executable, "-m", __spec__.name if __spec__ else __name__]
        options = ["--step", step, "--case", case.name, "--folder", str(scratch)]
        output = subprocess.run([*command, *options], check=True, capture_output=True, text=True).stdout
        values = json.loads(output.splitlines()[-1])
        found[step] = f"{values['seconds']:.2f} s {values['peak_mb']:,.0f} {values['held_mb']:,.0f}"
        print(f"{rows:,} rows, {case.name}, {step}: {found[step]}", file=sys.stderr)
    return found


_MAKE = """
import sys
from dataclasses import replace
from pathlib import Path
from tests.benchmarks.scale_of_data import make
make(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
"""


def make(folder: Path, rows: int, name: str) -> None:
    """Write the shard set, and for the first case the table, of a number of rows."""
    case = CASES[name]
    prompts = None if case.own_prompts else 1_132
    make_long_shard_set(folder / "set", rows, case.accents, case.speakers_per_accent, prompts)
    if name == next(iter(CASES)) and rows <= MOST_TABLE_ROWS:
        for speaker in range(TABLE_SPEAKERS):
            # Sizes differ: files of one size would be compared, in case one voice has two names.
            (folder / f"{speaker}.wav").write_bytes(bytes(speaker + 1))
        with (folder / "table.tsv").open("w", encoding="utf-8") as stream:
            stream.write("path\tspeaker\taccent\tsex\tutterance\ttext\n")
            for row in range(rows):
                speaker = row % TABLE_SPEAKERS
                facts = (f"{speaker}.wav", f"s{speaker}", f"a{speaker % 6}", "female", f"u{row}", f"sentence {row}")
                stream.write("\t".join(facts) + "\n")


def measured(step: str, case: Case, folder: Path) -> dict[str, float]:
    """Run what a step needs, then the step itself; return seconds and megabytes."""
    work = STEPS[step](case, folder)
    gc.collect()
    cpu = torch.device("cpu")
    own, resident = _own_bytes(), _status("VmRSS")
    forget_peak(cpu)
    began = time.process_time()
    kept = work()
    seconds = time.process_time() - began
    gc.collect()
    values = {
        "seconds": seconds,
        "peak_mb": max(0, peak_bytes(cpu) - resident) / 1e6,
        "held_mb": max(0, _own_bytes() - own) / 1e6,
    }
    del kept
    return values


def _own_bytes() -> int:
    return _status("RssAnon")


def _status(key: str) -> int:
    facts = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(facts[key].split()[0]) * 1024


def _open(_: Case, folder: Path) -> Work:
    return lambda: ShardSet.open(folder / "set")


def _split(_: Case, folder: Path) -> Work:
    shard_set = ShardSet.open(folder / "set")
    config = SplitConfig(validation_speakers=0, test_speakers=0) if len(shard_set.speakers) < 20 else SplitConfig()
    return lambda: make_split(shard_set, config)


def _inspect(_: Case, folder: Path) -> Work:
    shard_set = ShardSet.open(folder / "set")

    def work() -> None:
        with open(os.devnull, "w") as nowhere:
            Console(file=nowhere, width=100).print(describe(shard_set))

    return work


def _fingerprint(_: Case, folder: Path) -> Work:
    shard_set = ShardSet.open(folder / "set")
    return lambda: shard_set_fingerprint(shard_set)


def _training(case: Case, folder: Path, same_prompts: bool = False) -> Callable[[], TrainingLoader]:
    shard_set = ShardSet.open(folder / "set")
    return lambda: TrainingLoader(shard_set, None, replace(case.batch, same_prompts=same_prompts))


def _same_prompts(case: Case, folder: Path) -> Work:
    return _training(case, folder, same_prompts=True)


def _batch(case: Case, folder: Path, first: int) -> Work:
    loader = _training(case, folder)()
    return lambda: (loader, next(loader.steps(first, first + 1)))


def _hundred(case: Case, folder: Path) -> Work:
    loader = _training(case, folder)()
    return lambda: (loader, [loader.rows(step) for step in range(1_000)])


def _evaluation(_: Case, folder: Path, rank: int = 0, world_size: int = 1) -> Work:
    shard_set = ShardSet.open(folder / "set")
    return lambda: EvaluationLoader(shard_set, None, None, rank, world_size)


def _keys(_: Case, folder: Path) -> Work:
    loader = EvaluationLoader(ShardSet.open(folder / "set"))
    return lambda: loader.keys(loader.numbers_N)


def _plan(_: Case, folder: Path) -> Work:
    return lambda: make_plan(open_corpus(folder / "table.tsv", FeaturizeConfig().corpus), FeaturizeConfig())


STEPS: dict[str, Callable[[Case, Path], Work]] = {
    "open": _open,
    "split": _split,
    "inspect": _inspect,
    "fingerprint of a run": _fingerprint,
    "training loader": _training,
    "training loader, same prompts": _same_prompts,
    "first batch": lambda case, folder: _batch(case, folder, 0),
    "batch of step 1,000,000": lambda case, folder: _batch(case, folder, 1_000_000),
    "rows of 1,000 steps": _hundred,
    "evaluation: plan": _evaluation,
    "evaluation: plan, one of 8": lambda case, folder: _evaluation(case, folder, 3, 8),
    "evaluation: keys": _keys,
    "featurize: plan of a table": _plan,
}
"""Name -> makes what the step needs and returns the step."""


if __name__ == "__main__":
    typer.run(main)
