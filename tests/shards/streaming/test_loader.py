import json
import logging
import os
import threading
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch

from accent.errors import AccentError
from launch.training.run import train_run
from shards.loading.batch import UNKNOWN_PHONE, Batch
from shards.loading.config import BatchConfig
from shards.loading.loader import TrainingLoader
from shards.open import open_shards
from shards.shard_set.manifest import ShardSet
from shards.shard_set.reader import DamagedSampleError, ShardReader
from shards.splits.split import Split
from shards.streaming.loader import RemoteEvaluationLoader, RemoteTrainingLoader
from shards.streaming.remote_shard_set import RemoteShardSet
from tests.support.shard_sets.serving import Server, copy_of, serving, spoil
from tests.support.training.small_runs import small_config, small_shards

SPLIT = Split(train=("a0", "a1", "h0", "h1", "s0", "s1"), validation=("a2", "h2", "s2"), test=())
CONFIG = BatchConfig(speakers_per_accent=2, utterances_per_speaker=2, crop_frames=30)
"""Twelve rows."""


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
    shards = open_shards(str(local.root))
    here, there = shards.training_loader(SPLIT, CONFIG, seed=1), RemoteTrainingLoader(piped, SPLIT, CONFIG, seed=1)
    assert isinstance(here, TrainingLoader)
    assert isinstance(open_shards(piped.folder.address).training_loader(SPLIT, CONFIG), RemoteTrainingLoader)
    for name in ("accents", "speakers", "global_batch", "steps_per_epoch", "crop_frames", "n_samples", "seed"):
        assert getattr(here, name) == getattr(there, name)
    assert np.array_equal(here.statistics.mean_D, there.statistics.mean_D)
    assert len(shards.evaluation_loader(SPLIT.validation, CONFIG).numbers_N) == 39


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


@pytest.mark.parametrize("through", ["http", "pipe"])
def test_a_run_trains_and_validates_from_an_address_and_resumes(
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
