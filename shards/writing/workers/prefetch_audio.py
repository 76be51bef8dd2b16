"""Fetch a recording from the disk or the network while the one before it is being worked on.

Cost: some 20 us where the system has the file already.
"""

import os
from pathlib import Path

from shards.corpora.corpus import Utterance

READ_AHEAD_BYTES = 16 * 2**20
"""Of one file: three minutes of CD sound in mono.  Hours of sound, which are refused, must not fill the page cache."""


def read_ahead(utterance: Utterance) -> None:
    """Ask the system for the sound (and the alignment) of an utterance, without waiting; a missing file is no error."""
    if not hasattr(os, "posix_fadvise"):
        return
    for path in (utterance.path, utterance.textgrid):
        if path is not None:
            _fetch(path)


def _fetch(path: Path) -> None:
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except OSError:
        # Reading the file tells the reason.
        return
    try:
        os.posix_fadvise(descriptor, 0, READ_AHEAD_BYTES, os.POSIX_FADV_WILLNEED)
    finally:
        os.close(descriptor)
