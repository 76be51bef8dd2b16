import errno
import io
import json
import multiprocessing
import os
import pickle
import tarfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from accent.errors import AccentError
from shards.shard_set import reader as reader_module
from shards.shard_set.manifest import ShardSet
from shards.shard_set.reader import DamagedSampleError, ShardReader
from tests.support.shard_sets.synthetic import make_shard_set


@pytest.fixture(scope="module")
def shard_set(tmp_path_factory: pytest.TempPathFactory) -> ShardSet:
    folder = tmp_path_factory.mktemp("reader")
    return make_shard_set(folder, {"a": ["a0", "a1"], "b": ["b0"]}, phones=True, samples_per_shard=3)


@pytest.fixture
def own_set(tmp_path: Path) -> ShardSet:
    """A shard set that a test may damage."""
    return make_shard_set(tmp_path, {"a": ["a0", "a1"]}, phones=True, samples_per_shard=3)


def read_with_tarfile(shard_set: ShardSet) -> dict[str, dict[str, bytes]]:
    """The oracle: every member of every shard, by key and extension, through the standard library."""
    samples: dict[str, dict[str, bytes]] = {}
    for shard in shard_set.manifest.shards:
        with tarfile.open(shard_set.root / shard.name) as archive:
            for member in archive:
                key, _, extension = member.name.partition(".")
                stream = archive.extractfile(member)
                assert stream is not None
                samples.setdefault(key, {})[extension] = stream.read()
    return samples


def test_every_sample_is_what_tarfile_and_numpy_read(shard_set: ShardSet) -> None:
    oracle = read_with_tarfile(shard_set)
    reader = ShardReader(shard_set)
    keys = set()
    for number, row in enumerate(shard_set.index):
        metadata = reader.metadata(number)
        members = oracle[metadata["key"]]
        keys.add(metadata["key"])
        assert metadata == json.loads(members["json"])
        np.testing.assert_array_equal(reader.frames(number), np.load(io.BytesIO(members["frames.npy"])))
        np.testing.assert_array_equal(reader.phones(number), np.load(io.BytesIO(members["phones.npy"])))
        assert metadata["speaker"] == shard_set.speakers[row["speaker"]]
        assert metadata["accent"] == shard_set.accents[row["accent"]]
        assert metadata["prompt"] == shard_set.prompts[row["prompt"]]
    assert keys == set(oracle)


@given(st.data())
def test_a_crop_is_a_slice_of_the_whole(shard_set: ShardSet, data: st.DataObject) -> None:
    reader = ShardReader(shard_set)
    number = data.draw(st.integers(0, len(shard_set) - 1))
    length = int(shard_set.index["frames"][number])
    start = data.draw(st.integers(0, length))
    count = data.draw(st.integers(0, length - start))
    np.testing.assert_array_equal(reader.frames(number, start, count), reader.frames(number)[start : start + count])
    phones_T, crop_T = reader.phones(number), reader.phones(number, start, count)
    assert phones_T is not None and crop_T is not None
    np.testing.assert_array_equal(crop_T, phones_T[start : start + count])
    np.testing.assert_array_equal(reader.frames(number, start), reader.frames(number)[start:])


def test_without_alignments_there_are_no_phones(tmp_path: Path) -> None:
    reader = ShardReader(make_shard_set(tmp_path, {"a": ["a0"]}))
    assert reader.phones(0) is None
    assert reader.phones(0, 2, 5) is None


@pytest.mark.parametrize(("start", "count"), [(-1, 3), (0, 10_000), (10_000, None), (5, -1)])
def test_frames_outside_the_sample_are_refused(shard_set: ShardSet, start: int, count: int | None) -> None:
    reader = ShardReader(shard_set)
    with pytest.raises(IndexError, match="sample 0: frames"):
        reader.frames(0, start, count)
    with pytest.raises(IndexError, match="sample 0: frames"):
        reader.phones(0, start, count)


@pytest.mark.parametrize("number", [-1, 10**6])
def test_a_number_that_is_no_sample_is_refused(shard_set: ShardSet, number: int) -> None:
    for read in (ShardReader(shard_set).frames, ShardReader(shard_set).phones, ShardReader(shard_set).metadata):
        with pytest.raises(IndexError, match=f"sample {number} of"):
            read(number)


def test_a_shard_cut_short_is_an_error_that_names_shard_and_sample(own_set: ShardSet) -> None:
    shard = own_set.root / own_set.manifest.shards[1].name
    number = int(np.flatnonzero(own_set.index["shard"] == 1)[-1])
    os.truncate(shard, int(own_set.index["frames_offset"][number]) + 100)
    with pytest.raises(AccentError, match=rf"{shard.name}: sample {number}: the shard ends too early, at byte \d+;"):
        ShardReader(own_set).frames(number)
    with pytest.raises(AccentError, match=rf"{shard.name}: sample {number}: "):
        ShardReader(own_set).metadata(number)


