"""Families left out: the model is asked anew with the family's weight at zero, and comes back as it was."""

import copy

import numpy as np
import pytest
import torch
from sklearn.metrics import balanced_accuracy_score

from accent.inference.model_file import load_model
from launch.evaluation.evaluate import evaluate_run
from launch.evaluation.left_out_families import left_out
from launch.extraction.extract import extract
from shards.loading.loader import EvaluationLoader
from shards.shard_set.manifest import ShardSet
from tests.support.training.evaluated_runs import make_run, split_of, synthetic


@pytest.fixture(scope="module")
def shard_set(tmp_path_factory) -> ShardSet:
    return synthetic(tmp_path_factory.mktemp("shards"), 4)


@pytest.fixture(scope="module")
def run(tmp_path_factory, shard_set):
    return make_run(tmp_path_factory.mktemp("run"), shard_set, split_of(shard_set))


def test_the_cost_is_what_a_model_without_the_familys_stream_loses(run, shard_set):
    report = evaluate_run(run, shard_set.root, leave_out_families=True).report
    model, _ = load_model(run)
    loader = EvaluationLoader(shard_set, split_of(shard_set).test)

    def accuracy(encoder) -> float:
        found = extract(encoder, loader)
        return balanced_accuracy_score(found.accent_N, found.logits_NA.argmax(1))

    whole = accuracy(model)
    assert whole == pytest.approx(report["classification"]["accent_head"]["balanced_accuracy"]["value"])
    assert list(report["left_out_families"]) == list(model.fusion_weights())
    for place, (name, found) in enumerate(report["left_out_families"].items()):
        without = copy.deepcopy(model)
        weights = torch.softmax(without.fusion.logits_F, 0)
        shares = torch.where(torch.arange(len(weights)) == place, 0.0, weights)
        without.fusion.weights = lambda shares=shares: shares / shares.sum()
        figures = found["utterance"]
        assert figures["balanced_accuracy"]["value"] == pytest.approx(accuracy(without)), name
        assert figures["cost"]["value"] == pytest.approx(whole - accuracy(without)), name


def test_a_family_left_out_changes_nothing_but_while_it_is(run):
    model, _ = load_model(run)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    names = list(model.fusion_weights())
    equal = model.fusion_weights()
    with left_out(model, names[1]):
        shares = model.fusion_weights()
    assert shares[names[1]] == 0
    others = [name for name in names if name != names[1]]
    expected = np.array([equal[name] for name in others]) / (1 - equal[names[1]])
    np.testing.assert_allclose([shares[name] for name in others], expected, rtol=1e-6)
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
