import os
from pathlib import Path

import numpy as np
import pytest

from accent.errors import AccentError
from shards.shard_set.manifest import ShardSet
from shards.shard_set.reader import DamagedSampleError, ShardReader
from shards.splits.split import make_split
from shards.streaming.remote_shard_set import RemoteShardSet, stream_shard
from tests.support.shard_sets.serving import Server, copy_of, serving, spoil


def test_an_opened_address_knows_what_the_folder_knows(local: ShardSet, server: Server, piped: RemoteShardSet) -> None:
    for remote in (RemoteShardSet.open(f"{server.address}/"), piped):
        assert np.array_equal(remote.index, local.index)
        assert remote.manifest == local.manifest
        assert make_split(remote) == make_split(local)
        mine, theirs = remote.statistics(["a0", "s2"]), local.statistics(["a0", "s2"])
        assert np.array_equal(mine.mean_D, theirs.mean_D)
        assert np.array_equal(mine.std_D, theirs.std_D)


def test_opening_reads_no_shard(server: Server) -> None:
    RemoteShardSet.open(server.address)
    assert server.asked == {"manifest.json": 1, "index.npy": 1, "statistics.npz": 1}


def test_s3_is_read_by_the_aws_program(local: ShardSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "aws"
    program.write_text(
        f'#!/bin/sh\n[ "$1 $2 $5" = "s3 cp -" ] && exec cat "{local.root}/${{4#s3://bucket/some shards/}}"\n'
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    remote = RemoteShardSet.open("s3://bucket/some shards")
    assert [one.number for one in stream_shard(remote, 1)] == list(range(12, 24))


@pytest.mark.parametrize("name", ["index.npy", "statistics.npz"])
def test_a_table_that_differs_from_the_manifest_is_named(local: ShardSet, tmp_path: Path, name: str) -> None:
    folder = copy_of(local, tmp_path / "copy")
    content = bytearray((folder / name).read_bytes())
    content[-1] ^= 1
    (folder / name).unlink()
    (folder / name).write_bytes(content)
    with pytest.raises(AccentError, match=f"{name}: not the file that the manifest describes"):
        RemoteShardSet.open(f"pipe:cat {folder}/{{}}")


@pytest.mark.parametrize(
    "address, line",
    [
        ("work/shards", "not an address"),
        ("pipe:cat manifest.json", "does not say where the name of a file goes"),
        ("pipe:echo {}", "not valid JSON"),
        ("pipe:echo '[]' #{}", "not the manifest of a shard set"),
        (
            "http://127.0.0.1:1/shards",
            "http://127.0.0.1:1/shards/manifest.json: cannot be read .*refused.*tried 4 times",
        ),
        ("pipe:echo no such host >&2; exit 3; cat {}", "ended with status 3: no such host"),
    ],
)
def test_an_address_that_leads_nowhere_is_one_line(address: str, line: str) -> None:
    with pytest.raises(AccentError, match=line) as caught:
        RemoteShardSet.open(address)
    assert "\n" not in str(caught.value)


def test_a_streamed_shard_holds_the_samples_that_the_index_says(local: ShardSet, server: Server) -> None:
    remote, reader = RemoteShardSet.open(server.address), ShardReader(local)
    seen = []
    for shard in range(len(local.manifest.shards)):
        for sample in stream_shard(remote, shard):
            assert sample.damage is None
            assert sample.frames_TD.tobytes() == reader.frames(sample.number).tobytes()
            assert sample.phones_T is not None
            assert np.array_equal(sample.phones_T, reader.phones(sample.number))
            seen.append(sample.number)
    assert seen == list(range(len(local)))


def test_a_sample_with_another_checksum_is_named_and_its_neighbours_are_good(local: ShardSet, tmp_path: Path) -> None:
    folder = copy_of(local, tmp_path / "copy")
    spoil(folder, local, 14)
    samples = list(stream_shard(RemoteShardSet.open(f"pipe:cat {folder}/{{}}"), 1))
    assert [one.number for one in samples if one.damage is not None] == [14]
    assert "shard-000001.tar: sample 14: damaged (crc32 differs)" in str(samples[2].damage)


@pytest.mark.parametrize("through", ["http", "pipe"])
def test_a_shard_that_is_short_gives_what_it_has_and_names_the_rest(
    local: ShardSet, tmp_path: Path, through: str
) -> None:
    folder = copy_of(local, tmp_path / "copy")
    # In the padding behind a member, so that the tar reader sees a clean end.
    end = (int(local.index["metadata_offset"][3]) + int(local.index["metadata_bytes"][3]) + 511) // 512 * 512
    os.truncate(folder / "shard-000000.tar", end)
    for server in serving(folder):
        remote = RemoteShardSet.open(server.address if through == "http" else f"pipe:cat {folder}/{{}}")
        samples = list(stream_shard(remote, 0))
        assert server.asked["shard-000000.tar"] == (through == "http")
    assert [one.number for one in samples] == list(range(12))
    assert [one.number for one in samples if one.damage is None] == [0, 1, 2, 3]
    whole = local.manifest.shards[0].bytes
    assert f"sample 4: the shard ends too early ({end} of {whole} bytes)" in str(samples[4].damage)


def test_a_broken_header_is_not_taken_for_the_end(local: ShardSet, tmp_path: Path) -> None:
    folder = copy_of(local, tmp_path / "copy")
    path = folder / "shard-000000.tar"
    content = bytearray(path.read_bytes())
    # The block before the sixth sample's .npy header is its tar header.
    npy = content.rindex(b"\x93NUMPY", 0, int(local.index["frames_offset"][5]))
    content[npy - 512 : npy] = b"\xff" * 512
    path.write_bytes(content)
    samples = list(stream_shard(RemoteShardSet.open(f"pipe:cat {folder}/{{}}"), 0))
    assert [one.number for one in samples if one.damage is None] == [0, 1, 2, 3, 4]
    assert [one.number for one in samples] == list(range(12))
    assert "no sample is found there" in str(samples[5].damage)


def test_a_shard_that_is_no_tar_is_all_damaged(local: ShardSet, tmp_path: Path) -> None:
    folder = copy_of(local, tmp_path / "copy")
    (folder / "shard-000000.tar").write_text("<html>please log in</html>")
    samples = list(stream_shard(RemoteShardSet.open(f"pipe:cat {folder}/{{}}"), 0))
    assert len(samples) == 12
    assert all(isinstance(one.damage, DamagedSampleError) for one in samples)
