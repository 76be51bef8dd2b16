"""Shard sets behind an address: real servers and commands, on this machine."""

import functools
import http.server
import json
import logging
import os
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from accent.errors import AccentError
from launch.training.run import train_run
from shards.loading.batch import UNKNOWN_PHONE, Batch
from shards.loading.config import BatchConfig
from shards.shard_set.manifest import ShardSet
from shards.shard_set.reader import DamagedSampleError, ShardReader
from shards.splits.split import Split, make_split
from shards.streaming import transport
from shards.streaming.loader import RemoteEvaluationLoader, RemoteTrainingLoader, open_shards
from shards.streaming.remote_shard_set import RemoteShardSet, stream_shard
from shards.streaming.shuffle_buffer import PairBuffer, streamed_batches
from shards.streaming.transport import RemoteFolder
from tests.support.small_runs import small_config, small_shards
from tests.support.synthetic import make_shard_set

pytestmark = pytest.mark.timeout(60)

SPEAKERS = {"Arabic": ["a0", "a1", "a2"], "Hindi": ["h0", "h1", "h2"], "Spanish": ["s0", "s1", "s2"]}
SPLIT = Split(train=("a0", "a1", "h0", "h1", "s0", "s1"), validation=("a2", "h2", "s2"), test=())
CONFIG = BatchConfig(speakers_per_accent=2, utterances_per_speaker=2, crop_frames=30)
"""Twelve rows."""


class Server(http.server.ThreadingHTTPServer):
    """Serves a folder; may break off an answer, refuse it, or fall silent."""

    daemon_threads = True

    def __init__(self, folder: Path) -> None:
        super().__init__(("127.0.0.1", 0), functools.partial(Handler, directory=str(folder)))
        self.asked = Counter[str]()
        self.break_at: dict[str, list[int]] = {}
        """File name -> after how many bytes its next answers break off."""
        self.refuse: dict[str, list[int]] = {}
        """File name -> the statuses of its next answers."""
        self.silent = threading.Event()
        self.stopped = threading.Event()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Handler(http.server.SimpleHTTPRequestHandler):
    server: Server

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        name = self.path.rsplit("/", 1)[-1]
        self.server.asked[name] += 1
        if self.server.refuse.get(name):
            self.send_error(self.server.refuse[name].pop(0))
            return
        if not self.server.break_at.get(name):
            super().do_GET()
            return
        limit = self.server.break_at[name].pop(0)
        content = Path(self.translate_path(self.path)).read_bytes()
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content[:limit])
        self.wfile.flush()
        if self.server.silent.is_set():
            self.server.stopped.wait(20)
        self.connection.shutdown(socket.SHUT_RDWR)


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> ShardSet:
    # Ten shards, the last of them short.
    folder = tmp_path_factory.mktemp("remote")
    return make_shard_set(folder, SPEAKERS, 13, lengths=(20, 60), phones=True, samples_per_shard=12)


@pytest.fixture
def server(local: ShardSet) -> Iterator[Server]:
    yield from serving(local.root)


def serving(folder: Path) -> Iterator[Server]:
    server = Server(folder)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.stopped.set()
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "WAIT_SECONDS", 0.01)
    monkeypatch.setenv("no_proxy", "127.0.0.1")


@pytest.fixture
def piped(local: ShardSet) -> RemoteShardSet:
    return RemoteShardSet.open(f"pipe:cat {local.root}/{{}}")


def copy_of(local: ShardSet, folder: Path) -> Path:
    """A copy to spoil: links, but for the shards."""
    folder.mkdir()
    for path in local.root.iterdir():
        if path.suffix == ".tar":
            (folder / path.name).write_bytes(path.read_bytes())
        else:
            (folder / path.name).symlink_to(path)
    return folder


def kept(batch: Batch) -> Batch:
    return batch.to("cpu")


