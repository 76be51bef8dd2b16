import dataclasses
import logging
import os
import pickle
import threading
import time
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from accent.configuration import load
from accent.errors import AccentError
from shards.loading.batch import Batch
from shards.loading.config import BatchConfig
from shards.loading.loader import EvaluationLoader, TrainingLoader
from shards.shard_set.manifest import ShardSet
from shards.shard_set.reader import ShardReader
from shards.splits.split import Split, SplitConfig, make_split
from tests.support.large import repeat_shard_set
from tests.support.synthetic import make_shard_set

CROP = 30
SMALL = BatchConfig(crop_frames=CROP, evaluation_frames_per_batch=150)
SLOW_FIXTURE = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@pytest.fixture(scope="module")
def shard_set(tmp_path_factory: pytest.TempPathFactory) -> ShardSet:
    """Three accents, unbalanced speakers, utterances shorter and longer than a crop."""
    return make_shard_set(
        tmp_path_factory.mktemp("loader"),
        {"a": ["a0", "a1", "a2", "a3"], "b": ["b0", "b1", "b2"], "c": ["c0", "c1", "c2", "c3", "c4"]},
        6,
        phones=True,
        samples_per_shard=17,
        utterances_of={"a0": 11, "b1": 3, "c2": 1},
    )


@pytest.fixture(scope="module")
def split(shard_set: ShardSet) -> Split:
    return make_split(shard_set)


def same(left: Batch, right: Batch) -> bool:
    return all(
        one.dtype == other.dtype and one.numpy().tobytes() == other.numpy().tobytes() and one.shape == other.shape
        for one, other in zip(left, right, strict=True)
    )


def kept(batches: Iterable[Batch]) -> list[Batch]:
    """Copies: a batch itself lives until the next one is asked for."""
    return [batch.to("cpu") for batch in batches]


def joined(batches: list[Batch]) -> Batch:
    return Batch(*(torch.cat(tensors) for tensors in zip(*batches, strict=True)))


