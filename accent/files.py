"""Files that are there whole or not at all: written under a temporary name, brought to the disk, renamed.

A disk that refuses is one `AccentError` that names the file.
"""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

import numpy as np

from accent.errors import AccentError


@contextmanager
def replacing(path: Path) -> Iterator[IO[bytes]]:
    """Give a file to write to that takes the place of `path` at the end, and vanishes if something is raised.

    Raises:
        AccentError: the file cannot be written; one of that name that was there before is untouched.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        try:
            with temporary.open("wb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        finally:
            with suppress(OSError):
                temporary.unlink()
    except OSError as error:
        raise AccentError(f"{path}: cannot be written ({error.strerror or error}); see to the disk") from error


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text."""
    with replacing(path) as file:
        file.write(text.encode())


def write_archive(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Write arrays as a compressed .npz that loads without pickle."""
    with replacing(path) as file:
        np.savez_compressed(file, allow_pickle=False, **arrays)


def writable_folder(folder: Path) -> None:
    """Make a folder and see that it can be written, before hours are spent on what goes there.

    Raises:
        AccentError: it cannot.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise AccentError(f"{folder}: cannot make this folder ({error.strerror}); name another") from error
    if not os.access(folder, os.W_OK):
        raise AccentError(f"{folder}: cannot write here; name another folder")
