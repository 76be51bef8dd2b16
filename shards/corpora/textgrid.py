"""Write tiers of intervals as a TextGrid, the form in which every reader of words and phones finds them.

Cost: about 1 ms a file.
"""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from praatio import textgrid

Interval = tuple[float, float, str]
"""Start and end in seconds, and a label; an empty label is a pause."""


def write_textgrid(path: Path, seconds: float, tiers: Mapping[str, Sequence[Interval]]) -> None:
    """Write tiers in Praat's long text format; the file is there whole or not at all.

    Args:
        path: the file to write.
        seconds: length of the sound.
        tiers: by name, in this order: intervals in order of time; what lies between them becomes a pause.  Readers of
            this program look for tiers named `words` and `phones`.

    Raises:
        OSError: the file cannot be written.
    """
    grid = textgrid.Textgrid(0, seconds)
    for name, intervals in tiers.items():
        grid.addTier(textgrid.IntervalTier(name, list(intervals), 0, seconds))
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        grid.save(str(temporary), format="long_textgrid", includeBlankSpaces=True)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
