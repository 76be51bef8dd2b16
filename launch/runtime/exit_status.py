"""How the training program ends: one line that says what happened, and a status that says it to other programs.

Statuses of a process: 0 done, 2 a fault the user can mend, 75 stopped by SIGTERM with everything saved, 130 stopped by
Ctrl-C likewise, 1 another process is lost, or a fault of ours (with its traceback).  The launchers turn every status
but 0 into 1 and print a report of their own below our line; only `python -m launch.train` passes the status on.
"""

import os
import signal
import sys
import traceback
from types import TracebackType
from typing import NoReturn

import torch

from accent.errors import AccentError
from launch.runtime.agreement import AllRanksError
from launch.runtime.missing_ranks import missing_processes
from launch.runtime.signals import TEMPORARY_FAILURE, Interrupted
from launch.terminal import complain

LOST = 1
"""Status of a process whose collective failed because another is gone."""


class ExitStatus:
    """Context manager around a program's body: turns what ends it into one line and a status.

    Args:
        debug: also print the traceback of a fault the user can mend.

    Example:
        >>> with ExitStatus() as status:
        ...     pass
        >>> status.code
        0
    """

    def __init__(self, debug: bool = False) -> None:
        self.debug = debug
        self.code = 0
        """0, 2 for an `AccentError`, 75 for SIGTERM, 130 for Ctrl-C, 1 if another process is lost.  Anything else is a
        fault of ours: it leaves the block with its traceback."""

    def __enter__(self) -> "ExitStatus":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        rank, local_rank = int(os.environ.get("RANK", "0")), int(os.environ.get("LOCAL_RANK", "0"))
        if isinstance(error, AllRanksError):
            self._say(error, str(error), rank == 0)
            self.code = 2
        elif isinstance(error, AccentError):
            # Before the processes have met, each finds the same fault; the first of each machine speaks.
            met = _met()
            self._say(error, f"process {rank}: {error}" if met and rank else str(error), met or local_rank == 0)
            self.code = 2
        elif isinstance(error, Interrupted):
            self._say(None, str(error), rank == 0)
            self.code = TEMPORARY_FAILURE if error.number == signal.SIGTERM else 128 + error.number
        elif isinstance(error, KeyboardInterrupt):
            self._say(None, "interrupted; what was saved before is whole", rank == 0)
            self.code = 130
        elif isinstance(error, RuntimeError) and _met() and _of_a_collective(error):
            # Only for faults of a collective: after a fault of this process's own, the others would be called missing
            # while they wait for it.
            missing = missing_processes()
            if not missing:
                return False
            reason = str(error).strip().splitlines()[0]
            line = (
                f"process {rank}: lost {', '.join(missing)}, so the run ends ({reason}); "
                "rerun the same command to resume from its newest checkpoint"
            )
            self._say(error, line, True)
            self.code = LOST
        return self.code != 0

    def _say(self, error: BaseException | None, line: str, speaks: bool) -> None:
        if self.debug and error is not None:
            traceback.print_exception(error)
        if speaks:
            complain(f"accent: {line}")


def leave(status: int) -> NoReturn:
    """End this process with a status; one of several processes ends at once, without Python's shutdown.

    By then everything is saved and closed.  What is left are threads of torch's process group in C++, and sometimes the
    shutdown destroys one that still runs: the process is aborted ("terminate called without an active exception") and
    the launcher calls a finished job failed.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    if _met():
        os._exit(status)
    sys.exit(status)


def _of_a_collective(error: RuntimeError) -> bool:
    """Whether torch raised it because processes could not talk; gloo's faults have no class, but name their file."""
    return isinstance(error, torch.distributed.DistError) or "/gloo/" in str(error)


def _met() -> bool:
    return torch.distributed.is_available() and torch.distributed.is_initialized()
