"""Where a process is: the stacks of all its threads, written before a time-out ends the job.

    RUN/stacks/rank_3.txt

torch ends a process whose collective has waited too long, and what the others were doing is lost with them.  So each
process has its stacks written when `DUMP_AT` of that time has passed since its last sign of life: by a thread of
faulthandler's in C, which works even where Python itself is stuck.  The file is removed at the end if it is empty.

Cost: a thread that sleeps, begun again once a second.
"""

import faulthandler
import os
import sys
import time
from contextlib import suppress
from datetime import datetime
from pathlib import Path

from accent.errors import AccentError

FOLDER = "stacks"
DUMP_AT = 0.8
"""Share of the time-out after which stacks are written."""
_PROGRAM = Path(__file__).resolve().parents[3]
_ROOMS = tuple(str(_PROGRAM / room) + os.sep for room in ("accent", "shards", "launch"))


class Stacks:
    """The stacks of this process in a file.

    Args:
        run: the run's folder.
        rank: this process.
        timeout_seconds: of the collectives; None never writes by itself.

    Raises:
        AccentError: the file cannot be made.
    """

    def __init__(self, run: Path, rank: int, timeout_seconds: float | None) -> None:
        self.path = run / FOLDER / f"rank_{rank}.txt"
        self._after = None if timeout_seconds is None else DUMP_AT * timeout_seconds
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._file = self.path.open("a", encoding="utf-8")
        except OSError as error:
            raise AccentError(f"{self.path}: cannot be written ({error}); check free space and permissions") from error

    def wait_for_life(self, since: float) -> None:
        """Write the stacks unless this is called again before the time is over.

        Args:
            since: the last sign of life, by `time.monotonic`.
        """
        if self._after is not None:
            left = self._after - (time.monotonic() - since)
            if left > 0:
                faulthandler.dump_traceback_later(left, file=self._file)

    def write(self, why: str) -> None:
        """Write the stacks now, below a line that says why."""
        print(f"\n{datetime.now().isoformat(sep=' ', timespec='seconds')}: {why}", file=self._file, flush=True)
        faulthandler.dump_traceback(self._file)

    def close(self) -> None:
        """Write no more."""
        if self._after is not None:
            faulthandler.cancel_dump_traceback_later()
        self._file.close()
        if not self.path.stat().st_size:
            self.path.unlink()
            with suppress(OSError):
                # Those of the other processes may lie there.
                self.path.parent.rmdir()


def place_of(thread: int) -> str:
    """Return the line of this program that a thread is at, as `shards/loading/loader.py:88 steps`.

    Args:
        thread: its `threading.get_ident`.
    """
    frame = sys._current_frames().get(thread)
    while frame is not None:
        file = frame.f_code.co_filename
        if file.startswith(_ROOMS):
            return f"{Path(file).relative_to(_PROGRAM).as_posix()}:{frame.f_lineno} {frame.f_code.co_name}"
        frame = frame.f_back
    return "outside this program"