@given(
    world_size=st.sampled_from([1, 2, 3, 4, 6, 8]),
    first=st.integers(0, 10**7),
    seed=st.integers(0, 2**32),
    workers=st.integers(0, 4),
)
@SLOW_FIXTURE
def test_the_rows_of_all_ranks_are_the_global_batch_of_one_process(
    shard_set: ShardSet, split: Split, world_size: int, first: int, seed: int, workers: int
) -> None:
    config = dataclasses.replace(SMALL, workers=workers)
    alone = TrainingLoader(shard_set, split, SMALL, seed)
    ranks = [TrainingLoader(shard_set, split, config, seed, rank, world_size) for rank in range(world_size)]
    whole = kept(alone.steps(first, first + 3))
    shares = [kept(rank.steps(first, first + 3)) for rank in ranks]
    for step in range(3):
        assert {len(share[step].sample_B) for share in shares} == {alone.global_batch // world_size}
        assert same(joined([share[step] for share in shares]), whole[step])


@given(k=st.integers(0, 9), workers=st.integers(0, 4), other_workers=st.integers(0, 4), first=st.integers(0, 10**7))
@SLOW_FIXTURE
def test_first_k_and_resumed_are_all(
    shard_set: ShardSet, split: Split, k: int, workers: int, other_workers: int, first: int
) -> None:
    whole = kept(TrainingLoader(shard_set, split, SMALL, 4).steps(first, first + 9))
    before, after = (dataclasses.replace(SMALL, workers=number) for number in (workers, other_workers))
    begun = kept(TrainingLoader(shard_set, split, before, 4).steps(first, first + k))
    resumed = kept(TrainingLoader(shard_set, split, after, 4).steps(first + k, first + 9))
    assert len(begun) == k
    assert all(same(one, other) for one, other in zip(begun + resumed, whole, strict=True))


def test_a_run_that_changes_its_number_of_processes_reads_on_in_the_same_order(
    shard_set: ShardSet, split: Split
) -> None:
    whole = kept(TrainingLoader(shard_set, split, SMALL).steps(0, 9))
    elastic = []
    for first, world_size in ((0, 2), (3, 1), (6, 4)):
        ranks = [
            kept(TrainingLoader(shard_set, split, SMALL, 0, rank, world_size).steps(first, first + 3))
            for rank in range(world_size)
        ]
        elastic += [joined([share[step] for share in ranks]) for step in range(3)]
    assert all(same(one, other) for one, other in zip(elastic, whole, strict=True))


@given(
    sizes=st.lists(st.lists(st.integers(1, 7), min_size=1, max_size=4), min_size=1, max_size=3),
    speakers=st.integers(1, 3),
    utterances=st.integers(1, 5),
    world_size=st.integers(1, 8),
    workers=st.sampled_from([0, 0, 1, 3]),
)
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_nothing_repeats_before_its_deck_is_used_up_on_any_corpus_and_any_number_of_processes(
    tmp_path_factory: pytest.TempPathFactory,
    sizes: list[list[int]],
    speakers: int,
    utterances: int,
    world_size: int,
    workers: int,
) -> None:
    names = {f"a{accent}": [f"a{accent}s{number}" for number in range(len(row))] for accent, row in enumerate(sizes)}
    counts = {f"a{accent}s{number}": count for accent, row in enumerate(sizes) for number, count in enumerate(row)}
    corpus = make_shard_set(tmp_path_factory.mktemp("odd"), names, lengths=(2, 9), utterances_of=counts)
    # Any global batch that the processes can share.
    config = BatchConfig(
        speakers_per_accent=speakers, utterances_per_speaker=utterances * world_size, crop_frames=5, workers=workers
    )
    ranks = [TrainingLoader(corpus, None, config, 0, rank, world_size) for rank in range(world_size)]
    drawn: dict[int, list[int]] = {}
    for shares in zip(*(kept(rank.steps(0, 6)) for rank in ranks), strict=True):
        assert len({len(share.sample_B) for share in shares}) == 1
        batch = joined(list(shares))
        assert batch.row_valid_B.all()
        for speaker, number in zip(batch.speaker_B.tolist(), batch.sample_B.tolist(), strict=True):
            drawn.setdefault(speaker, []).append(number)
    for speaker, numbers in drawn.items():
        deck = np.flatnonzero(corpus.index["speaker"] == speaker).tolist()
        for start in range(0, len(numbers), len(deck)):
            block = numbers[start : start + len(deck)]
            assert len(set(block)) == len(block) and set(block) <= set(deck)


@pytest.mark.parametrize("workers", [1, 2, 4])
def test_threads_change_nothing(shard_set: ShardSet, split: Split, workers: int) -> None:
    threads = dataclasses.replace(SMALL, workers=workers)
    for one, other in [
        (TrainingLoader(shard_set, split, SMALL), TrainingLoader(shard_set, split, threads)),
        (EvaluationLoader(shard_set, None, SMALL), EvaluationLoader(shard_set, None, threads)),
    ]:
        assert len(one) > 1
        assert all(same(left, right) for left, right in zip(one, other, strict=True))


def test_every_row_is_a_crop_of_its_utterance_with_the_right_labels(shard_set: ShardSet, split: Split) -> None:
    reader = ShardReader(shard_set)
    loader = TrainingLoader(shard_set, split, SMALL, 1)
    undefined = starts_seen = 0
    for step, batch in enumerate(loader.steps(0, 12)):
        starts_B = loader.rows(step).starts_B
        for row, number in enumerate(batch.sample_B.tolist()):
            metadata = reader.metadata(number)
            assert loader.accents[batch.accent_B[row]] == metadata["accent"]
            assert shard_set.speakers[batch.speaker_B[row]] == metadata["speaker"]
            assert shard_set.prompts[batch.prompt_B[row]] == metadata["prompt"]
            assert metadata["speaker"] in split.train
            start = int(starts_B[row])
            crop_TD = reader.frames(number)[start : start + CROP]
            real = batch.valid_BT[row].numpy()
            np.testing.assert_array_equal(real, np.arange(CROP) < len(crop_TD))
            np.testing.assert_array_equal(batch.frames_BTD[row].numpy()[real], crop_TD)
            assert (batch.frames_BTD[row].numpy()[~real] == 0).all()
            phones_T = reader.phones(number)
            assert phones_T is not None
            np.testing.assert_array_equal(batch.phones_BT[row].numpy()[real], phones_T[start : start + CROP])
            undefined += int(np.isnan(crop_TD).sum())
            starts_seen += start > 0
    assert undefined and starts_seen


def test_training_batches_have_one_shape(shard_set: ShardSet, split: Split) -> None:
    shapes = {tuple(batch.frames_BTD.shape) for batch in TrainingLoader(shard_set, split, SMALL).steps(0, 20)}
    assert shapes == {(3 * 2 * 4, CROP, 143)}


def test_an_epoch_is_as_many_draws_as_there_are_samples(shard_set: ShardSet, split: Split) -> None:
    loader = TrainingLoader(shard_set, split, SMALL)
    counts = {speaker.name: speaker.count for speaker in shard_set.manifest.speakers}
    assert loader.n_samples == sum(counts[name] for name in split.train)
    assert loader.steps_per_epoch == len(loader) == len(list(loader)) == max(1, round(loader.n_samples / 24))
    assert all(same(one, other) for one, other in zip(loader, loader.steps(0, len(loader)), strict=True))
    huge = TrainingLoader(shard_set, split, dataclasses.replace(SMALL, utterances_per_speaker=100))
    assert huge.steps_per_epoch == 1


def test_without_a_split_everybody_trains(shard_set: ShardSet) -> None:
    loader = TrainingLoader(shard_set, None, SMALL)
    seen = {int(number) for batch in loader.steps(0, 60) for number in batch.sample_B}
    assert seen == set(range(len(shard_set)))


def test_normalisation_sees_the_training_speakers_only(shard_set: ShardSet, split: Split) -> None:
    reader = ShardReader(shard_set)
    training = [number for number in range(len(shard_set)) if reader.metadata(number)["speaker"] in split.train]
    statistics = TrainingLoader(shard_set, split, SMALL).statistics
    frames_TD = np.concatenate([reader.frames(number) for number in training]).astype(np.float64)
    np.testing.assert_allclose(statistics.mean_D, np.nanmean(frames_TD, axis=0), rtol=1e-9)


def test_prompts_held_out_are_not_trained_on_and_can_be_evaluated_alone(shard_set: ShardSet) -> None:
    split = make_split(shard_set, SplitConfig(held_out_prompts=0.3))
    held_out = {shard_set.prompts.index(prompt) for prompt in split.held_out_prompts}
    trained = {
        int(prompt) for batch in TrainingLoader(shard_set, split, SMALL).steps(0, 40) for prompt in batch.prompt_B
    }
    assert held_out and not trained & held_out
    evaluated = EvaluationLoader(shard_set, split.test, SMALL, prompts=split.held_out_prompts)
    assert {int(p) for batch in evaluated for p in batch.prompt_B[batch.row_valid_B]} <= held_out
    everything = EvaluationLoader(shard_set, split.test, SMALL)
    assert 0 < len(evaluated.numbers_N) < len(everything.numbers_N)


@given(
    world_size=st.integers(1, 8),
    workers=st.sampled_from([0, 0, 1, 2]),
    frames_per_batch=st.integers(10, 900),
    speakers=st.sets(st.sampled_from(["a0", "a1", "b0", "b1", "c2", "c4"]), min_size=1),
)
@SLOW_FIXTURE
def test_evaluation_reads_every_utterance_once_and_whole(
    shard_set: ShardSet, world_size: int, workers: int, frames_per_batch: int, speakers: set[str]
) -> None:
    config = BatchConfig(evaluation_frames_per_batch=frames_per_batch, workers=workers)
    ranks = [
        kept(EvaluationLoader(shard_set, sorted(speakers), config, rank, world_size)) for rank in range(world_size)
    ]
    assert len({len(batches) for batches in ranks}) == 1
    reader = ShardReader(shard_set)
    seen = []
    for batches in zip(*ranks, strict=True):
        assert len({len(batch.sample_B) for batch in batches}) == 1
        for batch in batches:
            for row in torch.nonzero(batch.row_valid_B).ravel().tolist():
                number = int(batch.sample_B[row])
                seen.append(number)
                np.testing.assert_array_equal(batch.frames_BTD[row, batch.valid_BT[row]].numpy(), reader.frames(number))
    wanted = [number for number in range(len(shard_set)) if reader.metadata(number)["speaker"] in speakers]
    assert sorted(seen) == wanted


def test_metadata_comes_by_sample_number(shard_set: ShardSet, split: Split) -> None:
    loader = EvaluationLoader(shard_set, split.test, SMALL)
    for batch in loader:
        numbers_B = batch.sample_B[batch.row_valid_B]
        for speaker, metadata in zip(batch.speaker_B, loader.metadata(numbers_B), strict=True):
            assert metadata["speaker"] == shard_set.speakers[speaker]
            assert metadata["sex"] in ("female", "male") and metadata["duration"] > 0


def test_loading_draws_nothing_from_the_global_random_state(shard_set: ShardSet, split: Split) -> None:
    torch.manual_seed(1)
    np.random.seed(1)
    before = torch.get_rng_state(), np.random.get_state()[1].tolist()
    list(TrainingLoader(shard_set, split, SMALL).steps(0, 2))
    list(TrainingLoader(shard_set, split, dataclasses.replace(SMALL, workers=2)).steps(0, 4))
    list(EvaluationLoader(shard_set, split.test, dataclasses.replace(SMALL, workers=1)))
    assert torch.equal(torch.get_rng_state(), before[0])
    assert np.random.get_state()[1].tolist() == before[1]


def test_a_global_batch_the_processes_cannot_share_is_refused_with_the_numbers(shard_set: ShardSet) -> None:
    with pytest.raises(AccentError) as caught:
        TrainingLoader(shard_set, None, SMALL, world_size=5)
    assert str(caught.value).startswith(
        "global batch 24 = 3 accents x 2 speakers x 4 utterances cannot be shared by 5 processes; change batch."
    )


def test_more_accents_a_batch_than_there_are_is_refused(shard_set: ShardSet) -> None:
    with pytest.raises(
        AccentError, match=r"batch.accents_per_batch: 4 accents .* have 3 \(a, b, c\); ask for at most 3"
    ):
        TrainingLoader(shard_set, None, BatchConfig(accents_per_batch=4))


def test_nothing_to_read_and_unknown_names_are_refused(shard_set: ShardSet, split: Split) -> None:
    with pytest.raises(AccentError, match="no sample of the 0 training speakers"):
        TrainingLoader(shard_set, dataclasses.replace(split, train=()))
    with pytest.raises(AccentError, match="no sample of 1 speakers with the 1 prompts"):
        EvaluationLoader(shard_set, ["c2"], SMALL, prompts=["p0005"])
    with pytest.raises(AccentError, match="no speaker nobody"):
        EvaluationLoader(shard_set, ["nobody"])
    with pytest.raises(AccentError, match="no prompt p9999 here"):
        EvaluationLoader(shard_set, ["c2"], SMALL, prompts=["p9999"])


def damaged_set(folder: Path, number: int, at: int = 7) -> ShardSet:
    """A shard set with one bit of a sample's frames changed."""
    shard_set = make_shard_set(folder, {"a": ["a0", "a1"], "b": ["b0", "b1"]}, phones=True, lengths=(40, 60))
    row = shard_set.index[number]
    with (folder / shard_set.manifest.shards[row["shard"]].name).open("r+b") as shard:
        shard.seek(int(row["frames_offset"]) + at)
        byte = shard.read(1)[0]
        shard.seek(-1, os.SEEK_CUR)
        shard.write(bytes([byte ^ 64]))
    return shard_set


@pytest.mark.parametrize("workers", [0, 2])
def test_a_damaged_sample_stops_evaluation_with_one_line_that_names_it(tmp_path: Path, workers: int) -> None:
    loader = EvaluationLoader(damaged_set(tmp_path, 5), None, dataclasses.replace(SMALL, workers=workers))
    with pytest.raises(AccentError, match=r"shard-000000.tar: sample 5: damaged") as caught:
        list(loader)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("workers", [0, 2])
def test_training_sees_damage_outside_the_crop_when_it_is_told_to_verify(tmp_path: Path, workers: int) -> None:
    shard_set = damaged_set(tmp_path, 5)
    config = BatchConfig(crop_frames=3, workers=workers)
    loader = TrainingLoader(shard_set, None, config)
    assert 5 in {int(number) for batch in loader for number in batch.sample_B}
    with pytest.raises(AccentError, match=r"sample 5: damaged"):
        list(TrainingLoader(shard_set, None, dataclasses.replace(config, verify=True)))


def test_verifying_changes_no_batch(shard_set: ShardSet, split: Split) -> None:
    verifying = dataclasses.replace(SMALL, verify=True)
    pairs = zip(
        TrainingLoader(shard_set, split, SMALL).steps(0, 12),
        TrainingLoader(shard_set, split, verifying).steps(0, 12),
        strict=True,
    )
    assert all(same(one, other) for one, other in pairs)


@pytest.mark.parametrize("workers", [0, 3])
def test_a_damaged_sample_that_is_skipped_is_a_row_without_weight_counted_and_logged_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, workers: int
) -> None:
    good = make_shard_set(tmp_path / "good", {"a": ["a0", "a1"], "b": ["b0", "b1"]}, phones=True, lengths=(40, 60))
    config = BatchConfig(crop_frames=30, verify=True, damaged="skip", workers=workers)
    loader = TrainingLoader(damaged_set(tmp_path / "bad", 5), None, config)
    met = 0
    with caplog.at_level(logging.WARNING):
        for batch, whole in zip(loader.steps(0, 6), TrainingLoader(good, None, config).steps(0, 6), strict=True):
            hit = whole.sample_B == 5
            met += int(hit.sum())
            assert torch.equal(batch.row_valid_B, ~hit)
            assert (batch.frames_BTD[hit] == 0).all() and batch.valid_BT[hit].sum() == hit.sum()
            assert (batch.phones_BT[hit] == -1).all() and (batch.speaker_B[hit] == 0).all()
            assert same(Batch(*(column[~hit] for column in batch)), Batch(*(column[~hit] for column in whole)))
            assert loader.skipped == met
    assert met > 1
    lines = [record.getMessage() for record in caplog.records if record.name == "shards.loading.prefetcher"]
    assert len(lines) == 1 and "sample 5: damaged" in lines[0]


