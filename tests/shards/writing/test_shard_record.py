"""Records of finished shards: they come back whole, and putting a large set together holds few of them at a time."""

import weakref

import numpy as np

from accent.features.schema import N_COLUMNS
from shards.shard_set.index import INDEX_DTYPE
from shards.shard_set.manifest import ShardEntry, ShardSet
from shards.shard_set.statistics import Moments
from shards.writing.merge import assemble
from shards.writing.shard_record import (
    Labels,
    ShardRecord,
    is_finished,
    load_record,
    load_records,
    save_record,
    shard_name,
)


def _part(root, number: int) -> ShardRecord:
    """A shard of two samples by two speakers; of the shard itself there is only a file of the right size."""
    (root / ".parts").mkdir(exist_ok=True)
    (root / shard_name(number)).write_bytes(bytes(1000))
    frames_TD = np.random.default_rng(number).standard_normal((20, N_COLUMNS))
    labels = tuple(Labels(name, "A", "p", "c", None, None) for name in ("a", f"b{number}"))
    moments = {one.speaker: Moments.of(frames_TD + place) for place, one in enumerate(labels)}
    rows = np.ones(2, INDEX_DTYPE)
    return ShardRecord(number, ShardEntry(shard_name(number), 1000, "", 2), rows, labels, moments, ())


def _assembled(root, parts) -> ShardSet:
    names = dict(corpus="c", configuration={}, features_fingerprint="", plan_fingerprint="", phones=())
    return assemble(root, parts, **names)


def test_a_record_comes_back_bit_for_bit(tmp_path):
    part = _part(tmp_path, 0)
    again = ShardRecord.from_npz(part.to_npz())
    assert (again.number, again.entry, again.labels, again.refused) == (0, part.entry, part.labels, ())
    assert again.rows.tobytes() == part.rows.tobytes() and again.rows.dtype == INDEX_DTYPE
    for name, moments in part.moments.items():
        for field, values in vars(moments).items():
            assert getattr(again.moments[name], field).tobytes() == values.tobytes()


def test_every_flipped_or_missing_byte_of_a_record_makes_its_shard_unfinished(tmp_path):
    save_record(tmp_path, _part(tmp_path, 0))
    path = tmp_path / ".parts" / "shard-000000.npz"
    good = path.read_bytes()
    assert is_finished(tmp_path, 0, hashed=False)
    rng = np.random.default_rng(0)
    for at in [0, 1, 31, len(good) - 33, len(good) - 32, len(good) - 1, *rng.integers(0, len(good), 300)]:
        for spoilt in (good[:at] + bytes([good[at] ^ (1 << rng.integers(8))]) + good[at + 1 :], good[:at]):
            path.write_bytes(spoilt)
            assert not is_finished(tmp_path, 0, hashed=False) and load_record(tmp_path, 0) is None


def test_a_speakers_moments_do_not_hold_the_whole_record_in_memory(tmp_path):
    moments = ShardRecord.from_npz(_part(tmp_path, 0).to_npz()).moments["a"]
    assert all(values.base is None for values in vars(moments).values())


def test_records_are_read_one_at_a_time(tmp_path):
    alive, most = weakref.WeakSet(), 0

    def watched():
        nonlocal most
        for part in load_records(tmp_path, 12):
            alive.add(part)
            most = max(most, len(alive))
            yield part

    for number in range(12):
        save_record(tmp_path, _part(tmp_path, number))
    shard_set = _assembled(tmp_path, watched())
    assert most <= 2
    assert len(shard_set) == 24 and shard_set.index["shard"].tolist() == sorted([*range(12)] * 2)


def test_speakers_are_merged_in_the_order_of_the_shards(tmp_path):
    parts = [_part(tmp_path, number) for number in range(3)]
    merged = parts[0].moments["a"].merged(parts[1].moments["a"]).merged(parts[2].moments["a"])
    statistics = _assembled(tmp_path, parts).speaker_statistics
    assert statistics.of_speaker(0).mean_D.tobytes() == merged.mean_D.tobytes()
    assert statistics.of_speaker(0).m2_D.tobytes() == merged.m2_D.tobytes()
