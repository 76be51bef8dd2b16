"""What the packages offer has types for their users, although it is imported when it is first used."""

import importlib
import subprocess
import sys

import pytest

from tests.conftest import REPOSITORY

PACKAGES = ["accent", "accent.losses", "accent.model", "launch", "shards", "shards.splits"]

ALONE = ["--no-site-packages", "--ignore-missing-imports", "--no-warn-unused-ignores"]
"""Our types alone: those of torch take most of mypy's time."""


def mypy(tmp_path, program: str) -> str:
    (tmp_path / "program.py").write_text(program)
    command = [sys.executable, "-m", "mypy", "--config-file", "setup.cfg", *ALONE, str(tmp_path / "program.py")]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=280)
    return done.stdout + done.stderr


@pytest.mark.timeout(300)
def test_mypy_knows_every_public_name_and_no_other(tmp_path):
    lines = []
    for package in PACKAGES:
        names = importlib.import_module(package).__all__
        assert names
        lines += [f"from {package} import {name}\nreveal_type({name})" for name in names]
    printed = mypy(tmp_path, "\n".join(lines) + "\nfrom accent import AccentEmbeder\n")
    assert printed.count("Revealed type is") == len(lines), printed
    assert 'Revealed type is "Any"' not in printed, printed
    assert 'Module "accent" has no attribute "AccentEmbeder"' in printed
    assert printed.count("error:") == 1, printed
