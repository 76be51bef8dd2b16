"""From a sound file to samples: read to the end, and refused where the file promises more than it holds.

A length is a promise only where the container gives one; `lengths` tells a promise from an estimate.

Cost: libsndfile's; about 0.1 ms a second of 16-bit sound at 44.1 kHz.

Shape legend: N samples of sound, C channels.
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from accent.audio.lengths import (
    STREAMING_SAMPLES,
    SequentialFile,
    StretchedFile,
    UnclosedWav,
    may_be_missing,
    missing_samples,
    mp3_tells_its_length,
    unclosed_wav_size_at,
)
from accent.errors import AccentError

FULL_SCALE_16_BITS = 32_768
"""The number in a file of 16 bits that would stand for 1."""
_BLOCK_SECONDS = 10
"""Sound whose length is not promised is read in blocks of this."""


def decode(path: Path, max_seconds: float = math.inf) -> tuple[np.ndarray, int, dict[str, Any]]:
    """Read all samples of a sound file.

    A file that holds fewer samples than its header promises is refused: the rest of the utterance is missing, and the
    transcript and the alignment no longer fit.  Where no length is promised (OGG, a streamed FLAC, an MP3 without a
    Xing frame, a WAV whose writer was killed), the file is read to its end.

    Args:
        path: the sound file.
        max_seconds: a longer file is refused, before its samples are read where its length is known.

    Returns:
        samples `[N, C]` float64 in -1..1, sampling rate in Hz, and the container's format and subtype; also
        `length`, where the header does not give one, and `missing_samples`, where it promises a few more.

    Raises:
        AccentError: the file is missing, is no sound file, is damaged or cut short, is empty or too long.
    """
    samples_NC, rate, info = read_samples(path, max_seconds)
    return in_full_scale(samples_NC), rate, info


def read_samples(path: Path, max_seconds: float) -> tuple[np.ndarray, int, dict[str, Any]]:
    """Read as `decode`; the samples of one channel of 16 bits stay int16, a quarter of the memory."""
    path = Path(path)
    with _explained(path), _opened(path) as (file, promised):
        return _read(path, file, promised, max_seconds)


def read_blocks(path: Path, seconds: float) -> Iterator[tuple[np.ndarray, int]]:
    """Yield a sound file of any length piece by piece; what is wrong with its length shows at its end.

    Args:
        path: the sound file.
        seconds: of a piece.

    Yields:
        samples `[n, C]` float64 in -1..1, and the sampling rate in Hz.

    Raises:
        AccentError: as for `decode`.
    """
    path = Path(path)
    with _explained(path), _opened(path) as (file, promised):
        count, size = 0, max(1, round(seconds * file.samplerate))
        while len(block_NC := file.read(size, dtype="float64", always_2d=True)):
            count += len(block_NC)
            yield block_NC, file.samplerate
        if count == 0:
            raise AccentError(f"{path}: holds no samples")
        missing = 0 if promised is None else missing_samples(file.extra_info, promised) + promised - count
        _refuse_missing(path, file, missing, count)


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    """Turn what can be wrong with a sound file into one line."""
    try:
        if not path.is_file():
            raise AccentError(f"{path}: no such sound file")
        if path.stat().st_size == 0:
            raise AccentError(f"{path}: an empty file, 0 bytes")
        yield
    except OSError as error:
        raise AccentError(f"{path}: cannot be read ({error.strerror or error})") from error
    except (soundfile.LibsndfileError, RuntimeError) as error:
        reason = getattr(error, "error_string", str(error)).rstrip(".")
        raise AccentError(f"{path}: not readable as sound, or damaged ({reason})") from error


def in_full_scale(samples_NC: np.ndarray) -> np.ndarray:
    """Return samples as float64 with full scale at -1 and 1."""
    if samples_NC.dtype == np.int16:
        return samples_NC / FULL_SCALE_16_BITS
    return samples_NC.astype(np.float64, copy=False)


def too_long(seconds: float, limit: float) -> str:
    """Return the line that refuses a recording for its length."""
    return f"too long: {seconds:.1f} s, the configuration allows {limit} s (audio.max_seconds)"


@contextmanager
def _opened(path: Path) -> Iterator[tuple[SequentialFile, int | None]]:
    """Open a sound file; with it comes the number of samples that its container promises, or None."""
    with SequentialFile(path) as file:
        frames = file.frames
        if file.format == "MP3" and not mp3_tells_its_length(path):
            stretched = StretchedFile(path)
            try:
                with SequentialFile(stretched) as longer:
                    yield longer, None
                    return
            finally:
                stretched.close()
        size_at = unclosed_wav_size_at(path) if frames == 0 else None
        if size_at is not None:
            unclosed = UnclosedWav(path, size_at)
            try:
                with SequentialFile(unclosed) as whole:
                    yield whole, None
                    return
            finally:
                unclosed.close()
        yield file, None if frames >= STREAMING_SAMPLES else frames


def _read(
    path: Path, file: SequentialFile, promised: int | None, max_seconds: float
) -> tuple[np.ndarray, int, dict[str, Any]]:
    rate = file.samplerate
    info: dict[str, Any] = {"format": file.format, "subtype": file.subtype}
    small = file.subtype == "PCM_16" and file.channels == 1
    dtype = "int16" if small else "float64"
    if promised is None:
        info["length"] = "not in the header"
        samples_NC, missing = _read_to_the_end(path, file, dtype, max_seconds), 0
    else:
        if promised > max_seconds * rate:
            raise AccentError(f"{path}: {too_long(promised / rate, max_seconds)}")
        samples_NC = file.read(promised, dtype=dtype, always_2d=True)
        missing = missing_samples(file.extra_info, promised) + promised - len(samples_NC)
    _refuse_missing(path, file, missing, len(samples_NC))
    if missing:
        info["missing_samples"] = missing
    if len(samples_NC) == 0:
        raise AccentError(f"{path}: holds no samples")
    return samples_NC, rate, info


def _refuse_missing(path: Path, file: SequentialFile, missing: int, present: int) -> None:
    if missing > may_be_missing(file.format, file.samplerate):
        raise AccentError(f"{path}: cut short, {present} of {present + missing} samples are there")


def _read_to_the_end(path: Path, file: SequentialFile, dtype: str, max_seconds: float) -> np.ndarray:
    blocks, count = [], 0
    while len(block_NC := file.read(_BLOCK_SECONDS * file.samplerate, dtype=dtype, always_2d=True)):
        blocks.append(block_NC)
        count += len(block_NC)
        if count > max_seconds * file.samplerate:
            raise AccentError(
                f"{path}: {too_long(count / file.samplerate, max_seconds).replace('long: ', 'long: over ')}"
            )
    return np.concatenate(blocks) if blocks else np.empty((0, file.channels), dtype)