def test_a_missing_shard_is_an_error_that_names_it(own_set: ShardSet) -> None:
    shard = own_set.root / own_set.manifest.shards[0].name
    shard.unlink()
    number = int(np.flatnonzero(own_set.index["shard"] == 0)[0])
    with pytest.raises(AccentError, match=rf"{shard.name}: the shard cannot be opened \(No such file"):
        ShardReader(own_set).frames(number)


def test_one_changed_bit_is_seen_when_a_sample_is_read_whole(own_set: ShardSet) -> None:
    row = own_set.index[2]
    shard = own_set.root / own_set.manifest.shards[row["shard"]].name
    damaged = bytearray(shard.read_bytes())
    damaged[int(row["frames_offset"]) + 1000] ^= 1
    shard.write_bytes(damaged)
    reader = ShardReader(own_set)
    with pytest.raises(AccentError, match=rf"{shard.name}: sample 2: damaged"):
        reader.frames(2)
    with pytest.raises(AccentError, match="sample 2: damaged"):
        reader.frames(2, 0, int(row["frames"]))
    assert len(reader.frames(2, 1)) == row["frames"] - 1
    reader.frames(1)


@pytest.mark.parametrize("most", [1, 7, 100])
def test_a_file_system_that_gives_a_little_at_a_time_is_read_to_the_end(
    shard_set: ShardSet, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    reader = ShardReader(shard_set)
    whole = [reader.frames(number, 0, 3).tobytes() for number in range(len(shard_set))]
    genuine = os.preadv

    def little(descriptor: int, buffers: Sequence[memoryview], offset: int) -> int:
        return genuine(descriptor, (buffers[0][:most],), offset)

    monkeypatch.setattr(os, "preadv", little)
    assert [reader.frames(number, 0, 3).tobytes() for number in range(len(shard_set))] == whole


def test_one_stretch_is_read_over_several_buffers(shard_set: ShardSet) -> None:
    reader = ShardReader(shard_set)
    shard, offset = int(reader.rows["shard"][0]), int(reader.rows["frames_offset"][0])
    parts = [memoryview(bytearray(length)) for length in (10, 0, 300, 7)]
    reader.read_into(0, shard, offset, 317, parts)
    assert b"".join(parts) == reader.frames(0).tobytes()[:317]


def test_a_disk_that_refuses_is_an_error_that_names_the_sample(
    shard_set: ShardSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> int:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "preadv", refuse)
    with pytest.raises(DamagedSampleError, match=r"shard-\d+.tar: sample 3: cannot be read \(Input/output error\)"):
        ShardReader(shard_set).frames(3)


def test_few_descriptors_stay_open_and_none_after_closing(shard_set: ShardSet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader_module, "_MOST_OPEN_SHARDS", 2)
    assert len(shard_set.manifest.shards) > 3
    before = len(os.listdir("/proc/self/fd"))
    reader = ShardReader(shard_set)
    whole = [reader.frames(number).tobytes() for number in range(len(shard_set))]
    assert len(os.listdir("/proc/self/fd")) == before + 2
    assert [reader.frames(number).tobytes() for number in range(len(shard_set))] == whole
    reader.close()
    assert len(os.listdir("/proc/self/fd")) == before
    reader.frames(0)
    del reader
    assert len(os.listdir("/proc/self/fd")) == before


def _read_all(reader: ShardReader) -> list[bytes]:
    return [reader.frames(number).tobytes() for number in range(len(reader.shard_set))]


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_a_reader_in_use_works_in_another_process(shard_set: ShardSet, method: str) -> None:
    reader = ShardReader(shard_set)
    here = _read_all(reader)
    with multiprocessing.get_context(method).Pool(1) as pool:
        assert pool.apply(_read_all, (reader,)) == here
    assert _read_all(reader) == here


def test_a_pickled_reader_carries_neither_index_nor_descriptors(tmp_path: Path) -> None:
    shard_set = make_shard_set(tmp_path, {"a": ["a0"]}, utterances_per_speaker=200, lengths=(2, 3))
    reader = ShardReader(shard_set)
    reader.frames(0)
    data = pickle.dumps(reader)
    assert len(data) < 1000 < shard_set.index.nbytes
    before = len(os.listdir("/proc/self/fd"))
    copy = pickle.loads(data)
    np.testing.assert_array_equal(copy.frames(0), reader.frames(0))
    assert copy._descriptors.values() != reader._descriptors.values()
    assert len(os.listdir("/proc/self/fd")) > before
