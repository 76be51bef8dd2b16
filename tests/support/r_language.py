"""R (https://www.r-project.org) as an oracle: runs a program, and skips the test where it is not installed."""

import shutil
import subprocess
from pathlib import Path

import pytest


def run_r(program: str, folder: Path, package: str | None = None) -> str:
    """Run a program of R in a folder and return what it printed.

    Args:
        program: its text.
        folder: the working folder.
        package: that it needs; the test is skipped where it is not installed.
    """
    if shutil.which("Rscript") is None:
        pytest.skip("Rscript is not installed (Debian: r-base-core)")
    if package is not None:
        there = subprocess.run(["Rscript", "-e", f"quit(status = !requireNamespace('{package}', quietly = TRUE))"])
        if there.returncode:
            pytest.skip(f"R's package {package} is not installed (Debian: r-cran-{package})")
    done = subprocess.run(
        ["Rscript", "--vanilla", "-e", program], cwd=folder, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
