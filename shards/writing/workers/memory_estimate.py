"""How much memory one recording takes while its features are computed, estimated from the size of its file.

The estimate is high on purpose: the file is taken to be as long as the sparest usual encoding of its kind makes it, but
no longer than the configuration allows, since a longer one is refused before it is read.

Cost: none; no file is opened.
"""

from pathlib import Path

BYTES_A_SECOND = 6 * 10**6
"""Of sound, while it is worked on, with a margin over the hungrier backend (`reference`)."""
_LEAST_BYTES_OF_SOUND = {".wav": 32_000, ".flac": 16_000}
"""A second of 16 kHz and 16 bits, in mono; half of that without loss."""
_LEAST_BYTES_OF_OTHER_SOUND = 4_000
"""A second of MP3 or OGG at 32 kilobits."""


def footprint(path: Path, size: int, max_seconds: float) -> int:
    """Return the bytes of memory that a recording takes while it is worked on, beyond those of an idle worker.

    Args:
        path: the sound file; only its name is looked at.
        size: bytes of the file.
        max_seconds: longer recordings are refused.

    >>> footprint(Path("a.wav"), 64_000, max_seconds=120) / BYTES_A_SECOND
    2.0
    >>> footprint(Path("hours.wav"), 10**9, max_seconds=120) / BYTES_A_SECOND
    120.0
    """
    seconds = size / _LEAST_BYTES_OF_SOUND.get(path.suffix.lower(), _LEAST_BYTES_OF_OTHER_SOUND)
    return int(BYTES_A_SECOND * min(seconds, max_seconds))
