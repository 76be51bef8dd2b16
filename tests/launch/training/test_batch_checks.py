"""Batches in which an anchor has no positive, or a speaker too few utterances, are said before training."""

from dataclasses import replace

import pytest

from accent.errors import AccentError
from accent.losses.config import LossConfig
from launch.training.batch_checks import check_batches
from shards import ShardSet, TrainingLoader
from shards.loading.config import BatchConfig
from tests.support.shard_sets.synthetic import make_shard_set

BATCH = BatchConfig(speakers_per_accent=2, utterances_per_speaker=2, crop_frames=40)
PAIRS_ALONE = LossConfig(cross_entropy=0, reconstruction=0)


@pytest.fixture(scope="module")
def shard_set(tmp_path_factory) -> ShardSet:
    """Two accents, of two speakers and of one; six utterances each."""
    return make_shard_set(tmp_path_factory.mktemp("shards"), {"Arabic": ["A0", "A1"], "Hindi": ["H0"]}, 6)


def test_an_accent_of_one_speaker_is_named(shard_set):
    (line,) = check_batches(TrainingLoader(shard_set, None, BATCH), LossConfig())
    assert "utterances of Hindi have no positives" in line
    assert check_batches(TrainingLoader(shard_set, None, BATCH), LossConfig(positives="any")) == []
    assert check_batches(TrainingLoader(shard_set, None, BATCH), LossConfig(contrastive=0, triplet=0)) == []


def test_one_speaker_an_accent_leaves_pair_losses_nothing(shard_set):
    loader = TrainingLoader(shard_set, None, replace(BATCH, speakers_per_accent=1))
    (line,) = check_batches(loader, LossConfig())
    assert "the contrastive and triplet losses are 0 at every step" in line
    with pytest.raises(AccentError, match="nothing else would train the encoder"):
        check_batches(loader, PAIRS_ALONE)


def test_more_utterances_than_a_speaker_has_is_said(shard_set):
    loader = TrainingLoader(shard_set, None, replace(BATCH, utterances_per_speaker=7))
    assert any("is 7, but 3 of 3 training speakers have fewer utterances (the fewest: 6)" in line
               for line in check_batches(loader, LossConfig()))  # fmt: skip
