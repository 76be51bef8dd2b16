import json
from pathlib import Path

import pytest

from accent.errors import AccentError
from shards.open import open_shards
from shards.shard_set.manifest import ShardSet
from shards.streaming import transport
from shards.streaming.remote_shard_set import RemoteShardSet, stream_shard
from shards.streaming.transport import RemoteFolder
from tests.support.shard_sets.serving import Server, copy_of


def test_a_name_from_a_manifest_cannot_become_a_command_or_leave_the_folder(tmp_path: Path) -> None:
    for address in ("pipe:cat {}", "http://host/shards", "s3://bucket/shards"):
        folder = RemoteFolder(address)
        for name in ("../secret", "/etc/passwd", "..", "", "a; touch b", "$(id)", "-n", ".profile", "a\n"):
            with pytest.raises(AccentError, match="not the plain name of a file"):
                folder.address_of(name)


@pytest.mark.parametrize("name", ["$(touch NOTE)", "`touch NOTE`", "'$(touch NOTE)'", "x; touch NOTE", "'; touch NOTE"])
def test_a_shard_of_a_strangers_manifest_runs_nothing_behind_two_shells(
    local: ShardSet, tmp_path: Path, name: str
) -> None:
    note = tmp_path / "note"
    folder = copy_of(local, tmp_path / "shards")
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["shards"][0]["name"] = name.replace("NOTE", str(note))
    (folder / "manifest.json").unlink()
    (folder / "manifest.json").write_text(json.dumps(manifest))
    # As ssh does: the words that the first shell leaves are joined and read by a second.
    through_ssh = tmp_path / "ssh"
    through_ssh.write_text('shift\nsh -c "$*"\n')
    with pytest.raises(AccentError, match="plain name"):
        list(stream_shard(RemoteShardSet.open(f"pipe:sh {through_ssh} host cat {folder}/{{}}"), 0))
    assert not note.exists()


def test_a_good_set_is_read_through_two_shells(local: ShardSet, tmp_path: Path) -> None:
    through_ssh = tmp_path / "ssh"
    through_ssh.write_text('shift\nsh -c "$*"\n')
    remote = RemoteShardSet.open(f"pipe:sh {through_ssh} host cat {local.root}/{{}}")
    assert [one.damage for one in stream_shard(remote, 0)] == [None] * 12


def test_that_a_shell_runs_a_command_is_told_before_it_runs(
    local: ShardSet, server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(AccentError):
        open_shards("pipe:exit 3; {}")
    assert caplog.messages[0].startswith("pipe:exit 3; {}: a shell on this machine runs this command")
    caplog.clear()
    assert len(open_shards(server.address).shard_set) == len(open_shards(str(local.root)).shard_set)
    assert caplog.messages == []


def test_a_file_that_is_refused_for_good_is_asked_for_once(server: Server) -> None:
    with pytest.raises(AccentError, match=r"none/manifest.json: cannot be read \(the server says 404"):
        RemoteShardSet.open(f"{server.address}/none")
    assert server.asked["manifest.json"] == 1


def test_a_server_that_is_busy_for_a_while_is_asked_again(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    server.refuse = {"manifest.json": [503, 429]}
    assert len(RemoteShardSet.open(server.address)) == 117
    assert [record.message.split("; ")[1][:15] for record in caplog.records] == ["trying again in"] * 2
    assert "503" in caplog.text
    assert "429" in caplog.text


@pytest.mark.parametrize(
    "limits", [[1], [100_000], [511, 70_000, 140_000], [110_000] * 3, [*range(20_000, 120_000, 20_000)]]
)
def test_a_broken_connection_is_opened_again_and_nothing_is_lost_or_twice(
    server: Server, caplog: pytest.LogCaptureFixture, limits: list[int]
) -> None:
    remote = RemoteShardSet.open(server.address)
    server.break_at = {"shard-000002.tar": list(limits)}
    samples = list(stream_shard(remote, 2))
    assert [one.number for one in samples] == list(range(24, 36))
    assert all(one.damage is None for one in samples)
    assert server.asked["shard-000002.tar"] == len(limits) + 1
    assert caplog.text.count("trying again") == len(limits)
    assert "bytes before the end" in caplog.text


def test_a_server_that_always_dies_mid_shard_is_named(server: Server) -> None:
    remote = RemoteShardSet.open(server.address)
    server.break_at = {"shard-000002.tar": [100_000] * 20}
    stream = stream_shard(remote, 2)
    with pytest.raises(AccentError, match=r"/shard-000002.tar: cannot be read .*tried 4 times; check the server"):
        list(stream)
    assert server.asked["shard-000002.tar"] == 4


def test_a_server_that_falls_silent_is_no_hang(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "STALLED_SECONDS", 0.1)
    remote = RemoteShardSet.open(server.address)
    server.break_at = {"shard-000000.tar": [100_000] * 20}
    server.silent.set()
    with pytest.raises(AccentError, match=r"shard-000000.tar: cannot be read \(timed out\)"):
        list(stream_shard(remote, 0))


def test_a_command_that_falls_silent_is_ended(local: ShardSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "STALLED_SECONDS", 0.2)
    numbers = tmp_path / "numbers"
    command = f"head -c 100000 {local.root}/{{}}; case {{}} in *.tar) echo $$ >> {numbers}; sleep 1000;; esac"
    remote = RemoteShardSet.open(f"pipe:{command.replace('head -c 100000', 'cat', 1)}")
    stalling = RemoteShardSet(remote.root, remote.manifest, remote.index, RemoteFolder(f"pipe:{command}"), b"")
    with pytest.raises(AccentError, match=r"shard-000000.tar.*nothing came for 0.2 s.*tried 4 times"):
        list(stream_shard(stalling, 0))
    started = [int(number) for number in numbers.read_text().split()]
    assert len(started) == 4
    assert not [number for number in started if Path(f"/proc/{number}").exists()]


def test_a_stream_that_is_not_read_to_its_end_ends_its_command(local: ShardSet, tmp_path: Path) -> None:
    note = tmp_path / "number"
    remote = RemoteShardSet.open(f"pipe:case {{}} in *.tar) echo $$ > {note};; esac; cat {local.root}/{{}}; sleep 0")
    stream = stream_shard(remote, 0)
    next(stream)
    stream.close()
    assert not Path(f"/proc/{note.read_text().strip()}").exists()