def test_evaluation_can_skip_too(tmp_path: Path) -> None:
    shard_set = damaged_set(tmp_path, 5)
    loader = EvaluationLoader(shard_set, None, dataclasses.replace(SMALL, damaged="skip"))
    seen = sorted(int(number) for batch in loader for number in batch.sample_B[batch.row_valid_B])
    assert seen == [number for number in range(len(shard_set)) if number != 5]
    assert loader.skipped == 1


@pytest.mark.parametrize("damaged", ["stop", "skip"])
def test_a_shard_that_vanishes_stops_the_run_under_every_policy(tmp_path: Path, damaged: str) -> None:
    shard_set = make_shard_set(tmp_path, {"a": ["a0", "a1"]})
    (tmp_path / "shard-000000.tar").unlink()
    loader = TrainingLoader(shard_set, None, BatchConfig(damaged=damaged, workers=1))
    with pytest.raises(AccentError, match=r"shard-000000.tar: the shard cannot be opened \(No such file"):
        next(iter(loader))


@pytest.mark.parametrize("damaged", ["stop", "skip"])
def test_a_shard_cut_short_during_the_run_follows_the_policy(tmp_path: Path, damaged: str) -> None:
    shard_set = make_shard_set(tmp_path, {"a": ["a0", "a1"]}, lengths=(40, 40))
    last = int(np.argmax(shard_set.index["frames_offset"]))
    os.truncate(tmp_path / "shard-000000.tar", int(shard_set.index["frames_offset"][last]) + 100)
    loader = TrainingLoader(shard_set, None, BatchConfig(damaged=damaged, crop_frames=40))
    if damaged == "stop":
        with pytest.raises(AccentError, match=f"sample {last}: the shard ends too early"):
            list(loader)
    else:
        assert {int(number) for batch in loader for number in batch.sample_B} == set(range(8)) - {last} | {-1}
        assert loader.skipped == loader.steps_per_epoch


