"""The arrows between the rooms: launch -> shards -> accent, and nothing else (contracts in setup.cfg)."""

import subprocess
import sys

from tests.conftest import REPOSITORY


def test_imports_go_one_way():
    command = [sys.executable, "-c", "from importlinter.cli import lint_imports_command; lint_imports_command()"]
    done = subprocess.run([*command, "--no-cache"], cwd=REPOSITORY, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "0 broken" in done.stdout


def test_a_featurizer_worker_never_imports_torch():
    program = "import sys, shards.writing.processor, accent.features.extract; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], cwd=REPOSITORY, timeout=120).returncode == 0
