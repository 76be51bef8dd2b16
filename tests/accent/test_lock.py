"""A lock names its holder, and a dead holder holds nothing."""

import os
import signal
import subprocess
import sys

import pytest

from accent.errors import AccentError
from accent.lock import locked, refuse_held
from tests.conftest import REPOSITORY

HOLDER = """
import sys, time
from pathlib import Path
from accent.lock import locked
with locked(Path(sys.argv[1]), "training this run"):
    print("held", flush=True)
    time.sleep(100)
"""


@pytest.fixture
def holder(tmp_path):
    command = [sys.executable, "-c", HOLDER, str(tmp_path / ".lock")]
    with subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_the_line_names_the_process_its_host_and_its_work(tmp_path, holder):
    expected = rf"^{tmp_path}: process {holder.pid} on {os.uname().nodename} has been training this run since \d{{4}}-"
    with pytest.raises(AccentError, match=expected), locked(tmp_path / ".lock", "evaluating this run"):
        pass
    with pytest.raises(AccentError, match=expected):
        refuse_held(tmp_path / ".lock")
    assert holder.poll() is None


def test_a_killed_holder_blocks_nobody(tmp_path, holder):
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    assert (tmp_path / ".lock").exists()
    with locked(tmp_path / ".lock", "training this run"):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_lock_file_that_nobody_holds_is_removed(tmp_path):
    (tmp_path / ".lock").write_text("{}")
    refuse_held(tmp_path / ".lock")
    refuse_held(tmp_path / ".lock")
    assert list(tmp_path.iterdir()) == []


def test_a_holder_that_has_not_written_its_name_yet_is_one_line_too(tmp_path):
    with locked(tmp_path / ".lock", "training this run"):
        (tmp_path / ".lock").write_text("")
        with pytest.raises(AccentError, match="another process is at work there; wait until it ends, or stop it"):
            refuse_held(tmp_path / ".lock")
