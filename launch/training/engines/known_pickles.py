"""Load what torch has pickled without running what somebody else may have put there.

torch's restricted unpickler makes tensors and plain values, and objects of the classes that are named to it; a file
that names anything else is refused.  Cost: that of `torch.load`; to look through a file first, that of its pickle
without its tensors.
"""

import re
from collections.abc import Sequence
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch

from accent.errors import AccentError


def load_known(file: Path | str, classes: Sequence[type] = ()) -> Any:
    """Load a file of tensors and plain values into the host's memory.

    Args:
        file: written by `torch.save`.
        classes: whose objects may be in it besides.

    Returns:
        What was saved.

    Raises:
        AccentError: it names something else, or is damaged; nothing of it has run.
    """
    try:
        with torch.serialization.safe_globals(list(classes)):
            return torch.load(file, map_location="cpu", weights_only=True)
    except UnpicklingError as error:
        # torch explains at length, and advises to load the file without restrictions.
        named = re.findall(r"GLOBAL (\S+)", str(error))
        raise _refused(file, f"it names {named[0]}" if named else "it is damaged") from error


def refuse_unknown(file: Path, classes: Sequence[type]) -> None:
    """Look through a file for what `load_known` would refuse.

    Raises:
        AccentError: it names something else, or is damaged.
    """
    try:
        with torch.serialization.safe_globals(list(classes)):
            unknown = torch.serialization.get_unsafe_globals_in_checkpoint(file)
    except (ValueError, RuntimeError, UnpicklingError) as error:
        raise _refused(file, str(error)) from error
    if unknown:
        raise _refused(file, f"it names {', '.join(sorted(unknown)[:3])}")


def _refused(file: Path | str, why: str) -> AccentError:
    reason = " ".join(why.split())
    return AccentError(
        f"{file}: holds something else than weights and moments, which might run a program ({reason!a}); "
        "do not use this checkpoint unless you know who wrote it, or delete it to resume from the one before"
    )
