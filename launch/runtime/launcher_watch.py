"""A process whose launcher was killed ends too, instead of holding its GPU for a job that is over.

The kernel hands an orphan over to another parent.  A thread notices it and sends this process SIGTERM, so that the run
saves what there is, as for a preemption; a process that has not left after `GRACE_SECONDS`, because it hangs in a
collective, is ended.  A training that no launcher has started may outlive its shell (nohup).

Cost: a thread that wakes once a second.
"""

import os
import signal
import threading
import time

GRACE_SECONDS = 120.0
TICK_SECONDS = 1.0
LOST = 1
"""Status of a process that has to be ended."""
_MARKS = ("TORCHELASTIC_RUN_ID", "ACCELERATE_MIXED_PRECISION")
"""Variables that torchrun and `accelerate launch` set."""


def end_with_launcher() -> None:
    """Watch over the launcher from now on, if one has started this process."""
    if any(mark in os.environ for mark in _MARKS):
        threading.Thread(target=_work, args=(os.getppid(),), name="launcher watch", daemon=True).start()


def _work(launcher: int) -> None:
    while os.getppid() == launcher:
        time.sleep(TICK_SECONDS)
    os.write(2, b"accent: the launcher is gone, so this process saves and ends\n")
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(GRACE_SECONDS)
    os._exit(LOST)
