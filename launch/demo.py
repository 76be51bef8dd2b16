"""`accent demo`: the whole system on one machine, from silence to a table, in a few minutes.

Speech is synthesised, featurized by all cores, an encoder is trained by several processes (every GPU there is, or two
processes on a CPU) and evaluated on speakers it never heard; a page shows it all.  The corpus and the shards are reused
by the next demo, the run is trained anew.  The synthetic accents show that the machinery works; they are no evidence
about real ones.
"""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from rich.console import Console

from accent.errors import AccentError
from launch.evaluation.evaluate import evaluate_run
from launch.html_report.report import write_report
from launch.run_config import PACKAGED
from shards.corpora.synthetic.demo import make_demo_corpus
from shards.writing.processor import FeatureProcessor


def run_demo(folder: Path) -> None:
    """Make a corpus, featurize it, train on it, evaluate, report, and say where everything is.

    Args:
        folder: receives `corpus/`, `shards/` and `run/`.

    Raises:
        AccentError: the folder cannot be written or holds somebody else's run, or training failed (its own lines say
            why).
    """
    console = Console(highlight=False)
    begun = time.monotonic()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise AccentError(f"{folder}: cannot make this folder ({error.strerror}); name another one") from error
    run = folder / "run"
    if run.exists() and not (folder / "corpus").exists():
        raise AccentError(f"{run}: not made by a demo, and the demo would replace it; name another folder")
    with _stage(console, "1/5  speech: synthesised by espeak-ng on this machine"):
        corpus = make_demo_corpus(folder / "corpus")
    with _stage(console, "2/5  features: seven families, 100 frames a second, into tar shards"):
        shard_set = FeatureProcessor(corpus, folder / "shards").process_dataset()
    if run.exists():
        try:
            shutil.rmtree(run)
        except OSError as error:
            raise AccentError(f"{run}: cannot be replaced ({error.strerror}); name another folder") from error
    with _stage(console, "3/5  training: every GPU, or two processes on the CPU, by accelerate launch"):
        train(PACKAGED / "demo.yaml", [f"run={run}", f"shards={shard_set.root}"])
    with _stage(console, "4/5  evaluation: on speakers that the model never heard"):
        result = evaluate_run(run, shard_set.root, leave_out_families=True)
    with _stage(console, "5/5  report: everything on one page"):
        page = write_report([run], corpus=folder / "corpus")
    console.print(result.table)
    console.print(f"done in {time.monotonic() - begun:.0f} s; synthetic accents prove the machinery, nothing more\n")
    for picture in sorted((run / "evaluation").glob("*.png")):
        console.print(f"  picture      {picture}")
    console.print(f"  figures      {run / 'evaluation' / 'evaluation.json'}")
    console.print(f"  TensorBoard  tensorboard --logdir {run / 'tensorboard'}")
    console.print(f"  report       {page}")
    console.print("               one page of it all: open it in a browser; its maps play the recordings")


def train(config: Path, overrides: list[str]) -> None:
    """Train by `accelerate launch` on this machine: one process a GPU, or two on a CPU.

    Raises:
        AccentError: the job ended with a status other than 0.
    """
    gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    machine = {0: "cpu", 1: "gpu"}.get(gpus, "node")
    command = [sys.executable, "-m", "accelerate.commands.launch"]
    command += ["--config_file", str(PACKAGED / "accelerate" / f"{machine}.yaml")]
    command += ["--num_processes", str(gpus)] if gpus > 1 else []
    command += ["-m", "launch.train", str(config), *overrides]
    environment = dict(os.environ) if gpus else {**os.environ, "OMP_NUM_THREADS": "1"}
    status = subprocess.run(command, env=environment, check=False).returncode
    if status:
        raise AccentError(f"training ended with status {status}; the lines above say why")


@contextmanager
def _stage(console: Console, title: str) -> Iterator[None]:
    console.print(f"\n[bold]{title}[/bold]")
    begun = time.monotonic()
    yield
    console.print(f"     [dim]{time.monotonic() - begun:.1f} s[/dim]")
