"""Seconds from the start of a command to what a user waits for: the first line, the first sample, the first answer.

    OMP_NUM_THREADS=1 python -m tests.benchmarks.start_up CORPUS [--run RUN --file FILE]

Wall time, of the fastest of several starts; processor time of the whole command beside it, the steadier figure where
a machine is shared.  The first sample is there when the first byte of a shard is.  The kernels must have been compiled
before: the first start, which is not counted, does it.
"""

import os
import selectors
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

STARTS = 3
LOOK_SECONDS = 0.005


def started(words: Sequence[str], is_there: Callable[[], bool] | None = None) -> tuple[float, float, float]:
    """Return seconds to the first line, seconds until something is there (or to the end), and processor time."""
    before, begun = os.times(), time.perf_counter()
    first_line = there = None
    with subprocess.Popen(
        [sys.executable, "-m", "launch.cli", *words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as command:
        assert command.stdout is not None
        with selectors.DefaultSelector() as watched:
            watched.register(command.stdout, selectors.EVENT_READ)
            while True:
                readable = watched.select(LOOK_SECONDS)
                if there is None and is_there is not None and is_there():
                    there = time.perf_counter() - begun
                if readable:
                    if not os.read(command.stdout.fileno(), 1 << 16):
                        break
                    first_line = first_line or time.perf_counter() - begun
    if command.returncode:
        raise SystemExit(f"accent {' '.join(words)}: exit status {command.returncode}")
    ended, after = time.perf_counter() - begun, os.times()
    processor = after.children_user + after.children_system - before.children_user - before.children_system
    return first_line or ended, there or ended, processor


def fastest(runs: list[tuple[float, float, float]]) -> list[str]:
    """Return the least of each figure, without the first run."""
    return [f"{min(values):.2f}" for values in zip(*runs[1:], strict=True)]


def featurized(corpus: Path) -> tuple[float, float, float]:
    """Featurize with one worker; what is there first is a byte of a shard."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder, "shards")

        def begun() -> bool:
            return any(path.stat().st_size for path in out.glob("*.tar*"))

        return started(["featurize", str(corpus), str(out), "--workers", "1"], begun)


def main(
    corpus: Annotated[Path, typer.Argument(metavar="CORPUS", help="Some recordings.")],
    run: Annotated[Path | None, typer.Option(help="A calibrated run.")] = None,
    file: Annotated[Path | None, typer.Option(help="A recording of speech.")] = None,
) -> None:
    """Print how long commands take to begin."""
    table = Table(title=f"Seconds, the least of {STARTS} starts")
    for column in ("command", "first line", "first sample or answer", "processor time, whole command"):
        table.add_column(column)
    starts = range(STARTS + 1)
    table.add_row("accent --help", *fastest([started(["--help"]) for _ in starts]))
    table.add_row("accent featurize", *fastest([featurized(corpus) for _ in starts]))
    if run is not None and file is not None:
        table.add_row("accent identify", *fastest([started(["identify", str(run), str(file)]) for _ in starts]))
    Console().print(table)


if __name__ == "__main__":
    typer.run(main)
