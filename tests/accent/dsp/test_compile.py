"""Compiled kernels are kept on disk, and live without a disk that takes them."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

CODE = """
import sys
sys.path.insert(0, {folder!r})
import kept
print(kept.twice(21), sum(kept.twice.stats.cache_hits.values()))
"""


def run(folder: Path, cache: Path) -> str:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", CODE.format(folder=str(folder))],
        env={**os.environ, "NUMBA_CACHE_DIR": str(cache)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.fixture
def module(tmp_path: Path) -> Path:
    folder = tmp_path / "code"
    folder.mkdir()
    (folder / "kept.py").write_text(
        "from accent.dsp.compile import kernel\n\n@kernel\ndef twice(value):\n    return 2 * value\n"
    )
    return folder


def test_the_second_process_finds_the_kernel_on_disk(module: Path, tmp_path: Path) -> None:
    assert run(module, tmp_path / "cache") == "42 0"
    assert run(module, tmp_path / "cache") == "42 1"


def test_a_damaged_cache_is_compiled_anew(module: Path, tmp_path: Path) -> None:
    run(module, tmp_path / "cache")
    kept = [path for path in (tmp_path / "cache").rglob("*") if path.is_file()]
    assert kept
    for path in kept:
        path.write_bytes(path.read_bytes()[:20])
    assert run(module, tmp_path / "cache") == "42 0"
    assert run(module, tmp_path / "cache") == "42 1"


def test_a_cache_folder_that_cannot_be_written_is_no_error(module: Path, tmp_path: Path) -> None:
    # A file where the folder should be: not even root can write into it.
    (tmp_path / "cache").write_text("in the way")
    assert run(module, tmp_path / "cache").startswith("42 ")


def test_a_cache_folder_that_goes_away_is_no_error(module: Path, tmp_path: Path) -> None:
    code = CODE.replace(
        "import kept\n", "import kept, shutil; shutil.rmtree({cache!r}); open({cache!r}, 'w').close()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code.format(folder=str(module), cache=str(tmp_path / "cache"))],
        env={**os.environ, "NUMBA_CACHE_DIR": str(tmp_path / "cache")},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (done.returncode, done.stdout.strip()) == (0, "42 0"), done.stderr
