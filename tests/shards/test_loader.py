import dataclasses
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from accent.errors import AccentError
from shards.batch import Batch
from shards.loader import BatchConfig, EvaluationLoader, TrainingLoader
from shards.manifest import ShardSet
from shards.reader import ShardReader
from shards.splits import Split, SplitConfig, make_split
from tests.shards.synthetic import make_shard_set

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


def joined(batches: list[Batch]) -> Batch:
    return Batch(*(torch.cat(tensors) for tensors in zip(*batches, strict=True)))


@given(world_size=st.sampled_from([1, 2, 3, 4, 6, 8]), first=st.integers(0, 10**7), seed=st.integers(0, 2**32))
@SLOW_FIXTURE
def test_the_rows_of_all_ranks_are_the_global_batch_of_one_process(
    shard_set: ShardSet, split: Split, world_size: int, first: int, seed: int
) -> None:
    alone = TrainingLoader(shard_set, split, SMALL, seed)
    ranks = [TrainingLoader(shard_set, split, SMALL, seed, rank, world_size) for rank in range(world_size)]
    whole = list(alone.steps(first, first + 3))
    shares = [list(rank.steps(first, first + 3)) for rank in ranks]
    for step in range(3):
        assert {len(share[step].sample_B) for share in shares} == {alone.global_batch // world_size}
        assert same(joined([share[step] for share in shares]), whole[step])


@given(k=st.integers(0, 9), workers=st.sampled_from([0, 0, 0, 1, 2]))
@settings(max_examples=12, deadline=None)
def test_first_k_and_resumed_are_all(shard_set: ShardSet, split: Split, k: int, workers: int) -> None:
    config = dataclasses.replace(SMALL, workers=workers)
    whole = list(TrainingLoader(shard_set, split, SMALL, 4).steps(20, 29))
    first = list(TrainingLoader(shard_set, split, config, 4).steps(20, 20 + k))
    resumed = list(TrainingLoader(shard_set, split, config, 4).steps(20 + k, 29))
    assert len(first) == k
    assert all(same(one, other) for one, other in zip(first + resumed, whole, strict=True))


def test_worker_processes_change_nothing(shard_set: ShardSet, split: Split) -> None:
    processes = dataclasses.replace(SMALL, workers=2)
    pairs = [
        *zip(
            TrainingLoader(shard_set, split, SMALL).steps(3, 8),
            TrainingLoader(shard_set, split, processes).steps(3, 8),
            strict=True,
        ),
        *zip(EvaluationLoader(shard_set, None, SMALL), EvaluationLoader(shard_set, None, processes), strict=True),
    ]
    assert len(pairs) > 10
    assert all(same(one, other) for one, other in pairs)


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
            crop_TD = reader.frames(number)[start : start + CROP].astype(np.float32)
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
    frames_per_batch=st.integers(10, 900),
    speakers=st.sets(st.sampled_from(["a0", "a1", "b0", "b1", "c2", "c4"]), min_size=1),
)
@SLOW_FIXTURE
def test_evaluation_reads_every_utterance_once_and_whole(
    shard_set: ShardSet, world_size: int, frames_per_batch: int, speakers: set[str]
) -> None:
    config = BatchConfig(evaluation_frames_per_batch=frames_per_batch)
    ranks = [
        list(EvaluationLoader(shard_set, sorted(speakers), config, rank, world_size)) for rank in range(world_size)
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
                np.testing.assert_array_equal(
                    batch.frames_BTD[row, batch.valid_BT[row]].numpy(), reader.frames(number).astype(np.float32)
                )
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


@pytest.mark.parametrize("workers", [0, 2])
def test_a_damaged_sample_stops_loading_with_one_line_that_names_it(tmp_path: Path, workers: int) -> None:
    shard_set = make_shard_set(tmp_path, {"a": ["a0", "a1"], "b": ["b0", "b1"]})
    row = shard_set.index[5]
    shard = tmp_path / shard_set.manifest.shards[row["shard"]].name
    content = bytearray(shard.read_bytes())
    content[int(row["frames_offset"]) + 7] ^= 64
    shard.write_bytes(content)
    loader = EvaluationLoader(shard_set, None, dataclasses.replace(SMALL, workers=workers))
    with pytest.raises(AccentError, match="sample 5: damaged") as caught:
        list(loader)
    assert "\n" not in str(caught.value)


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
