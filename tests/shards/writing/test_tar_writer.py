"""A shard is a plain tar: other people's readers read it, and the offsets noted while writing are true."""

import hashlib
import io
import json
import os
import tarfile
import zlib
from types import MappingProxyType

import numpy as np
import pytest
import webdataset

from accent.features.schema import N_COLUMNS, column_index
from accent.strict_json import to_json
from shards.writing.sample import pack_sample, store_frames
from shards.writing.tar_writer import ShardWriter

LONG_KEY = "SPEAKER-" + "very_long_utterance_name_" * 6


def _samples(count: int = 3):
    rng = np.random.default_rng(7)
    for number in range(count):
        frames_TD = rng.standard_normal((5 + number, N_COLUMNS)).astype(np.float16)
        frames_TD[number % 5, 3] = np.nan
        phones_T = rng.integers(0, 40, len(frames_TD)).astype(np.int16) if number % 2 == 0 else None
        yield f"S{number}-a", frames_TD, {"speaker": f"S{number}", "text": "naïve", "f0": float("nan")}, phones_T


def _write(path, samples):
    with ShardWriter(path) as writer:
        for sample in samples:
            writer.add(pack_sample(*sample))
        return writer.rows, writer.finish()


def test_webdataset_reads_a_shard_with_no_code_of_ours(tmp_path):
    _write(tmp_path / "shard.tar", _samples())
    dataset = webdataset.WebDataset(str(tmp_path / "shard.tar"), shardshuffle=False).decode()
    read = {sample["__key__"]: sample for sample in dataset}
    assert list(read) == ["S0-a", "S1-a", "S2-a"]
    for key, frames_TD, metadata, phones_T in _samples():
        np.testing.assert_array_equal(read[key]["frames.npy"], frames_TD)
        assert read[key]["frames.npy"].dtype == np.float16
        assert read[key]["json"] == {**metadata, "f0": None}
        assert ("phones.npy" in read[key]) == (phones_T is not None)
        if phones_T is not None:
            np.testing.assert_array_equal(read[key]["phones.npy"], phones_T)


def test_offsets_lead_to_the_data_that_the_tar_holds(tmp_path):
    rows, _ = _write(tmp_path / "shard.tar", _samples())
    descriptor = os.open(tmp_path / "shard.tar", os.O_RDONLY)
    with tarfile.open(tmp_path / "shard.tar") as tar:
        for row, (key, *_rest) in zip(rows, _samples(), strict=True):
            frames_TD = np.load(io.BytesIO(tar.extractfile(f"{key}.frames.npy").read()))
            data = os.pread(descriptor, frames_TD.nbytes, int(row["frames_offset"]))
            np.testing.assert_array_equal(np.frombuffer(data, np.float16).reshape(-1, N_COLUMNS), frames_TD)
            assert row["frames"] == len(frames_TD)
            assert row["crc32"] == zlib.crc32(frames_TD.tobytes())
            metadata = tar.extractfile(f"{key}.json").read()
            assert os.pread(descriptor, int(row["metadata_bytes"]), int(row["metadata_offset"])) == metadata
            if f"{key}.phones.npy" in tar.getnames():
                phones_T = np.load(io.BytesIO(tar.extractfile(f"{key}.phones.npy").read()))
                data = os.pread(descriptor, phones_T.nbytes, int(row["phones_offset"]))
                np.testing.assert_array_equal(np.frombuffer(data, np.int16), phones_T)
            else:
                assert row["phones_offset"] == -1
    os.close(descriptor)


def test_members_carry_no_time_and_no_owner(tmp_path):
    _write(tmp_path / "shard.tar", _samples())
    with tarfile.open(tmp_path / "shard.tar") as tar:
        members = tar.getmembers()
    assert [member.name for member in members[:3]] == ["S0-a.frames.npy", "S0-a.phones.npy", "S0-a.json"]
    assert {(one.mtime, one.uid, one.gid, one.mode, one.uname, one.gname) for one in members} == {
        (0, 0, 0, 0o644, "", "")
    }


def test_the_entry_tells_size_and_hash_of_the_file(tmp_path):
    _, entry = _write(tmp_path / "shard.tar", _samples())
    data = (tmp_path / "shard.tar").read_bytes()
    assert (entry.name, entry.bytes, entry.count) == ("shard.tar", len(data), 3)
    assert entry.sha256 == hashlib.sha256(data).hexdigest()


def test_a_key_too_long_for_ustar_is_still_read(tmp_path):
    frames_TD = np.ones((2, N_COLUMNS), dtype=np.float16)
    rows, _ = _write(tmp_path / "shard.tar", [(LONG_KEY, frames_TD, {}, None)])
    (sample,) = webdataset.WebDataset(str(tmp_path / "shard.tar"), shardshuffle=False).decode()
    assert sample["__key__"] == LONG_KEY
    data = (tmp_path / "shard.tar").read_bytes()[int(rows[0]["frames_offset"]) :][: frames_TD.nbytes]
    assert data == frames_TD.tobytes()


def test_a_failure_leaves_neither_shard_nor_temporary_file(tmp_path):
    with pytest.raises(KeyboardInterrupt), ShardWriter(tmp_path / "shard.tar") as writer:
        writer.add(pack_sample(*next(_samples())))
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []


def test_values_beyond_float16_are_an_error_that_names_the_column():
    frames_TD = np.zeros((4, N_COLUMNS), dtype=np.float32)
    frames_TD[:, 0] = np.nan
    frames_TD[1, column_index("b4_hz")] = 65504
    assert np.isnan(store_frames(frames_TD)[:, 0]).all()
    frames_TD[1, column_index("b4_hz")] = 70_000
    with pytest.raises(ValueError, match="b4_hz"):
        store_frames(frames_TD)


def test_what_float16_rounds_down_to_its_largest_value_is_kept_and_what_it_rounds_up_is_not():
    for value in (65519.99, -65519.99):
        np.testing.assert_array_equal(np.abs(store_frames(np.full((1, N_COLUMNS), value, np.float32))), 65504)
    for value in (65520.0, -65520.0, np.inf):
        with pytest.raises(ValueError, match="too large"):
            store_frames(np.full((1, N_COLUMNS), value, np.float32))


@pytest.mark.parametrize("shape", [(0, N_COLUMNS), (4, N_COLUMNS - 1), (N_COLUMNS,)])
def test_frames_of_another_shape_are_an_error(shape):
    with pytest.raises(ValueError, match="shape"):
        store_frames(np.zeros(shape, dtype=np.float32))


def test_keys_that_webdataset_would_cut_are_an_error():
    frames_TD = np.zeros((4, N_COLUMNS), dtype=np.float16)
    for key in ("a.b", "a/b", ""):
        with pytest.raises(ValueError, match="key"):
            pack_sample(key, frames_TD, {})


def test_phones_that_do_not_fit_the_frames_are_an_error():
    with pytest.raises(ValueError, match="3 phones for 4 frames"):
        pack_sample("a", np.zeros((4, N_COLUMNS), np.float16), {}, np.zeros(3, np.int16))


def test_json_is_strict():
    value = {
        "a": float("nan"),
        "b": [float("inf"), np.float32(0.5), np.float64("nan"), np.int64(3), "ü", True],
        3: None,
    }
    text = to_json(MappingProxyType(value)).decode()
    assert json.loads(text, parse_constant=pytest.fail) == {
        "a": None,
        "b": [None, 0.5, None, 3, "ü", True],
        "3": None,
    }
