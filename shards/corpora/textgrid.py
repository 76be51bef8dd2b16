"""Write words and phones as a TextGrid, the form in which every reader of this room finds them.

Cost: about 1 ms a file.
"""

import os
from collections.abc import Sequence
from pathlib import Path

from praatio import textgrid

Interval = tuple[float, float, str]
"""Start and end in seconds, and a label; an empty label is a pause."""


def write_textgrid(path: Path, seconds: float, words: Sequence[Interval], phones: Sequence[Interval]) -> None:
    """Write the two tiers `words` and `phones` in Praat's long text format; the file is there whole or not at all.

    Args:
        path: the file to write.
        seconds: length of the sound.
        words: intervals of the first tier, in order of time; what lies between them becomes a pause.
        phones: intervals of the second tier.
    """
    grid = textgrid.Textgrid(0, seconds)
    for name, intervals in (("words", words), ("phones", phones)):
        grid.addTier(textgrid.IntervalTier(name, list(intervals), 0, seconds))
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        grid.save(str(temporary), format="long_textgrid", includeBlankSpaces=True)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
