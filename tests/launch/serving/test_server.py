"""`accent serve` as a process of its own, on a loopback port."""

import json
import os
import signal
import socket
import subprocess
import sys
import urllib.request

import pytest
from websockets.sync.client import connect

from accent.audio.decode import decode
from tests.conftest import REPOSITORY


@pytest.fixture
def address(saa_run, ctrl_c):
    """The address of a server; it must end at Ctrl-C."""
    command = [sys.executable, "-m", "launch.cli", "serve", str(saa_run), "--port", "0"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    server = subprocess.Popen(
        command, cwd=REPOSITORY, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    line = server.stdout.readline()
    assert line.startswith("http://localhost:"), server.communicate()
    yield line.split()[0]
    server.send_signal(signal.SIGINT)
    _, errors = server.communicate(timeout=120)
    assert "Traceback" not in errors


def test_a_server_answers_files_and_streams(address, saa):
    path = saa / "ARA016" / "wav" / "arctic_a0001.wav"
    with urllib.request.urlopen(f"{address}identify", path.read_bytes(), timeout=120) as reply:
        told = json.load(reply)
    assert sum(told["probabilities"].values()) == pytest.approx(1)
    samples_NC, rate, _ = decode(path)
    with connect(f"ws{address.removeprefix('http')}listen?rate={rate}") as stream:
        stream.send((samples_NC[:, 0] * 32767).astype("<i2").tobytes())
        stream.send("end")
        answers = [json.loads(message) for message in stream]
    assert len(answers) == int(len(samples_NC) / rate / 0.5) + 1 and answers[-1]["end"]
    assert answers[-1]["seconds"] == pytest.approx(told["seconds"], abs=0.3)


def test_a_port_in_use_is_one_line(accent, saa_run):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        status, _, errors = accent("serve", saa_run, "--port", taken.getsockname()[1])
    lines = [line for line in errors.splitlines() if line.startswith("accent: ")]
    assert status == 2 and len(lines) == 1 and "another --port" in lines[0]