def assert_real_crops(batch: Batch, reader: ShardReader, whole: bool = False) -> None:
    """Every valid row is frames, phones and labels of the sample it names, from one place of it."""
    for row in torch.nonzero(batch.row_valid_B).ravel().tolist():
        number = int(batch.sample_B[row])
        labels = reader.rows[number]
        assert (batch.accent_B[row], batch.speaker_B[row], batch.prompt_B[row]) == tuple(
            int(labels[name]) for name in ("accent", "speaker", "prompt")
        )
        frames_TD, phones_T = reader.frames(number), reader.phones(number)
        count = int(batch.valid_BT[row].sum())
        assert batch.valid_BT[row, :count].all()
        assert count == (len(frames_TD) if whole else min(len(frames_TD), batch.valid_BT.shape[1]))
        found = batch.frames_BTD[row].numpy()
        starts = [
            start
            for start in range(len(frames_TD) - count + 1)
            if found[:count].tobytes() == frames_TD[start : start + count].tobytes()
        ]
        assert len(starts) == 1
        assert phones_T is not None
        assert np.array_equal(batch.phones_BT[row, :count], phones_T[starts[0] : starts[0] + count])
        assert (found[count:] == 0).all()
        assert (batch.phones_BT[row, count:] == UNKNOWN_PHONE).all()


# The table


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


def test_a_name_from_a_manifest_cannot_become_a_command_or_leave_the_folder(tmp_path: Path) -> None:
    folder = RemoteFolder("pipe:cat {}")
    assert folder.address_of("a; touch b") == "pipe:cat 'a; touch b'"
    for name in ("../secret", "/etc/passwd", "..", ""):
        with pytest.raises(AccentError, match="not the name of a file"):
            folder.address_of(name)


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


# A shard


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
    began = time.perf_counter()
    with pytest.raises(AccentError, match=r"shard-000000.tar: cannot be read \(timed out\)"):
        list(stream_shard(remote, 0))
    assert time.perf_counter() - began < 10


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


def spoil(folder: Path, local: ShardSet, number: int) -> None:
    row = local.index[number]
    path = folder / local.manifest.shards[int(row["shard"])].name
    content = bytearray(path.read_bytes())
    content[int(row["frames_offset"]) + 100] ^= 0xFF
    path.write_bytes(content)


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


# Training


