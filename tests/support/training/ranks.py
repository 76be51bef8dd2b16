"""The training program on several processes without a launcher: started in a moment, killed at will.

A server that has imported everything once forks each process, with the variables in its environment that a launcher
would set.  What a process prints goes to a file of its own.
"""

import multiprocessing
import os
import signal
import socket
import time
from collections.abc import Callable, Iterator
from multiprocessing.context import ForkServerContext, ForkServerProcess
from pathlib import Path

import pytest

from shards.loading.batch import Batch
from shards.loading.loader import TrainingLoader

PRELOAD = [
    "launch.training.run",
    "launch.runtime.exit_status",
    "torch.utils.tensorboard",
    # An optimizer imports the first, DeepSpeed the second: 2 s and 1 s in each process.
    "torch._dynamo",
    "torch._inductor.compile_fx",
]


def slow_loader_of_rank_1(rank: int) -> None:
    """Sabotage: process 1 takes a fifth of a second longer to read each batch."""
    genuine = TrainingLoader.steps

    def steps(loader: TrainingLoader, first: int, last: int) -> Iterator[Batch]:
        for batch in genuine(loader, first, last):
            time.sleep(0.2 * rank)
            yield batch

    # Each process is one of its own, and ends with its run.
    TrainingLoader.steps = steps  # type: ignore[method-assign]


def forkserver() -> ForkServerContext:
    """The one server of this process: all tests share what it has imported."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOAD)
    return context


class Ranks:
    """Processes that run `launch.train` together.

    Args:
        words: CONFIG and key=value words.
        folder: for what they print: `rank0.txt`, ...
        processes: how many.
        zero_stage: as `accelerate launch` would ask for DeepSpeed by its environment; 0 for none.
        sabotage: called with the rank, in each process, before the program begins.
    """

    def __init__(
        self,
        words: list[str],
        folder: Path,
        processes: int = 2,
        zero_stage: int = 0,
        sabotage: Callable[[int], None] | None = None,
    ) -> None:
        context = forkserver()
        folder.mkdir(parents=True, exist_ok=True)
        common = {
            "WORLD_SIZE": str(processes),
            "LOCAL_WORLD_SIZE": str(processes),
            "MASTER_ADDR": "127.0.0.1",
            "MASTER_PORT": str(_free_port()),
            "GLOO_SOCKET_IFNAME": "lo",
        }
        if zero_stage:
            common |= {"ACCELERATE_USE_DEEPSPEED": "true", "ACCELERATE_DEEPSPEED_ZERO_STAGE": str(zero_stage)}
        self.folder = folder
        self.processes: list[ForkServerProcess] = []
        for rank in range(processes):
            environment = {**common, "RANK": str(rank), "LOCAL_RANK": str(rank)} if processes > 1 or zero_stage else {}
            process = context.Process(
                target=_work, args=(rank, words, environment, folder / f"rank{rank}.txt", sabotage)
            )
            process.start()
            self.processes.append(process)

    def __enter__(self) -> "Ranks":
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def wait(self, seconds: float = 120) -> list[int]:
        """Return the status of each process; fail if they take longer than so many seconds."""
        end = time.monotonic() + seconds
        for process in self.processes:
            process.join(max(0.1, end - time.monotonic()))
        codes = [process.exitcode for process in self.processes]
        if None in codes:
            pytest.fail(f"still running after {seconds} s: {codes}\n{self.printed()}")
        return [code for code in codes if code is not None]

    def wait_for(self, text: str, seconds: float = 120) -> None:
        """Wait until the first process has printed a text."""
        end = time.monotonic() + seconds
        while text not in self.printed(0):
            if time.monotonic() > end or not self.processes[0].is_alive():
                pytest.fail(f"'{text}' was not printed:\n{self.printed()}")
            time.sleep(0.01)

    def kill(self, *ranks: int, number: int = signal.SIGKILL) -> None:
        """Send a signal to some processes, or to all that live."""
        for rank in ranks or range(len(self.processes)):
            process = self.processes[rank]
            if process.is_alive() and process.pid is not None:
                os.kill(process.pid, number)

    def printed(self, rank: int | None = None) -> str:
        """Return what a process printed so far, or all of them."""
        ranks = range(len(self.processes)) if rank is None else [rank]
        files = [self.folder / f"rank{number}.txt" for number in ranks]
        return "".join(file.read_text() for file in files if file.exists())


def _work(
    rank: int,
    words: list[str],
    environment: dict[str, str],
    output: Path,
    sabotage: Callable[[int], None] | None,
) -> None:
    descriptor = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    os.environ.update(environment)
    import torch

    from launch.runtime.exit_status import leave
    from launch.runtime.signals import StopRequest
    from launch.train import main

    torch.set_num_threads(1)
    if sabotage is not None:
        sabotage(rank)
    with StopRequest((signal.SIGTERM,)):
        leave(main(words))


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
