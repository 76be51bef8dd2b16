"""Opening a shard set checks that it is whole and ours, and says in one line what is not."""

import hashlib
import io
import json
import pickle
import shutil

import numpy as np
import pytest

from accent import files
from accent.errors import AccentError
from accent.features.schema import COLUMNS
from shards.shard_set.index import INDEX_DTYPE
from shards.shard_set.manifest import FORMAT_VERSION, Manifest, ShardSet, schema_mapping
from tests.support.shard_sets.synthetic import SYNTHETIC_PHONES, make_shard_set

SPEAKERS = {"Hindi": ["z0", "h1"], "Arabic": ["a0"]}


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("set") / "shards"
    make_shard_set(folder, SPEAKERS, 4, phones=True, samples_per_shard=5)
    return folder


@pytest.fixture
def copy(whole, tmp_path):
    return shutil.copytree(whole, tmp_path / "copy")


def _edit(folder, **values):
    path = folder / "manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


def _describe(folder, name, key):
    """Write a file's true size and hash into the manifest, as somebody would who means it to be read."""
    data = (folder / name).read_bytes()
    _edit(folder, **{key: {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}})


def _edited_index(folder, **values):
    index = np.load(folder / "index.npy")
    for column, value in values.items():
        index[column][3] = value
    np.save(folder / "index.npy", index)
    _describe(folder, "index.npy", "index")


def _one_line(folder, *words):
    with pytest.raises(AccentError) as caught:
        ShardSet.open(folder)
    line = str(caught.value)
    assert "\n" not in line
    for word in (str(folder), *words):
        assert word in line


def test_an_opened_set_tells_its_samples_and_labels(whole):
    shard_set = ShardSet.open(whole)
    assert len(shard_set) == 12 and shard_set.index.dtype == INDEX_DTYPE
    assert shard_set.accents == ["Arabic", "Hindi"]
    assert shard_set.speakers == ["a0", "h1", "z0"]
    assert shard_set.speaker_accent_S.tolist() == [0, 1, 1]
    assert shard_set.prompts == ["p0000", "p0001", "p0002", "p0003"]
    assert shard_set.manifest.phones == SYNTHETIC_PHONES
    assert [shard.count for shard in shard_set.manifest.shards] == [5, 5, 2]
    assert shard_set.manifest.schema[0]["columns"] == list(COLUMNS[:80])


def test_rows_point_to_the_metadata_of_their_own_sample(whole):
    shard_set = ShardSet.open(whole)
    seen = set()
    for row in shard_set.index:
        data = (whole / shard_set.manifest.shards[row["shard"]].name).read_bytes()
        metadata = json.loads(data[int(row["metadata_offset"]) :][: int(row["metadata_bytes"])])
        assert metadata["speaker"] == shard_set.speakers[row["speaker"]]
        assert metadata["accent"] == shard_set.accents[row["accent"]]
        assert metadata["prompt"] == shard_set.prompts[row["prompt"]]
        assert metadata["duration"] == row["frames"] / 100
        seen.add(metadata["key"])
    assert len(seen) == 12
    assert shard_set.manifest.hours == pytest.approx(shard_set.index["frames"].sum() / 360_000, abs=1e-6)


def test_a_pickled_set_is_small_and_opens_again(whole):
    shard_set = ShardSet.open(whole)
    data = pickle.dumps(shard_set)
    assert len(data) < 1000
    np.testing.assert_array_equal(pickle.loads(data).index, shard_set.index)


def test_the_index_is_mapped_not_read(whole):
    assert isinstance(ShardSet.open(whole).index, np.memmap)


def test_a_missing_folder_is_one_clear_line(tmp_path):
    _one_line(tmp_path / "none", "no such folder", "featurize a corpus")


def test_a_folder_without_manifest_is_one_clear_line(tmp_path):
    _one_line(tmp_path, "manifest.json")


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"format_version": 1}', "\ud800"])
def test_a_manifest_that_is_none_is_one_clear_line(copy, text):
    (copy / "manifest.json").write_bytes(text.encode("utf-8", "surrogatepass"))
    _one_line(copy, "manifest")


def test_a_newer_format_is_refused(copy):
    _edit(copy, format_version=FORMAT_VERSION + 1)
    _one_line(copy, "upgrade")


def test_other_columns_are_refused_by_name(copy):
    schema = json.loads((copy / "manifest.json").read_text())["schema"]
    schema[0]["columns"][0] = "mel_low"
    _edit(copy, schema=schema)
    _one_line(copy, "mel_low", "columns")


def test_reordered_columns_are_refused(copy):
    schema = json.loads((copy / "manifest.json").read_text())["schema"]
    _edit(copy, schema=schema[::-1])
    _one_line(copy, "order")


def test_a_shard_that_is_short_is_named(copy):
    with (copy / "shard-000001.tar").open("r+b") as file:
        file.truncate(1000)
    _one_line(copy, "shard-000001.tar", "1000 bytes")


@pytest.mark.parametrize("name", ["shard-000002.tar", "index.npy", "statistics.npz"])
def test_a_missing_file_is_named(copy, name):
    (copy / name).unlink()
    _one_line(copy, name, "missing")


