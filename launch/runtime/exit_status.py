"""How the training program ends: one line that says what happened, and a status that says it to other programs.

Statuses of a process: 0 done, 2 a fault the user can mend, 75 stopped by SIGTERM with everything saved, 130 stopped by
Ctrl-C likewise, 1 another process is lost, or a fault of ours (with its traceback).  The launchers turn every status
but 0 into 1 and print a report of their own below our line; only `python -m launch.train` passes the status on.
"""

import os
import signal
import sys
import traceback
from collections.abc import Callable
from typing import NoReturn

import torch

from accent.errors import AccentError
from launch.runtime.agreement import AllRanksError
from launch.runtime.missing_ranks import missing_processes
from launch.runtime.signals import TEMPORARY_FAILURE, Interrupted

LOST = 1
"""Status of a process whose collective failed because another is gone."""


def run_main(job: Callable[[], None], debug: bool) -> int:
    """Run a program's body and turn what ends it into one line and a status.

    Args:
        job: the body.
        debug: also print the traceback of a fault the user can mend.

    Returns:
        0, 2 for an `AccentError`, 75 for SIGTERM, 130 for Ctrl-C, 1 if another process is lost.  Anything else is our
        fault and keeps its traceback.
    """
    rank, local_rank = int(os.environ.get("RANK", "0")), int(os.environ.get("LOCAL_RANK", "0"))
    try:
        job()
    except AllRanksError as error:
        _say(str(error), debug, rank == 0)
        return 2
    except AccentError as error:
        # Before the processes have met, each finds the same fault; the first of each machine speaks.
        met = _met()
        _say(f"process {rank}: {error}" if met and rank else str(error), debug, met or local_rank == 0)
        return 2
    except Interrupted as stop:
        _say(str(stop), False, rank == 0)
        return TEMPORARY_FAILURE if stop.number == signal.SIGTERM else 128 + stop.number
    except KeyboardInterrupt:
        _say("interrupted; what was saved before is whole", False, rank == 0)
        return 130
    except RuntimeError as error:
        # Only for faults of a collective: after a fault of this process's own, the others would be called missing while
        # they wait for it.
        missing = missing_processes() if _met() and _of_a_collective(error) else []
        if not missing:
            raise
        reason = str(error).strip().splitlines()[0]
        _say(
            f"process {rank}: lost {', '.join(missing)}, so the run ends ({reason}); "
            "start it again to go on from its newest checkpoint",
            debug,
            True,
        )
        return LOST
    return 0


def leave(status: int) -> NoReturn:
    """End this process with a status; one of several processes ends at once, without Python's shutdown.

    By then everything is saved and closed.  What is left are threads of torch's process group in C++, and now and then
    the shutdown destroys one that still runs: the process is aborted ("terminate called without an active exception")
    and the launcher calls a finished job failed.
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


def _say(line: str, debug: bool, speaks: bool) -> None:
    if debug:
        traceback.print_exc()
    if speaks:
        print(f"accent: {line}", file=sys.stderr, flush=True)
