import dataclasses
import os
import pickle
import threading
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shards.loading.config import BatchConfig
from shards.loading.loader import EvaluationLoader, TrainingLoader
from shards.shard_set.manifest import ShardSet
from shards.shard_set.reader import ShardReader
from shards.splits.split import Split
from tests.support.shard_sets.batches import joined, kept, same
from tests.support.shard_sets.large import repeat_shard_set
from tests.support.shard_sets.synthetic import make_shard_set

CROP = 30
SMALL = BatchConfig(crop_frames=CROP, evaluation_frames_per_batch=150)
SLOW_FIXTURE = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])


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


def test_verifying_changes_no_batch(shard_set: ShardSet, split: Split) -> None:
    verifying = dataclasses.replace(SMALL, verify=True)
    pairs = zip(
        TrainingLoader(shard_set, split, SMALL).steps(0, 12),
        TrainingLoader(shard_set, split, verifying).steps(0, 12),
        strict=True,
    )
    assert all(same(one, other) for one, other in pairs)


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


@pytest.fixture(scope="module")
def hundred_thousand(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """100,000 readable samples of 24 speakers in 100 shards; 12 MB on the disk."""
    folder = tmp_path_factory.mktemp("hundred")
    speakers = {accent: [f"{accent}{number}" for number in range(4)] for accent in "abcdef"}
    small = make_shard_set(folder / "small", speakers, 42, lengths=(20, 60), samples_per_shard=504, utterances_of={})
    return repeat_shard_set(small, folder / "large", 100).root


@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 0.99])
def test_the_first_batch_from_any_position_of_100000_samples_reads_its_own_rows_only(
    hundred_thousand: Path, share: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads: list[int] = []
    genuine = ShardReader.read_into

    def noted(reader: ShardReader, number: int, *rest: object) -> None:
        reads.append(number)
        genuine(reader, number, *rest)

    monkeypatch.setattr(ShardReader, "read_into", noted)
    loader = TrainingLoader(ShardSet.open(hundred_thousand), None, BatchConfig(workers=0, crop_frames=50))
    assert loader.n_samples == 100_800
    step = int(share * 50 * loader.steps_per_epoch)
    batch = next(loader.steps(step, step + 1000))
    assert batch.row_valid_B.all()
    assert set(reads) == set(batch.sample_B.tolist())


def test_loaders_can_be_sent_to_another_process(shard_set: ShardSet, split: Split) -> None:
    for loader in (TrainingLoader(shard_set, split, SMALL), EvaluationLoader(shard_set, split.test, SMALL)):
        copy = pickle.loads(pickle.dumps(loader))
        assert all(same(one, other) for one, other in zip(copy, loader, strict=True))