@pytest.mark.parametrize("world_size, workers", [(1, 0), (1, 3), (2, 0), (3, 2), (4, 1)])
def test_every_process_yields_equally_many_batches_of_real_crops_of_training_speakers(
    local: ShardSet, piped: RemoteShardSet, world_size: int, workers: int
) -> None:
    reader, config = ShardReader(local), BatchConfig(**{**vars(CONFIG), "workers": workers})
    allowed = set(local.speaker_positions(SPLIT.train))
    for rank in range(world_size):
        loader = RemoteTrainingLoader(piped, SPLIT, config, seed=3, rank=rank, world_size=world_size, buffer=24)
        batches = [kept(batch) for batch in loader.steps(0, 9)]
        assert [tuple(batch.frames_BTD.shape[:2]) for batch in batches] == [(12 // world_size, 30)] * 9
        for batch in batches:
            assert batch.row_valid_B.all()
            assert set(batch.speaker_B.tolist()) <= allowed
            assert_real_crops(batch, reader)


def test_a_remote_loader_looks_like_a_local_one(local: ShardSet, piped: RemoteShardSet) -> None:
    shard_set, training, evaluation = open_shards(str(local.root))
    here, there = training(shard_set, SPLIT, CONFIG, seed=1), RemoteTrainingLoader(piped, SPLIT, CONFIG, seed=1)
    for name in ("accents", "speakers", "global_batch", "steps_per_epoch", "crop_frames", "n_samples", "seed"):
        assert getattr(here, name) == getattr(there, name)
    assert np.array_equal(here.statistics.mean_D, there.statistics.mean_D)
    assert len(evaluation(shard_set, SPLIT.validation, CONFIG).numbers_N) == 39


@pytest.mark.parametrize("world_size, workers", [(1, 0), (2, 0), (2, 2), (4, 0)])
def test_what_was_drawn_is_what_came_by_but_for_what_the_buffer_holds(
    piped: RemoteShardSet, world_size: int, workers: int
) -> None:
    config, own_readers = BatchConfig(**{**vars(CONFIG), "workers": workers}), max(1, workers)
    seen = set[int]()
    for rank in range(world_size):
        loader = RemoteTrainingLoader(piped, SPLIT, config, rank=rank, world_size=world_size, buffer=16)
        own = range(rank * own_readers, (rank + 1) * own_readers)
        streams = [came_by(loader, reader, own_readers * world_size, passes=12) for reader in own]
        first_pass = [came_by(loader, reader, own_readers * world_size, passes=1) for reader in own]
        # All of the first pass has entered the buffer, and another six buffers have gone through it.
        rows = max(map(len, first_pass)) * own_readers + 6 * loader.buffer + 2
        steps = -(-rows // (12 // world_size))
        drawn = Counter(n for batch in loader.steps(0, steps) for n in batch.sample_B.tolist())
        entered = drawn.total() + loader.buffer
        assert entered <= min(map(len, streams)) * own_readers
        came = Counter(streams[place % own_readers][place // own_readers] for place in range(entered))
        assert not drawn - came
        assert (came - drawn).total() == loader.buffer
        assert set(drawn) >= {n for stream in first_pass for n in stream}
        seen |= set(drawn)
    assert seen == set(np.flatnonzero(loader.wanted_N).tolist())


def test_every_pass_is_all_shards_in_another_order(piped: RemoteShardSet) -> None:
    loader = RemoteTrainingLoader(piped, SPLIT, CONFIG)
    orders = {tuple(loader.shard_order(first, number).tolist()) for first in (0, 5) for number in range(4)}
    assert len(orders) == 8
    assert all(sorted(order) == list(range(10)) for order in orders)


def came_by(loader: RemoteTrainingLoader, reader: int, readers: int, passes: int) -> list[int]:
    """The samples of a reader's shards, pass after pass, told from the index alone."""
    shards = [shard for number in range(passes) for shard in loader.shard_order(0, number).tolist()]
    wanted_N, shard_N = loader.wanted_N, loader.shard_set.index["shard"]
    return [n for shard in shards[reader::readers] for n in np.flatnonzero(wanted_N & (shard_N == shard)).tolist()]


def test_an_epoch_by_one_reader_of_equal_shards_is_every_sample_once_but_for_a_buffer(
    piped: RemoteShardSet,
) -> None:
    loader = RemoteTrainingLoader(piped, SPLIT, CONFIG, buffer=10)
    numbers = [n for batch in loader.steps(0, 6) for n in batch.sample_B.tolist()]
    # 72 of 78 drawn and 10 held are 82 streamed: the first pass and 4 samples of the second.
    assert len(set(numbers)) >= 72 - 4
    assert max(Counter(numbers).values()) <= 2


def test_the_same_seed_and_first_step_give_the_same_batches_and_others_do_not(
    piped: RemoteShardSet, caplog: pytest.LogCaptureFixture
) -> None:
    def numbers(seed: int, first: int, workers: int = 2) -> list[list[int]]:
        config = BatchConfig(**{**vars(CONFIG), "workers": workers})
        loader = RemoteTrainingLoader(piped, SPLIT, config, seed=seed, buffer=20)
        return [batch.sample_B.tolist() for batch in loader.steps(first, first + 4)]

    known = numbers(0, 0)
    assert numbers(0, 0) == known
    assert not caplog.records
    assert numbers(1, 0) != known
    assert numbers(0, 4) != known
    assert "begin anew at step 4" in caplog.text


def test_rows_come_in_pairs_of_one_accent_and_two_speakers_where_the_buffer_holds_them(
    piped: RemoteShardSet,
) -> None:
    loader = RemoteTrainingLoader(piped, SPLIT, CONFIG, buffer=48)
    for batch in loader.steps(0, 12):
        accent, speaker = batch.accent_B.view(6, 2), batch.speaker_B.view(6, 2)
        assert (accent[:, 0] == accent[:, 1]).all()
        assert (speaker[:, 0] != speaker[:, 1]).all()


def test_nothing_stays_in_the_buffer_for_ever(piped: RemoteShardSet) -> None:
    samples = [one for shard in range(10) for one in stream_shard(piped, shard)]
    entered, capacity = list[int](), 20

    def stream() -> Iterator:
        while True:
            for sample in samples:
                entered.append(sample.number)
                yield sample

    buffer = PairBuffer(stream(), piped.index, capacity, np.random.default_rng(0))
    left = [one.number for _ in range(1000) for one in buffer.take(3)]
    assert len(entered) == len(left) + capacity
    # The n-th time a sample leaves is the n-th time it entered.
    came, went = dict[int, list[int]](), dict[int, list[int]]()
    for place, number in enumerate(entered):
        came.setdefault(number, []).append(place)
    for place, number in enumerate(left):
        went.setdefault(number, []).append(place)
    waits = [out + capacity - into for number in went for into, out in zip(came[number], went[number], strict=False)]
    assert min(waits) >= 1
    assert max(waits) <= 6 * capacity + 2
    assert Counter(entered) - Counter(left) == Counter(one.number for one in buffer._held)


def test_fewer_shards_than_readers_are_refused(piped: RemoteShardSet) -> None:
    RemoteTrainingLoader(piped, SPLIT, BatchConfig(workers=5, utterances_per_speaker=2), world_size=2)
    with pytest.raises(
        AccentError, match=r"10 shards with training samples are too few for 12 readers \(2 processes x 6"
    ):
        RemoteTrainingLoader(piped, SPLIT, BatchConfig(workers=6, utterances_per_speaker=2), world_size=2)


def test_held_out_prompts_never_train(piped: RemoteShardSet) -> None:
    split = Split(SPLIT.train, SPLIT.validation, (), held_out_prompts=("p0003", "p0007"))
    loader = RemoteTrainingLoader(piped, split, CONFIG, buffer=10)
    held_out = {piped.prompts.index(name) for name in split.held_out_prompts}
    seen = {prompt for batch in loader.steps(0, 12) for prompt in batch.prompt_B.tolist()}
    assert seen == set(range(13)) - held_out


@pytest.mark.parametrize("workers", [0, 2])
def test_a_damaged_training_sample_stops_or_is_replaced_and_counted(
    local: ShardSet, tmp_path: Path, caplog: pytest.LogCaptureFixture, workers: int
) -> None:
    folder = copy_of(local, tmp_path / "copy")
    speakers = local.speaker_positions(SPLIT.train)
    spoilt = int(np.flatnonzero(np.isin(local.index["speaker"], speakers))[30])
    spoil(folder, local, spoilt)
    remote = RemoteShardSet.open(f"pipe:cat {folder}/{{}}")
    values = {**vars(CONFIG), "workers": workers}
    with pytest.raises(DamagedSampleError, match=f"sample {spoilt}: damaged"):
        list(RemoteTrainingLoader(remote, SPLIT, BatchConfig(**values), buffer=10).steps(0, 20))
    skipping = RemoteTrainingLoader(remote, SPLIT, BatchConfig(**{**values, "damaged": "skip"}), buffer=10)
    numbers = [n for batch in skipping.steps(0, 20) for n in batch.sample_B.tolist()]
    assert spoilt not in numbers
    assert min(numbers) >= 0
    assert skipping.skipped >= 2
    assert caplog.text.count("left out") == 1


@pytest.mark.parametrize("workers", [0, 2])
def test_a_set_without_a_whole_sample_is_an_error_and_no_endless_search(
    local: ShardSet, tmp_path: Path, workers: int
) -> None:
    folder = copy_of(local, tmp_path / "copy")
    for shard in folder.glob("*.tar"):
        os.truncate(shard, 1000)
    remote = RemoteShardSet.open(f"pipe:cat {folder}/{{}}")
    config = BatchConfig(**{**vars(CONFIG), "workers": workers, "damaged": "skip"})
    with pytest.raises(AccentError, match="10 shards in a row without a whole sample"):
        next(RemoteTrainingLoader(remote, SPLIT, config).steps(0, 1))


@pytest.mark.parametrize("workers", [0, 2])
def test_a_server_that_dies_while_training_is_named_and_no_thread_stays(server: Server, workers: int) -> None:
    remote = RemoteShardSet.open(server.address)
    server.break_at = {f"shard-{number:06d}.tar": [100_000] * 20 for number in range(10)}
    loader = RemoteTrainingLoader(remote, SPLIT, BatchConfig(**{**vars(CONFIG), "workers": workers}), buffer=40)
    with pytest.raises(AccentError, match=r"/shard-00000\d.tar: cannot be read"):
        list(loader.steps(0, 20))
    wait_for_threads()


def test_leaving_a_stream_early_leaves_no_thread_and_no_command(piped: RemoteShardSet) -> None:
    loader = RemoteTrainingLoader(piped, SPLIT, BatchConfig(**{**vars(CONFIG), "workers": 3}), buffer=10)
    batches = loader.steps(0, 1000)
    next(batches)
    batches.close()
    wait_for_threads()


def wait_for_threads() -> None:
    for thread in threading.enumerate():
        if thread.name == "streams":
            thread.join(10)
            assert not thread.is_alive()


# Evaluation


@pytest.mark.parametrize("workers", [0, 1])
@pytest.mark.parametrize("world_size", [1, 2, 3, 11])
def test_evaluation_is_a_partition_with_equal_batches_on_every_process(
    local: ShardSet, piped: RemoteShardSet, world_size: int, workers: int
) -> None:
    reader = ShardReader(local)
    config = BatchConfig(evaluation_frames_per_batch=200, workers=workers)
    numbers, shapes = [], []
    for rank in range(world_size):
        loader = RemoteEvaluationLoader(piped, SPLIT.validation, config, rank, world_size, buffer=7)
        batches = [kept(batch) for batch in loader]
        assert len(batches) == len(loader)
        for number, batch in enumerate(batches):
            assert batch.sample_B.tolist() == loader.rows(number).numbers_B.tolist()
            assert batch.valid_BT.numel() <= 200
            assert_real_crops(batch, reader, whole=True)
            invalid = ~batch.row_valid_B
            assert (batch.valid_BT[invalid].sum(1) == 1).all()
            assert (batch.frames_BTD[invalid] == 0).all()
        shapes.append([len(batch.sample_B) for batch in batches])
        numbers += [n for batch in batches for n in batch.sample_B[batch.row_valid_B].tolist()]
    assert all(shape == shapes[0] for shape in shapes)
    wanted = np.isin(local.index["speaker"], local.speaker_positions(SPLIT.validation))
    assert sorted(numbers) == np.flatnonzero(wanted).tolist()


def test_an_evaluation_plan_is_a_partition_for_streams_of_any_length() -> None:
    generator = np.random.default_rng(0)
    for _ in range(200):
        frames_N = generator.integers(1, 300, int(generator.integers(1, 60)))
        world_size, buffer = int(generator.integers(1, 6)), int(generator.integers(1, 20))
        dealt = generator.integers(0, world_size, len(frames_N))
        streams = [np.flatnonzero(dealt == rank) for rank in range(world_size)]
        plan = streamed_batches(streams, frames_N, 400, buffer)
        for rank, stream in enumerate(streams):
            mine = np.concatenate([batch[rank] for _, batch in plan])
            assert sorted(mine[mine >= 0]) == stream.tolist()
        for chunk, batch in plan:
            assert batch.shape[1] == 1 or batch.shape[1] * frames_N[batch[batch >= 0]].max() <= 400
            for rank, stream in enumerate(streams):
                assert set(batch[rank][batch[rank] >= 0]) <= set(stream[chunk * buffer : (chunk + 1) * buffer])


def test_a_damaged_sample_stops_an_evaluation_or_becomes_an_invalid_row(local: ShardSet, tmp_path: Path) -> None:
    folder = copy_of(local, tmp_path / "copy")
    spoil(folder, local, 20)
    remote = RemoteShardSet.open(f"pipe:cat {folder}/{{}}")
    with pytest.raises(DamagedSampleError, match="sample 20: damaged"):
        list(RemoteEvaluationLoader(remote))
    loader = RemoteEvaluationLoader(remote, config=BatchConfig(damaged="skip"))
    numbers = [n for batch in loader for n in batch.sample_B.tolist()]
    assert sorted(numbers) == [-1, *(n for n in range(117) if n != 20)]
    assert loader.skipped == 1


# A run


@pytest.mark.parametrize("through", ["http", "pipe"])
def test_a_run_trains_and_validates_from_an_address_and_goes_on(
    tmp_path: Path, through: str, caplog: pytest.LogCaptureFixture
) -> None:
    folder = small_shards(tmp_path / "shards", samples_per_shard=10).root
    caplog.set_level(logging.WARNING)
    for server in serving(folder):
        address = f"{server.address}/" if through == "http" else f"pipe:cat {folder}/{{}}"
        words = ("batch.workers=2", "validate_every_epochs=1", "split.validation_speakers=1")
        first = train_run(small_config(tmp_path / "run", Path("-"), f"shards={address}", "epochs=1", *words))
        assert first.step == 3
        assert first.best is not None
        assert "shards: " in (tmp_path / "run" / "config.yaml").read_text()
        longer = train_run(small_config(tmp_path / "run", Path("-"), f"shards={address}", "epochs=2", *words))
    assert longer.step == 6
    assert "begin anew at step 3" in caplog.text
    assert json.loads((tmp_path / "run" / "split.json").read_text())["validation"]


def test_a_run_on_a_server_that_dies_ends_with_one_line_and_a_checkpoint(tmp_path: Path) -> None:
    folder = small_shards(tmp_path / "shards", samples_per_shard=10).root
    for server in serving(folder):
        server.break_at = {"shard-000003.tar": [1000] * 50}
        with pytest.raises(AccentError, match=r"shard-000003.tar: cannot be read"):
            train_run(small_config(tmp_path / "run", Path("-"), f"shards={server.address}", "epochs=9"))
    assert (tmp_path / "run" / "config.yaml").is_file()