def test_an_index_with_other_rows_is_refused(copy):
    other = np.zeros(12, dtype=np.dtype([("shard", "<u4"), ("rest", "V46")]))
    np.save(copy / "index.npy", other)
    _describe(copy, "index.npy", "index")
    _one_line(copy, "index.npy")


@pytest.mark.parametrize("name", ["index.npy", "statistics.npz"])
def test_a_flipped_bit_beside_the_shards_is_named(copy, name):
    data = bytearray((copy / name).read_bytes())
    data[-40] ^= 4
    (copy / name).write_bytes(data)
    _one_line(copy, name, "damaged")


def test_a_set_that_travels_to_another_process_is_not_hashed_again(whole, monkeypatch):
    hashed = []
    monkeypatch.setattr(
        "shards.shard_set.files.sha256_of", lambda path: hashed.append(path.name) or files.sha256_of(path)
    )
    data = pickle.dumps(ShardSet.open(whole))
    assert sorted(hashed) == ["index.npy", "statistics.npz"]
    pickle.loads(data)
    assert len(hashed) == 2


@pytest.mark.parametrize(
    "values",
    [
        {"shard": 3},
        {"speaker": 3},
        {"accent": 2},
        {"prompt": 4},
        {"frames": 2**31},
        {"frames_offset": 10**6},
        {"frames_offset": 2**63 + 5},
        {"phones_offset": -2},
        {"phones_offset": 10**6},
        {"metadata_offset": 10**6},
        {"metadata_bytes": 10**6},
    ],
)
def test_a_row_that_points_outside_is_refused_though_its_hash_is_right(copy, values):
    _edited_index(copy, **values)
    _one_line(copy, "index.npy", "row 3", next(iter(values)) if "bytes" not in str(values) else "metadata_offset")


def _tables(good):
    """Yield statistics that are not those of the set, each as the content of its file."""
    for name, array in good.items():
        others = (None, array[:-1], array[:, :-1], array.astype(np.float32))
        for other in others:
            buffer = io.BytesIO()
            np.savez(buffer, **{key: one for key, one in {**good, name: other}.items() if one is not None})
            yield buffer.getvalue()
    buffer = io.BytesIO()
    np.save(buffer, good["count"])
    yield buffer.getvalue()
    yield from (b"", b"PK", b"text")


def test_statistics_of_another_shape_are_refused_though_their_hash_is_right(copy):
    with np.load(copy / "statistics.npz") as arrays:
        good = dict(arrays)
    for data in _tables(good):
        (copy / "statistics.npz").write_bytes(data)
        _describe(copy, "statistics.npz", "statistics")
        with pytest.raises(AccentError, match=r"statistics\.npz: not .*; featurize the corpus again") as caught:
            ShardSet.open(copy).statistics(["a0"])
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "name",
    ["../outside.tar", "/etc/passwd", "a/b.tar", "..", "", ".hidden", "-rf", "$(id).tar", "a b", "a\n", "é"],
)
def test_a_shard_has_a_plain_name(copy, name):
    (copy.parent / "outside.tar").write_bytes((copy / "shard-000001.tar").read_bytes())
    shards = json.loads((copy / "manifest.json").read_text())["shards"]
    shards[1]["name"] = name
    _edit(copy, shards=shards)
    _one_line(copy, "plain name", ascii(name))


def _paths(value, here=()):
    yield here
    for key, one in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        yield from _paths(one, (*here, key))


def test_whatever_is_missing_or_of_another_kind_in_a_manifest_is_one_line(copy):
    """Each value in turn is left out, and replaced by one of every kind; what opens all the same is no fault here."""
    good = json.loads((copy / "manifest.json").read_text())
    good["schema"][0]["columns"] = good["schema"][0]["columns"][:2]
    refused = 0
    for path in [one for one in _paths(good) if one]:
        for value in ("left out", None, -1, 1e30, "x", [], [0], {}, {"a": 0}):
            spoilt = json.loads(json.dumps(good))
            owner = spoilt
            for key in path[:-1]:
                owner = owner[key]
            if value == "left out":
                del owner[path[-1]]
            else:
                owner[path[-1]] = value
            if path[0] != "schema":
                spoilt["schema"] = schema_mapping()
            try:
                Manifest.parse(json.dumps(spoilt).encode(), copy)
            except AccentError as error:
                refused += 1
                assert "\n" not in str(error)
    assert refused > 1000


def test_a_manifest_with_flipped_or_missing_bytes_is_one_line_or_good(copy):
    data = (copy / "manifest.json").read_bytes()
    rng = np.random.default_rng(0)
    for at in rng.integers(0, len(data), 500):
        spoilt = bytearray(data)
        spoilt[at] ^= 1 << rng.integers(0, 8)
        for one in (bytes(spoilt), data[:at]):
            try:
                Manifest.parse(one, copy)
            except AccentError as error:
                assert "\n" not in str(error)


def test_an_unknown_speaker_is_named(whole):
    with pytest.raises(AccentError, match="no speaker nobody"):
        ShardSet.open(whole).statistics(["a0", "nobody"])
