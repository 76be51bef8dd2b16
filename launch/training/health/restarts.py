"""Whether a job that failed goes back to its queue: yes, as long as its steps advance.

    python -m launch.training.health.restarts RUN       status 0: start it again; 1: do not

A job script asks when training has ended with a fault.  A fault that the user has to mend would only come again; memory
that was spent, a time-out, a GPU or a machine that broke need not.  `RUN/health.json` tells the one from the other: the
script removes it before each start, so it is of this start, or there is none because training died before its first
step.  A run is said to advance if its newest checkpoint is newer than at the last restart; `RUN/restarts.json` holds
that step, and how many restarts have brought none since.

Cost: the imports, which take seconds.
"""

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NamedTuple

from accent.errors import AccentError
from accent.files import write_text
from accent.typed_json import parse_json
from launch.run_config import PHONES_FOLDER
from launch.terminal import complain
from launch.training.health.health_file import HEALTH, newest_checkpoint

RECORD = "restarts.json"
MOST_WITHOUT_PROGRESS = 3
"""Restarts that bring no new checkpoint, one after the other."""


@dataclass(frozen=True)
class _Record:
    step: int
    """Of the newest checkpoint at the last restart; that of a run's phone heads counts as well."""
    without_progress: int
    """Restarts since a newer one was there."""


class Decision(NamedTuple):
    """What becomes of a job that failed."""

    restart: bool
    line: str
    """Why."""


def decide(run: Path) -> Decision:
    """Decide, and count the restart.

    Args:
        run: the run's folder.

    Raises:
        AccentError: a file that is damaged, or cannot be written.
    """
    # The branch `phones` trains in a folder of its own first.
    folders = (run, run / PHONES_FOLDER)
    saved = [found["step"] for found in map(newest_checkpoint, folders) if found is not None]
    healths = [health for health in map(_health, folders) if health is not None]
    if not healths and not saved:
        return Decision(False, "the run never began")
    if any(health["state"] == "failed" and not health["restart"] for health in healths):
        return Decision(False, "the fault would come again")
    step, file = sum(saved), run / RECORD
    before = parse_json(file.read_bytes(), _Record, file, "remove it") if file.is_file() else _Record(0, 0)
    advanced = step > before.step
    count = 0 if advanced else before.without_progress + 1
    if count > MOST_WITHOUT_PROGRESS:
        return Decision(False, f"{MOST_WITHOUT_PROGRESS} restarts have brought no newer checkpoint than step {step}")
    write_text(file, json.dumps(asdict(_Record(step, count))) + "\n")
    if advanced:
        return Decision(True, f"it has come to a checkpoint at step {step}")
    return Decision(True, f"restart {count} of {MOST_WITHOUT_PROGRESS} without a newer checkpoint than step {step}")


def _health(folder: Path) -> dict[str, object] | None:
    file = folder / HEALTH
    return parse_json(file.read_bytes(), dict[str, object], file, "remove it") if file.is_file() else None


def main(arguments: Sequence[str]) -> int:
    """Print the decision of the run in the only argument; return 0 for a restart."""
    try:
        (run,) = arguments
        decision = decide(Path(run))
    except AccentError as error:
        complain(f"accent: {error}")
        return 1
    print(f"{'starting again' if decision.restart else 'not starting again'}: {decision.line}")
    return 0 if decision.restart else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
