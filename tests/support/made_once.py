"""Folders that are costly to make, made once for all of pytest's processes."""

from collections.abc import Callable
from pathlib import Path

import pytest
from filelock import FileLock


def made_once(tmp_path_factory: pytest.TempPathFactory, name: str, make: Callable[[Path], object]) -> Path:
    """Return a folder that tests only read; the first process that asks makes it, the others wait.

    Args:
        tmp_path_factory: its folder for this session is where the folder lies.
        name: of the folder; another for everything that is made.
        make: is called with the folder, which is empty.
    """
    own = tmp_path_factory.getbasetemp()
    # pytest-xdist gives each of its processes a folder within that of the session.
    shared = own.parent if own.name.startswith("popen-") else own
    folder = shared / "made-once" / name
    finished = folder.with_name(f"{name}.finished")
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder.with_name(f"{name}.lock")):
        if not finished.exists():
            make(folder)
            finished.touch()
    return folder
