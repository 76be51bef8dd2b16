import dataclasses

import numpy as np
import pytest

from accent.errors import AccentError
from shards.loading.config import BatchConfig
from shards.loading.loader import EvaluationLoader, TrainingLoader
from shards.shard_set.manifest import ShardSet
from shards.shard_set.reader import ShardReader
from shards.splits.split import Split, SplitConfig, make_split
from tests.support.shard_sets.synthetic import make_shard_set

CROP = 30
SMALL = BatchConfig(crop_frames=CROP, evaluation_frames_per_batch=150)


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


def test_normalisation_sees_the_training_speakers_only(shard_set: ShardSet, split: Split) -> None:
    reader = ShardReader(shard_set)
    training = [number for number in range(len(shard_set)) if reader.metadata(number)["speaker"] in split.train]
    statistics = TrainingLoader(shard_set, split, SMALL).statistics
    frames_TD = np.concatenate([reader.frames(number) for number in training]).astype(np.float64)
    np.testing.assert_allclose(statistics.mean_D, np.nanmean(frames_TD, axis=0), rtol=1e-9)


def test_without_a_split_everybody_trains(shard_set: ShardSet) -> None:
    loader = TrainingLoader(shard_set, None, SMALL)
    seen = {int(number) for batch in loader.steps(0, 60) for number in batch.sample_B}
    assert seen == set(range(len(shard_set)))


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
