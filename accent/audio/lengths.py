"""What a sound file promises about its own length, where libsndfile mistakes an estimate or a gap for a promise.

A WAV whose recorder was killed has no size in its header, or one that nobody corrected; an MP3 without a Xing, Info or
VBRI frame has no length at all, and libsndfile guesses one from the first frame's bit rate; a streamed FLAC says 0.

Cost: one more look at the first bytes of an MP3; nothing for other files.
"""

import os
import re
import struct
from pathlib import Path

import soundfile

STREAMING_BYTES = 0x7FFFF000
"""Sizes in a WAV header from here on mean `not known`: streaming writers put them there."""
STREAMING_SAMPLES = 2**62
"""Numbers of samples from here on, as libsndfile reports them, mean that the file does not give one."""
MISSING_SECONDS = 0.1
"""A WAV or AIFF may lack less than this at its end: a killed recorder's header runs ahead of its sound."""
_MP3_FRAME = {True: 1152, False: 576}
"""Samples of an MP3 frame, at 32 kHz and above or below it; some encoders count the header's own frame."""
_LENGTH_TAG = re.compile(rb"\xff[\xe0-\xff].{2,40}?(?:VBRI|(?:Xing|Info)...(.))", flags=re.DOTALL)
"""An MP3's first frame where it counts the others: a header, silence, the tag, and flags whose lowest bit says so."""
_STRETCH = 64
"""How much longer a file is made to look: variable bit rates run from 320 down to 8 kbit/s."""
_TAG_BYTES = 4096
"""At the end of a stretched file: decoders look for tags there and give up if they read nothing."""


class SequentialFile(soundfile.SoundFile):
    """A sound file that is read from its beginning to its end, also where libsndfile cannot seek."""

    def seekable(self) -> bool:
        """Return False, which keeps soundfile from seeking after each read (streamed FLAC and GSM 6.10 cannot)."""
        return False


def mp3_tells_its_length(path: Path) -> bool:
    """Tell whether the first frame of an MP3 says how many there are (a Xing, Info or VBRI tag)."""
    with path.open("rb") as file:
        head = file.read(10)
        start = 0
        if head[:3] == b"ID3" and len(head) == 10:
            # Four bytes of seven bits each, and the header itself.
            start = 10 + sum((byte & 0x7F) << shift for byte, shift in zip(head[6:], (21, 14, 7, 0), strict=True))
        file.seek(start)
        found = _LENGTH_TAG.search(file.read(_TAG_BYTES))
    return found is not None and (found[1] is None or bool(found[1][0] & 1))


class StretchedFile:
    """A file that looks longer than it is: reading stops where its bytes stop.

    The length that libsndfile guesses grows with the size, and it reads no further than its guess.
    """

    def __init__(self, path: Path) -> None:
        self._file = path.open("rb")
        self._bytes = os.path.getsize(path)
        self._length = self._bytes * _STRETCH + _TAG_BYTES
        self._at = 0

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Move as a file does."""
        self._at = offset + (0, self._at, self._length)[whence]
        return self._at

    def tell(self) -> int:
        """Return the position."""
        return self._at

    def read(self, size: int) -> bytes:
        """Return the file's bytes; zeros where decoders look for tags."""
        if self._at >= self._length - _TAG_BYTES:
            content = bytes(min(size, self._length - self._at))
        else:
            self._file.seek(min(self._at, self._bytes))
            content = self._file.read(size)
        self._at += len(content)
        return content

    def close(self) -> None:
        """Close the file."""
        self._file.close()


class UnclosedWav:
    """A WAV file whose header says that it holds 0 bytes of sound, presented with the size that is there."""

    def __init__(self, path: Path, size_at: int) -> None:
        self._file = path.open("rb")
        self._size_at = size_at
        present = min(os.path.getsize(path) - size_at - 4, STREAMING_BYTES - 1)
        self._size = struct.pack("<I", present)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Move as a file does."""
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        """Return the position."""
        return self._file.tell()

    def read(self, size: int) -> bytes:
        """Return the file's bytes, the size of its sound corrected."""
        start = self._file.tell()
        content = bytearray(self._file.read(size))
        for position, byte in enumerate(self._size, start=self._size_at - start):
            if 0 <= position < len(content):
                content[position] = byte
        return bytes(content)

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def unclosed_wav_size_at(path: Path) -> int | None:
    """Return where a WAV says that it holds 0 bytes of sound although sound follows; None for any other file."""
    with path.open("rb") as file:
        head = file.read(12)
        if head[:4] != b"RIFF" or head[8:] != b"WAVE":
            return None
        end = os.path.getsize(path)
        while len(chunk := file.read(8)) == 8:
            name, size = chunk[:4], struct.unpack("<I", chunk[4:])[0]
            if name == b"data":
                at = file.tell()
                return at - 4 if size == 0 and at < end and not _only_chunks(path, at, end) else None
            file.seek(size + size % 2, os.SEEK_CUR)
    return None


def _only_chunks(path: Path, at: int, end: int) -> bool:
    """Tell whether whole chunks, as notes on the recording are, fill the file from here to its end."""
    with path.open("rb") as file:
        while at < end:
            file.seek(at)
            chunk = file.read(8)
            if len(chunk) < 8 or not chunk[:4].isascii() or not chunk[:4].decode("ascii").isprintable():
                return False
            size = struct.unpack("<I", chunk[4:])[0]
            at += 8 + size + size % 2
    return at - end in (0, 1)


def missing_samples(log: str, present: int) -> int:
    """Return how many samples a WAV or AIFF header promises that are not there.

    Args:
        log: libsndfile's account of the header.
        present: samples that are there.

    Returns:
        0 where the header contradicts itself: its outer size is the file's, or was never filled in.
    """
    found = re.search(r"^(?:data|\s*SSND)\s*: (\d+) \(should be (\d+)\)", log, flags=re.MULTILINE)
    if found is None:
        return 0
    promised_bytes, present_bytes = int(found[1]), int(found[2])
    outer = re.search(r"^(?:RIFF|RIFX)\s*: (\d+)( \(should be \d+\))?", log, flags=re.MULTILINE)
    if outer is not None and (not outer[2] or int(outer[1]) == 0):
        return 0
    if promised_bytes >= STREAMING_BYTES or not present or not present_bytes:
        return 0
    return int(max(promised_bytes - present_bytes, 0) * present / present_bytes)


def may_be_missing(container: str, rate: int) -> int:
    """Return how many samples less than promised a container may hold and still count as whole."""
    if container == "MP3":
        return _MP3_FRAME[rate >= 32_000]
    return int(MISSING_SECONDS * rate) if container.startswith(("WAV", "AIFF")) else 0
