"""Which process is missing, once a collective has failed: those that are left answer a roll call and name it.

A process that is killed takes the connection with it; the others learn no more than that some peer closed it, or that
nobody answered within the time-out.  Each process has signed in with its machine and number when they met; after a
failure each says that it is there, waits a moment, and reads who does not.  It goes through torch's own key-value
store, which lives with the launcher (or with the first process, where there is none).  Cost: nothing until something
fails.
"""

import os
import socket
import time

import torch.distributed as dist

ANSWER_SECONDS = 3.0
"""How long the others have to answer: they find out within milliseconds of each other that a peer is gone."""


def sign_in() -> None:
    """Say which machine and process this rank is; called once by every rank when they have met."""
    process_store().set(f"signed in {dist.get_rank()}", f"{os.getpid()} on {socket.gethostname()}")


def missing_processes() -> list[str]:
    """Call the roll after a collective has failed.

    Returns:
        Those who do not answer, as "process 1 (pid 4711 on node2)"; empty if all do.
    """
    ranks = range(dist.get_world_size())
    try:
        store = process_store()
        store.set(f"present {dist.get_rank()}", "")
        end = time.monotonic() + ANSWER_SECONDS
        while not store.check([f"present {rank}" for rank in ranks]) and time.monotonic() < end:
            time.sleep(0.05)
        return [process_name(rank) for rank in ranks if not store.check([f"present {rank}"])]
    except (RuntimeError, ConnectionError):
        # The store itself is gone, and with it whoever kept it.
        return ["process 0 or the launcher that started it"]


def process_name(rank: int) -> str:
    """Return what a process is called once all have signed in: "process 1 (pid 4711 on node2)"."""
    return f"process {rank} (pid {process_store().get(f'signed in {rank}').decode()})"


def process_store() -> dist.Store:
    """Return the key-value store that the processes share."""
    return dist.distributed_c10d._get_default_store()
