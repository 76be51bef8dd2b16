"""Processes that die in the middle of their work."""

import itertools
import os
import traceback
from collections.abc import Callable


def in_a_child(work: Callable[[], object], die_at: int | None) -> int:
    """Run `work` in a forked process that dies, without any clean-up, at its n-th call that changes the disk."""
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    calls = itertools.count()

    def dying(original):
        def call(*arguments, **named):
            if next(calls) == die_at:
                os._exit(9)
            return original(*arguments, **named)

        return call

    for name in ("replace", "link", "fsync", "unlink", "rmdir"):
        setattr(os, name, dying(getattr(os, name)))
    try:
        work()
        os._exit(0)
    except BaseException:
        traceback.print_exc()
        os._exit(1)
