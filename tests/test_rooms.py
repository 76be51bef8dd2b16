"""Rooms stay small, and the arrows between them go one way: launch -> shards -> accent (contracts in setup.cfg)."""

import subprocess
import sys
from collections import Counter
from pathlib import Path

from tests.conftest import REPOSITORY

MOST_FILES = 18
"""Python files of one folder, `__init__.py` not counted."""


def test_no_room_is_crowded():
    files = Counter[Path]()
    for top in ("accent", "shards", "launch", "tests", "configs"):
        files.update(
            path.parent.relative_to(REPOSITORY)
            for path in (REPOSITORY / top).rglob("*.py")
            if path.name != "__init__.py"
        )
    assert len(files) > 40
    full = {str(room): count for room, count in files.items() if count > MOST_FILES}
    assert full == {}, "make a room within, as launch/commands has them"


def test_imports_go_one_way():
    command = [sys.executable, "-c", "from importlinter.cli import lint_imports_command; lint_imports_command()"]
    done = subprocess.run([*command, "--no-cache"], cwd=REPOSITORY, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "0 broken" in done.stdout


def test_a_featurizer_worker_never_imports_torch():
    program = "import sys, shards.writing.processor, accent.features.extract; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], cwd=REPOSITORY, timeout=120).returncode == 0
