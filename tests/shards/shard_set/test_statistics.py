"""The moments equal numpy's over all frames, however the frames were cut."""

import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accent.features.schema import N_COLUMNS, column_index
from shards.shard_set.statistics import (
    F0_BINS,
    Moments,
    SpeakerStatistics,
    f0_histogram,
    histogram_median_hz,
    merge_in_order,
)
from tests.support.shard_sets.synthetic import make_shard_set

SPEAKERS = {"A": ["a0", "a1"], "B": ["b0", "b1"]}


def _frames(seed: int, n_frames: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    frames_TD = rng.normal(-40, 12, (n_frames, N_COLUMNS))
    frames_TD[rng.random(frames_TD.shape) < 0.3] = np.nan
    frames_TD[:, 5] = np.nan
    frames_TD[:, 6] = 0.1
    frames_TD[:, column_index("f0_hz")] = rng.uniform(80, 400, n_frames)
    return frames_TD.astype(np.float16)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(0, 40), min_size=1, max_size=8), st.integers(0, 1000))
def test_merged_moments_equal_those_of_all_frames_at_once(lengths, seed):
    frames_TD = _frames(seed, sum(lengths))
    parts, start = [], 0
    for length in lengths:
        parts.append(Moments.of(frames_TD[start : start + length]))
        start += length
    merged, whole = merge_in_order(parts), Moments.of(frames_TD)
    np.testing.assert_array_equal(merged.count_D, whole.count_D)
    np.testing.assert_allclose(merged.mean_D, whole.mean_D, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(merged.m2_D, whole.m2_D, rtol=1e-10, atol=1e-9)
    np.testing.assert_array_equal(merged.f0_H, whole.f0_H)


@pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64])
def test_moments_equal_numpys_whatever_the_type_and_the_layout(kind):
    frames_TD = np.asfortranarray(_frames(3, 70).astype(kind))
    moments = Moments.of(frames_TD)
    values_TD = np.delete(frames_TD.astype(np.float64), 5, axis=1)
    np.testing.assert_array_equal(np.delete(moments.count_D, 5), (~np.isnan(values_TD)).sum(axis=0))
    np.testing.assert_allclose(np.delete(moments.mean_D, 5), np.nanmean(values_TD, axis=0), rtol=1e-13)
    squares_D = np.nanvar(values_TD, axis=0) * np.delete(moments.count_D, 5)
    np.testing.assert_allclose(np.delete(moments.m2_D, 5), squares_D, rtol=1e-12, atol=1e-20)
    assert (moments.count_D[5], moments.mean_D[5], moments.m2_D[5]) == (0, 0, 0)


def test_statistics_of_a_shard_set_equal_numpy_over_all_its_frames(tmp_path):
    shard_set = make_shard_set(tmp_path, SPEAKERS, 5, samples_per_shard=3)
    chosen = ["b1", "a0"]
    frames = []
    for row in shard_set.index:
        if shard_set.speakers[row["speaker"]] in chosen:
            data = (tmp_path / shard_set.manifest.shards[row["shard"]].name).read_bytes()
            start, count = int(row["frames_offset"]), int(row["frames"])
            frames.append(np.frombuffer(data, np.float16, count * N_COLUMNS, start).reshape(count, N_COLUMNS))
    frames_TD = np.concatenate(frames).astype(np.float64)
    statistics = shard_set.statistics(chosen)
    np.testing.assert_array_equal(statistics.count_D, (~np.isnan(frames_TD)).sum(axis=0))
    np.testing.assert_allclose(statistics.mean_D, np.nanmean(frames_TD, axis=0), rtol=1e-12)
    np.testing.assert_allclose(statistics.std_D, np.nanstd(frames_TD, axis=0), rtol=1e-12)
    f0_T = frames_TD[:, column_index("f0_hz")]
    assert abs(12 * np.log2(statistics.f0_median_hz / np.nanmedian(f0_T))) < 0.25


def test_statistics_do_not_depend_on_the_order_of_the_names(tmp_path):
    shard_set = make_shard_set(tmp_path, SPEAKERS, 3)
    one, other = shard_set.statistics(["a0", "b0", "b1"]), shard_set.statistics(["b1", "a0", "b0", "a0"])
    assert one.mean_D.tobytes() == other.mean_D.tobytes()
    assert one.std_D.tobytes() == other.std_D.tobytes()


def test_a_column_without_values_or_without_variance_has_spread_one():
    table = SpeakerStatistics.stack({"a": Moments.of(_frames(1, 50)), "b": Moments.of(_frames(2, 33))})
    merged = table.merged([0, 1])
    assert (merged.count_D[5], merged.mean_D[5], merged.std_D[5]) == (0, 0, 1)
    assert (merged.count_D[6], merged.std_D[6]) == (83, 1)
    assert merged.mean_D[6] == pytest.approx(np.float16(0.1))
    assert (merged.std_D[:5] > 5).all()


def test_the_table_comes_back_from_its_file_bit_for_bit():
    table = SpeakerStatistics.stack({"b": Moments.of(_frames(2, 33)), "a": Moments.of(_frames(1, 50))})
    again = SpeakerStatistics.from_npz(io.BytesIO(table.to_npz()), 2, "a.npz")
    for name in ("count_SD", "mean_SD", "m2_SD", "f0_SH"):
        assert getattr(again, name).tobytes() == getattr(table, name).tobytes()
    assert table.count_SD[0].max() == 50, "rows are sorted by name"


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(51, 790), min_size=1, max_size=200))
def test_the_median_from_the_histogram_is_within_a_quarter_of_a_semitone(f0_hz):
    estimate = histogram_median_hz(f0_histogram(np.array(f0_hz)))
    low, high = np.quantile(f0_hz, 0.5, method="lower"), np.quantile(f0_hz, 0.5, method="higher")
    assert 12 * np.log2(low / estimate) < 0.2501
    assert 12 * np.log2(estimate / high) < 0.2501


def test_unvoiced_frames_are_not_counted_and_extreme_ones_go_to_the_end_bins():
    f0_H = f0_histogram(np.array([np.nan, 20.0, 50.0, 799.9, 2000.0]))
    assert (len(f0_H), f0_H.sum(), f0_H[0], f0_H[-1]) == (F0_BINS, 4, 2, 2)
    assert np.isnan(histogram_median_hz(f0_histogram(np.array([np.nan]))))
