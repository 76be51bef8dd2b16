"""What the system says of cores, memory and files is understood."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from accent.features.config import FeatureConfig
from shards.corpora.corpus import Utterance
from shards.shard_set.manifest import Refused
from shards.writing.encode import encode
from shards.writing.workers.memory_estimate import BYTES_A_SECOND, footprint
from shards.writing.workers.prefetch_audio import read_ahead
from shards.writing.workers.resources import available_cores, available_memory
from tests.conftest import REPOSITORY


def test_there_is_at_least_one_core():
    assert 1 <= available_cores() <= (os.cpu_count() or 1)


def test_there_is_some_memory():
    assert 2**26 < available_memory() <= os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.parametrize(
    ("groups", "limits", "expected"),
    [
        ("0::/job/step\n", {"sys/fs/cgroup/job/memory.max": "5000\n", "sys/fs/cgroup/memory.max": "max\n"}, 5000),
        ("0::/job\n", {"sys/fs/cgroup/job/memory.max": "max\n"}, 2_048_000),
        ("9:cpu:/x\n4:memory:/job\n", {"sys/fs/cgroup/memory/job/memory.limit_in_bytes": "7000\n"}, 7000),
        ("0::/\n", {"sys/fs/cgroup/memory.max": "9000\n"}, 9000),
    ],
)
def test_the_limit_of_a_control_group_is_a_limit(tmp_path, groups, limits, expected):
    files = {"proc/meminfo": "MemTotal: 9000 kB\nMemAvailable: 2000 kB\n", "proc/self/cgroup": groups, **limits}
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(content)
    assert available_memory(tmp_path) == expected


def test_a_longer_file_has_a_larger_footprint_up_to_the_longest_allowed():
    sizes = [footprint(Path("a.wav"), size, 120) for size in (0, 10_000, 100_000, 3_840_000, 10**10)]
    assert sizes == sorted(sizes) and sizes[-1] == sizes[-2] == 120 * BYTES_A_SECOND
    assert footprint(Path("a.mp3"), 10_000, 120) > footprint(Path("a.WAV"), 10_000, 120)


def test_reading_ahead_of_a_file_that_is_not_there_is_no_error(tmp_path):
    (tmp_path / "a.wav").write_bytes(bytes(1000))
    for name in ("a.wav", "b.wav"):
        read_ahead(Utterance("s-a", tmp_path / name, "s", "A", "c", "p", textgrid=tmp_path / "c.TextGrid"))


HOURS = """
import resource, sys
from pathlib import Path
from accent.features.config import FeatureConfig
from shards.corpora.corpus import Utterance
from shards.writing.encode import encode
from shards.writing.workers.prefetch_audio import read_ahead
path = Path(sys.argv[1])
utterance = Utterance("s-a", path, "s", "A", "c", "p")
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
read_ahead(utterance)
print(encode(utterance, path.parent, FeatureConfig()).reason)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


def test_three_hours_of_sound_are_refused_without_being_read(tmp_path):
    size, rate = 3 * 3600 * 44_100 * 2, 44_100
    header = b"RIFF" + (36 + size).to_bytes(4, "little") + b"WAVEfmt " + (16).to_bytes(4, "little")
    header += (1).to_bytes(2, "little") * 2 + rate.to_bytes(4, "little") + (2 * rate).to_bytes(4, "little")
    header += (2).to_bytes(2, "little") + (16).to_bytes(2, "little") + b"data" + size.to_bytes(4, "little")
    with (tmp_path / "hours.wav").open("wb") as file:
        file.write(header)
        file.truncate(len(header) + size)
    command = [sys.executable, "-c", HOURS, str(tmp_path / "hours.wav")]
    printed = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=120, check=True).stdout
    reason, kilobytes = printed.splitlines()
    assert reason == "too long: 10800.0 s, the configuration allows 120.0 s (audio.max_seconds)"
    assert int(kilobytes) < 32_000, "952 MB of sound were read"


def test_a_missing_file_is_refused_with_its_reason(tmp_path):
    missing = encode(Utterance("s-a", tmp_path / "a.wav", "s", "A", "c", "p"), tmp_path, FeatureConfig())
    assert isinstance(missing, Refused) and "no such sound file" in missing.reason
