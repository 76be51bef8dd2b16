"""`accelerate launch` within this process, so that its ending is one line and the training's own status.

By itself `accelerate launch` turns every status but 0 into 1, and prints tracebacks of its own: below our line after a
fault, and at Ctrl-C or SIGTERM, which it catches whatever the processes do.  Here these endings are caught.

Cost: the launcher's imports, 3 s; then it waits.
"""

import logging
import os
import signal
import subprocess
from collections.abc import Iterable, Sequence
from pathlib import Path

from launch.runtime.signals import TEMPORARY_FAILURE

ENDINGS = (2, TEMPORARY_FAILURE, 128 + signal.SIGINT)
"""Statuses that say more than that a process failed: `launch.runtime.exit_status`."""


def launch_training(words: Sequence[str], launcher: Path, processes: int | None = None) -> int:
    """Start the processes of a training and wait for their end.

    Args:
        words: of `launch.train`: CONFIG and `key=value`.
        launcher: a configuration file of Accelerate, such as configs/accelerate/node.yaml.
        processes: how many on this machine; as the file says if left out.

    Returns:
        The status to exit with: that of the training, of the process that says most.
    """
    from accelerate.commands.launch import launch_command, launch_command_parser
    from torch.distributed.elastic.multiprocessing import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError

    # It reports each signal and each failed process, of which the training has said already what there is to say.
    logging.disable(logging.ERROR)
    options = ["--config_file", str(launcher)]
    if processes is not None:
        options += ["--num_processes", str(processes)]
    arguments = launch_command_parser().parse_args([*options, "-m", "launch.train", *words])
    try:
        launch_command(arguments)
    except SignalException as error:
        return TEMPORARY_FAILURE if error.sigval == signal.SIGTERM else 128 + int(error.sigval)
    except ChildFailedError as error:
        return _status(failure.exitcode for failure in error.failures.values())
    except subprocess.CalledProcessError as error:
        return _status([error.returncode])
    except KeyboardInterrupt:
        return _status(_last_statuses())
    return 0


def _status(codes: Iterable[int]) -> int:
    """Return the status of several processes; one that was killed has a negative one."""
    found = list(codes)
    return next((code for code in ENDINGS if code in found), 1)


def _last_statuses() -> list[int]:
    """Wait for this process's children, which got the Ctrl-C too and save; return their statuses."""
    found: list[int] = []
    while True:
        try:
            _, status = os.wait()
        except ChildProcessError:
            return found
        found.append(os.waitstatus_to_exitcode(status))