@pytest.mark.parametrize("damage", ["short", "missing"])
def test_a_shard_short_or_missing_is_named_before_training(tmp_path: Path, damage: str) -> None:
    make_shard_set(tmp_path, {"a": ["a0", "a1"]}, samples_per_shard=3)
    shard = tmp_path / "shard-000001.tar"
    if damage == "short":
        os.truncate(shard, shard.stat().st_size - 1)
    else:
        shard.unlink()
    with pytest.raises(AccentError, match=r"shard-000001.tar: (missing|\d+ bytes where the manifest says)"):
        ShardSet.open(tmp_path)


def test_the_order_of_the_bytes_on_the_disk_is_the_order_of_the_reads(
    shard_set: ShardSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads: list[tuple[int, int]] = []
    genuine = ShardReader.read_into

    def noted(reader: ShardReader, number: int, shard: int, offset: int, *rest: object) -> None:
        reads.append((shard, offset))
        genuine(reader, number, shard, offset, *rest)

    monkeypatch.setattr(ShardReader, "read_into", noted)
    # Whole samples: frames and phones in one read.
    config = dataclasses.replace(SMALL, crop_frames=60)
    batch = next(TrainingLoader(shard_set, None, config).steps(0, 1))
    assert reads == sorted(reads)
    assert len(reads) == len(batch.sample_B)


def resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.parametrize("workers", [0, 2])
def test_memory_and_threads_are_flat_over_20_epochs(shard_set: ShardSet, split: Split, workers: int) -> None:
    # 24 rows x 300 frames x 286 bytes: were one batch an epoch kept, memory would grow by 36 MB.
    config = BatchConfig(crop_frames=300, workers=workers)
    loader, validation = TrainingLoader(shard_set, split, config), EvaluationLoader(shard_set, split.validation, config)
    used, threads = [], []
    for epoch in range(23):
        first = epoch * loader.steps_per_epoch
        for batch in loader.steps(first, first + loader.steps_per_epoch):
            assert batch.row_valid_B.all()
        for batch in validation:
            assert batch.row_valid_B.all()
        used.append(resident_bytes())
        threads.append(threading.active_count())
    assert max(used[3:]) - used[2] < 4_000_000
    assert max(threads[3:]) <= threads[2]


def l2_arctic_lengths(count: int, spread: float = 0.35) -> np.ndarray:
    """Frames of utterances as L2-ARCTIC's: 3.6 s on average, 1 to 10 s."""
    seconds = np.random.default_rng(0).lognormal(np.log(3.6) - spread**2 / 2, spread, count)
    return np.clip(100 * seconds, 100, 1000).astype(int)


@pytest.fixture(scope="module")
def real_lengths(tmp_path_factory: pytest.TempPathFactory) -> ShardSet:
    """Twelve speakers of six accents whose utterances are as long as L2-ARCTIC's; only the index is real."""
    folder = tmp_path_factory.mktemp("lengths")
    speakers = {accent: [accent + "0", accent + "1"] for accent in "abcdef"}
    shard_set = make_shard_set(folder, speakers, 250, lengths=(1, 1))
    index = np.array(shard_set.index)
    index["frames"] = l2_arctic_lengths(len(index))
    assert abs(index["frames"].mean() - 360) < 10
    return dataclasses.replace(shard_set, index=index)


def test_padding_of_training_is_below_a_tenth_on_lengths_like_l2_arctic(real_lengths: ShardSet) -> None:
    loader = TrainingLoader(real_lengths)
    assert loader.crop_frames == 300
    counts = np.concatenate([loader.rows(step).counts_B for step in range(4 * loader.steps_per_epoch)])
    waste = 1 - counts.mean() / loader.crop_frames
    assert 0.03 < waste < 0.10
    assert loader.padding == pytest.approx(waste, abs=0.005)


@pytest.mark.parametrize(("factor", "crop"), [(3.0, 300), (0.8, 250), (0.65, 200), (0.1, 100)])
def test_the_crop_follows_the_corpus_unless_it_is_given(real_lengths: ShardSet, factor: float, crop: int) -> None:
    index = real_lengths.index.copy()
    index["frames"] = np.maximum(1, index["frames"] * factor)
    shorter = dataclasses.replace(real_lengths, index=index)
    loader = TrainingLoader(shorter)
    assert loader.crop_frames == crop
    assert loader.padding < 0.10 or crop == 100
    assert TrainingLoader(shorter, None, BatchConfig(crop_frames=300)).crop_frames == 300


@pytest.mark.parametrize("world_size", [1, 2, 8])
def test_padding_of_evaluation_is_below_a_tenth_on_lengths_like_l2_arctic(
    real_lengths: ShardSet, world_size: int
) -> None:
    real = padded = 0
    for rank in range(world_size):
        loader = EvaluationLoader(real_lengths, None, None, rank, world_size)
        for batch in range(len(loader)):
            counts_B = loader.rows(batch).counts_B
            real += counts_B.sum()
            padded += len(counts_B) * max(1, counts_B.max())
    assert real == real_lengths.index["frames"].sum()
    assert 1 - real / padded < 0.10


@pytest.fixture(scope="module")
def hundred_thousand(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """100,000 readable samples of 24 speakers in 100 shards; 12 MB on the disk."""
    folder = tmp_path_factory.mktemp("hundred")
    speakers = {accent: [f"{accent}{number}" for number in range(4)] for accent in "abcdef"}
    small = make_shard_set(folder / "small", speakers, 42, lengths=(20, 60), samples_per_shard=504, utterances_of={})
    return repeat_shard_set(small, folder / "large", 100).root


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 0.99])
def test_the_first_batch_of_100000_samples_comes_within_a_second_from_any_position(
    hundred_thousand: Path, workers: int, share: float
) -> None:
    took = []
    for _ in range(3):
        began = time.perf_counter()
        loader = TrainingLoader(ShardSet.open(hundred_thousand), None, BatchConfig(workers=workers, crop_frames=50))
        step = int(share * 50 * loader.steps_per_epoch)
        batch = next(loader.steps(step, step + 1000))
        took.append(time.perf_counter() - began)
        assert batch.row_valid_B.all()
    assert loader.n_samples == 100_800
    # The quickest of three: the machine may be busy with something else.
    assert min(took) < 1.0


