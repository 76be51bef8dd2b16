"""Where live sound comes from: a file, raw PCM on stdin, a microphone.

Each source yields pieces of sound as they come, with their rate.  Cost: reading.

Shapes: n samples, C channels.
"""

import io
import queue
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import numpy as np

from accent.audio.decode import read_blocks
from accent.errors import AccentError

PIECE_SECONDS = 0.1
"""Of a file or of a microphone; a pipe gives what is there."""
_LARGEST_READ = 1 << 16
_WAITING_PIECES = 100
"""Pieces of a microphone that may wait: 10 s."""

Pieces = Iterator[tuple[np.ndarray, int]]


def from_file(path: Path) -> Pieces:
    """Yield a sound file, however long, as fast as it is read; errors as for `accent.audio.decode.read_blocks`."""
    return read_blocks(path, PIECE_SECONDS)


def from_stdin(rate: int, channels: int) -> Pieces:
    """Yield raw PCM, 16 bits signed little-endian, until stdin or Ctrl-C ends it.

    Args:
        rate: samples a second and channel.
        channels: interleaved.

    Raises:
        AccentError: it is a WAV file.
    """
    size, left, begun = 2 * channels, b"", False
    try:
        stdin = cast(io.BufferedReader, sys.stdin.buffer)
        while piece := stdin.read1(_LARGEST_READ):
            piece = left + piece
            if not begun and len(piece) >= 4:
                begun = True
                if piece[:4] in (b"RIFF", b"fLaC", b"OggS"):
                    raise AccentError(
                        "-: begins as a sound file does; give raw PCM (arecord -t raw), or the file's name"
                    )
            whole = len(piece) // size * size
            left = piece[whole:]
            if whole:
                yield np.frombuffer(piece[:whole], "<i2").astype(np.int16).reshape(-1, channels), rate
    except KeyboardInterrupt:
        return


def from_microphone() -> Pieces:
    """Yield what the default microphone hears, until Ctrl-C ends it; needs the extra `microphone`.

    Raises:
        AccentError: there is no microphone, or it cannot be used.
    """
    try:
        import sounddevice
    except OSError as error:
        raise AccentError(
            f"--microphone: {error}; install PortAudio (Debian: apt-get install libportaudio2)"
        ) from error
    pieces: queue.Queue[np.ndarray] = queue.Queue(_WAITING_PIECES)

    def take(samples_NC: np.ndarray, frames: int, time: object, status: object) -> None:
        # A full queue loses sound and says so; the microphone does not wait.
        del frames, time
        try:
            pieces.put_nowait(samples_NC.copy())
        except queue.Full:
            status = "input overflow"
        if status:
            print(f"accent: microphone: {status}", file=sys.stderr)

    try:
        rate = int(sounddevice.query_devices(kind="input")["default_samplerate"])
        with sounddevice.InputStream(rate, round(rate * PIECE_SECONDS), channels=1, dtype="int16", callback=take):
            while True:
                yield pieces.get(), rate
    except KeyboardInterrupt:
        return
    except sounddevice.PortAudioError as error:
        raise AccentError(
            f"--microphone: cannot be used ({error}); pipe sound in instead: arecord ... | accent stream -"
        ) from error
