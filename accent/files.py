"""Files that are whole or do not exist: written under a temporary name, synced to the disk, then renamed.

Cost: one fsync of the file and one of its folder.  `sha256_of`: one core hashes 1.5 GB/s.
"""

import hashlib
import os
import secrets
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

import numpy as np

from accent.errors import AccentError

TEMPORARY_SUFFIX = ".tmp"
_REPLACED = ".replaced"
_BLOCK = 1 << 20


def temporary_name(path: Path) -> Path:
    """Return `NAME.RANDOM.tmp` beside a path; random, so that two machines never write into the same file."""
    return path.with_name(f"{path.name}.{secrets.token_hex(4)}{TEMPORARY_SUFFIX}")


class AtomicFile:
    """A file under a temporary name that takes its final one when `commit` is called.

    Args:
        path: the final name; what it holds now is untouched until then.

    Raises:
        OSError: the disk refuses; the methods raise it too.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._temporary = temporary_name(path)
        self.file: IO[bytes] = self._temporary.open("wb")

    def commit(self) -> None:
        """Sync the content to the disk and give it its name."""
        self.file.flush()
        os.fsync(self.file.fileno())
        self.file.close()
        self._temporary.replace(self.path)
        sync_folder(self.path.parent)

    def discard(self) -> None:
        """Remove the temporary file; does nothing after `commit`."""
        with suppress(OSError):
            # A full disk refuses the buffered rest once more.
            self.file.close()
        self._temporary.unlink(missing_ok=True)


@contextmanager
def replacing(path: Path) -> Iterator[IO[bytes]]:
    """Give a file to write to; it replaces `path` at the end, or vanishes if something is raised.

    Args:
        path: the final name.

    Raises:
        AccentError: the file cannot be written; an earlier file of that name is untouched.
    """
    with _one_line(path):
        writing = AtomicFile(path)
        try:
            yield writing.file
            writing.commit()
        finally:
            writing.discard()


def write_bytes(path: Path, data: bytes) -> None:
    """Write a file; readers see the old content or the new one, whole.

    Raises:
        AccentError: it cannot be written.
    """
    with replacing(path) as file:
        file.write(data)


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text as `write_bytes` does."""
    write_bytes(path, text.encode())


def write_archive(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Write arrays as a compressed .npz that loads without pickle, as `write_bytes` does."""
    with replacing(path) as file:
        np.savez_compressed(file, allow_pickle=False, **arrays)


def write_once(path: Path, data: bytes) -> None:
    """Write a file unless it exists: of several machines, exactly one succeeds.

    Where the file system has no hard links, the last of several that write within milliseconds succeeds instead.

    Raises:
        AccentError: it cannot be written.
    """
    own = path.with_name(f"{path.stem}-{secrets.token_hex(8)}{path.suffix}")
    write_bytes(own, data)
    with _one_line(path):
        try:
            os.link(own, path)
        except FileExistsError:
            pass
        except OSError:
            own.replace(path)
        own.unlink(missing_ok=True)
        sync_folder(path.parent)


def sha256_of(path: Path) -> str:
    """Return the sha256 of a file, in hexadecimal digits; `OSError` if it cannot be read."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def sync_folder(folder: Path) -> None:
    """Make the renames in a folder survive a power cut; `OSError` if the disk refuses."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def writable_folder(folder: Path) -> None:
    """Make a folder and check that it can be written, before hours of work go there.

    Raises:
        AccentError: it cannot.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise AccentError(f"{folder}: cannot make this folder ({error.strerror}); name another") from error
    if not os.access(folder, os.W_OK):
        raise AccentError(f"{folder}: cannot write here; name another folder")


def replace_folder(written: Path, final: Path) -> None:
    """Give a folder its final name, in place of an earlier one of that name.

    Everything in it is synced first, and the parent afterwards.  A crash between the two renames leaves the earlier
    folder under another name beside it, where `recover_folders` finds it.

    Args:
        written: the folder as it was written, beside `final`.
        final: its name from now on.

    Raises:
        OSError: the disk refuses.
    """
    for path in [*written.rglob("*"), written]:
        sync_folder(path)
    former = _former(final)
    if final.exists():
        shutil.rmtree(former, ignore_errors=True)
        final.rename(former)
    written.rename(final)
    sync_folder(final.parent)
    shutil.rmtree(former, ignore_errors=True)


def recover_folder(final: Path) -> None:
    """Undo a replacement that a crash cut in half; does nothing if the folder is in its place."""
    former = _former(final)
    if former.is_dir():
        if final.exists():
            shutil.rmtree(former)
        else:
            former.rename(final)


def recover_folders(parent: Path, pattern: str) -> None:
    """Call `recover_folder` for all folders of a parent that a crash left behind.

    Args:
        parent: where they are; it may be missing.
        pattern: of their final names, as in `Path.glob`.
    """
    for leftover in parent.glob(f".{pattern}{_REPLACED}"):
        recover_folder(leftover.with_name(leftover.name[1 : -len(_REPLACED)]))


def _former(final: Path) -> Path:
    return final.with_name(f".{final.name}{_REPLACED}")


@contextmanager
def _one_line(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise AccentError(
            f"{path}: cannot be written ({error.strerror or error}); check free space and permissions"
        ) from error
