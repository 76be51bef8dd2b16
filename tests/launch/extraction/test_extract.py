"""Embeddings of what a loader yields: the same as alone, in sample order, each row that is a sample."""

import numpy as np
import pytest
import torch

from accent.errors import AccentError
from accent.inference.embedder import AccentEmbedder
from accent.inference.model_file import load_model
from launch import extract_embeddings
from shards import EvaluationLoader, ShardSet, TrainingLoader
from shards.loading.config import BatchConfig
from shards.shard_set.reader import ShardReader
from tests.support.training.evaluated_runs import make_run, split_of, synthetic, untrained


@pytest.fixture(scope="module")
def shard_set(tmp_path_factory) -> ShardSet:
    return synthetic(tmp_path_factory.mktemp("shards"))


@pytest.fixture(scope="module")
def run(tmp_path_factory, shard_set):
    return make_run(tmp_path_factory.mktemp("run"), shard_set, split_of(shard_set))


def test_rows_come_in_sample_order_each_as_alone(shard_set, run):
    model, feature_config = load_model(run)
    loader = EvaluationLoader(shard_set, ["A1", "S3"], BatchConfig(evaluation_frames_per_batch=1_500))
    assert len(loader) > 1
    embeddings, labels, accents = extract_embeddings(model, loader, "cpu")
    reader, embedder = ShardReader(shard_set), AccentEmbedder(model, feature_config)
    assert embeddings.dtype == np.float32 and len(embeddings) == 12
    for row, sample in enumerate(loader.numbers_N):
        alone = embedder.predict_frames(reader.frames(int(sample))).embedding_E
        np.testing.assert_allclose(embeddings[row], alone, atol=1e-5)
        assert accents[row] == shard_set.accents[labels[row]] == reader.metadata(int(sample))["accent"]


def test_rows_that_only_fill_a_batch_are_left_out(shard_set, run):
    model, _ = load_model(run)
    halves = [EvaluationLoader(shard_set, ["A0", "H0", "S0"], rank=rank, world_size=4) for rank in range(4)]
    assert any((batch.sample_B < 0).any() for half in halves for batch in half)
    whole = extract_embeddings(model, EvaluationLoader(shard_set, ["A0", "H0", "S0"]), "cpu")[0]
    assert sum(len(extract_embeddings(model, half, "cpu")[0]) for half in halves) == len(whole) == 18


def test_a_training_loader_and_a_list_of_batches_are_embedded_too(shard_set, run):
    model, _ = load_model(run)
    loader = TrainingLoader(shard_set, split_of(shard_set), BatchConfig(crop_frames=50))
    embeddings, labels, accents = extract_embeddings(model, loader, "cpu")
    assert len(embeddings) == len(loader) * loader.global_batch
    again, same_labels, same_accents = extract_embeddings(model, [batch.to("cpu") for batch in loader], "cpu")
    assert (again == embeddings).all() and (labels == same_labels).all() and accents == same_accents


def test_the_model_stays_in_the_mode_it_came_in(shard_set):
    loader = EvaluationLoader(shard_set, ["A0"])
    model = untrained().train()
    first = extract_embeddings(model, loader, "cpu")[0]
    assert model.training
    assert (first == extract_embeddings(model.eval(), loader, "cpu")[0]).all()
    assert not model.training


def test_nothing_to_embed_is_one_clear_line():
    with pytest.raises(AccentError, match="no batch"):
        extract_embeddings(untrained(), [], "cpu")


@pytest.mark.skipif(torch.cuda.is_available(), reason="has a GPU")
def test_a_gpu_that_is_not_there_is_one_clear_line(shard_set):
    with pytest.raises(AccentError, match="device cuda: this machine has no GPU that torch can use"):
        extract_embeddings(untrained(), EvaluationLoader(shard_set, ["A0"]), "cuda")


def test_a_name_that_is_no_device_is_one_clear_line(shard_set):
    with pytest.raises(AccentError, match="device gpu: not a device"):
        extract_embeddings(untrained(), EvaluationLoader(shard_set, ["A0"]), "gpu")