def test_loaders_can_be_sent_to_another_process(shard_set: ShardSet, split: Split) -> None:
    for loader in (TrainingLoader(shard_set, split, SMALL), EvaluationLoader(shard_set, split.test, SMALL)):
        copy = pickle.loads(pickle.dumps(loader))
        assert all(same(one, other) for one, other in zip(copy, loader, strict=True))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("accents_per_batch", 0),
        ("speakers_per_accent", 0),
        ("utterances_per_speaker", 0),
        ("crop_frames", 0),
        ("evaluation_frames_per_batch", 0),
        ("workers", -1),
    ],
)
def test_impossible_settings_are_refused_by_name(key: str, value: int) -> None:
    with pytest.raises(ValueError, match=f"^{key}: {value} is too small, at least "):
        BatchConfig(**{key: value})


def test_an_unknown_policy_is_refused_and_a_known_one_can_be_configured() -> None:
    with pytest.raises(ValueError, match=r"^damaged: 'ignore' is unknown; allowed: stop, skip$"):
        BatchConfig(damaged="ignore")
    assert load(BatchConfig, {"damaged": "skip", "crop_frames": None}, ["verify=true"]) == BatchConfig(
        damaged="skip", verify=True
    )
    with pytest.raises(AccentError, match="damaged"):
        load(BatchConfig, {"damaged": "ignore"})
