"""The page of a cross-validation beside its baselines: folds merged, phones weighed, several systems side by side."""

import json

import numpy as np
import pytest
import torch
from scipy.special import softmax

from accent.features.phones import PHONES
from accent.inference.model_file import load_model
from accent.metrics import expected_calibration_error
from launch.evaluation.baselines.run import run_baselines
from launch.evaluation.crossval import merge_runs, plan_crossval
from launch.evaluation.fold_run import PREDICTIONS, run_fold
from launch.evaluation.folds import FoldConfig
from launch.evaluation.group_predictions import GroupPredictions
from launch.html_report.report import write_report
from launch.html_report.sections.curves import gather
from launch.html_report.sections.phones import shares_of
from tests.support.report_page import Page
from tests.support.training.small_runs import SMALL_PHONES, small_shards

TWO = FoldConfig("2")


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """A cross-validation of the branch `phones` and the channel controls on the same folds."""
    shard_set = small_shards(tmp_path_factory.mktemp("shards"), 6, phones=True, phone_frames=4)
    output, baselines = tmp_path_factory.mktemp("runs") / "cv", tmp_path_factory.mktemp("runs") / "base"
    runs = plan_crossval(
        "configs/saa8k.yaml", shard_set.root, output, TWO, [3], (*SMALL_PHONES, "monitor.every_steps=1")
    )
    for run in runs:
        run_fold(output, run.number)
    merge_runs(runs, output, TWO)
    run_baselines(shard_set.root, baselines, TWO, only=["silence_only", "long_term_spectrum"], say=lambda line: None)
    return output, baselines, [run.folder for run in runs]


@pytest.fixture(scope="module")
def page(folders, tmp_path_factory):
    output, baselines, _ = folders
    return Page(write_report([output, baselines], tmp_path_factory.mktemp("page") / "page.html"))


@pytest.fixture(scope="module")
def systems(folders):
    read = [json.loads(path.read_text()) for path in (folders[0] / "crossval.json", folders[1] / "baselines.json")]
    return {name: system for report in read for name, system in report["systems"].items()}


def test_every_system_is_drawn_with_the_figures_of_its_json(page, systems):
    controls = page.traces("leakage-controls")
    for unit, place in (("utterance", "an utterance"), ("speaker", "a speaker")):
        expected = [system[unit]["balanced_accuracy"]["value"] for system in systems.values()]
        assert controls[place]["x"] == expected
        assert controls[place]["y"] == ["cv", *(systems[name]["title"] for name in list(systems)[1:])]
    assert set(controls["chance"]["x"]) == {1 / 3}
    verification = page.traces("leakage-verification")["cv"]
    embedding = systems["encoder"]["embedding"]
    for name in ("accent_eer", "accent_eer_of_speakers", "speaker_eer", "speaker_eer_within_accent"):
        assert embedding[name]["value"] in verification["x"]
    sizes = systems["encoder"]["speaker_by_utterances"]
    assert page.traces("figures-by-recordings")["cv"]["y"] == [
        figures["balanced_accuracy"]["value"] for figures in sizes.values()
    ]


def test_confusion_is_of_the_speakers_of_all_folds(page, systems):
    trace = page.traces("confusion-0")[systems["encoder"]["title"]]
    assert trace["text"] == systems["encoder"]["confusion"]
    assert sum(map(sum, trace["text"])) == 18


def test_reliability_pools_the_folds(page, systems, folders):
    for unit, rows in (("utterance", lambda one: one.size_G == 1), ("speaker", lambda one: one.whole_G)):
        trace = page.traces(f"calibration-{unit}")["cv"]
        count, sure, right = (np.array(trace[key], dtype=float) for key in ("text", "x", "y"))
        error = (count * np.abs(sure - right)).sum() / count.sum()
        assert error == pytest.approx(systems["encoder"]["calibration"][unit]["ece"], abs=1e-9)
        folds = [GroupPredictions.load(folder / PREDICTIONS) for folder in folders[2]]
        pooled = [one.rows(rows(one)) for one in folds]
        probability = softmax(np.concatenate([one.logits_GA for one in pooled]), axis=1)
        accents = np.concatenate([one.accent_G for one in pooled])
        assert error == pytest.approx(expected_calibration_error(probability, accents), abs=1e-9)


def test_each_fold_has_a_map_of_its_own_test_speakers(page, folders):
    plot = page.json["data-space-pca-folds-0"]
    buttons = plot["layout"]["updatemenus"][0]["buttons"]
    assert [button["label"] for button in buttons] == ["fold 0, seed 3", "fold 1, seed 3"]
    for button, folder in zip(buttons, folders[2], strict=True):
        answers = GroupPredictions.load(folder / PREDICTIONS)
        seen = zip(plot["data"], button["args"][0]["visible"], strict=True)
        keys = [point[0] for trace, visible in seen if visible for point in trace["customdata"]]
        assert sorted(keys) == sorted(answers.key_G[answers.size_G == 1])


def test_fusion_weights_are_the_mean_over_folds_with_their_range(page, folders):
    weights = [load_model(folder)[0].fusion_weights() for folder in folders[2]]
    trace = page.traces("fusion-weights")["cv"]
    for name, mean, up, down in zip(
        trace["y"], trace["x"], trace["error_x"]["array"], trace["error_x"]["arrayminus"], strict=True
    ):
        values = [one[name] for one in weights]
        assert [mean, mean + up, mean - down] == pytest.approx([np.mean(values), max(values), min(values)])


def test_curves_of_folds_are_averaged_point_by_point():
    folds = [{"loss/total": [(1, 4.0), (2, 2.0), (3, 1.0)]}, {"loss/total": [(1, 2.0), (2, 1.0), (5, 0.5)], "more": []}]
    (curve,) = gather(folds)
    assert (curve.name, list(curve.points)) == ("loss/total", [(1, 3.0), (2, 1.5), (4, 0.75)])
    assert [list(fold) for fold in curve.of_folds] == [one["loss/total"] for one in folds]


def test_shares_of_phones_are_the_squared_effects_of_their_entries(folders):
    """Every entry is raised by its size, one after the other, and the accent head is asked again."""
    encoder, _ = load_model(folders[2][0])
    shares = shares_of(encoder)
    np.testing.assert_allclose(shares.share_AVP.sum((1, 2)), 1, rtol=1e-6)
    embedding, inventory = encoder.embedding, encoder.recogniser.inventory
    np.testing.assert_allclose(shares.share_AVP.sum(2), np.tile(embedding.weights().tolist(), (3, 1)), rtol=1e-5)

    def scores(projected_VQ: torch.Tensor) -> torch.Tensor:
        change_V = (embedding.weights() / embedding.first_share_V).sqrt()
        mapped_E = embedding.map((projected_VQ * change_V[:, None]).sum(0))
        directions = torch.nn.functional.normalize(encoder.accent_head.direction_AE, dim=-1)
        return directions @ mapped_E - (directions @ mapped_E).mean()

    view = [one.name for one in embedding.views].index("duration")
    directions_XQ = embedding.directions_XQ.split(embedding.sizes)[view].float()
    none_VQ = torch.zeros(len(embedding.views), directions_XQ.shape[1])
    squares = dict.fromkeys(shares.phones, 0.0)
    labels = [*shares.phones, *(PHONES[number] for number in inventory.phone_U if number != 0)]
    with torch.no_grad():
        for label, direction_Q, size in zip(
            labels, directions_XQ, embedding.tables[view].weight_KC.flatten(), strict=True
        ):
            raised_VQ = none_VQ.clone()
            raised_VQ[view] = size * direction_Q
            squares[label] += (scores(raised_VQ) - scores(none_VQ)).square().numpy()
    expected = np.stack([squares[phone] for phone in shares.phones], axis=1)
    expected = expected / expected.sum(1, keepdims=True) * embedding.weights()[view].item()
    np.testing.assert_allclose(shares.share_AVP[:, view], expected, rtol=1e-3, atol=1e-6)


def test_phones_are_drawn_as_the_mean_over_folds(page, folders):
    folds = [shares_of(load_model(folder)[0]) for folder in folders[2]]
    plot = page.json["data-phones-accents-0"]["data"][0]
    assert set(plot["x"]) == {phone for one in folds for phone in one.phones}
    for phone, column in zip(plot["x"], zip(*plot["z"], strict=True), strict=True):
        each = [one.share_AVP.sum(1)[:, one.phones.index(phone)] for one in folds if phone in one.phones]
        np.testing.assert_allclose(column, np.sum(each, axis=0) / len(folds), atol=1e-5)
    assert np.sum(plot["z"], axis=1) == pytest.approx(1, abs=1e-3)


def test_the_corpus_is_described_and_the_rest_is_said_to_be_missing(page):
    assert {"vowels-0", "prosody-f0-0", "phones-accents-0"} <= set(page.plots())
    assert "cv: models of the branch phones have no reconstruction" in page.text
    assert "base: baselines have no model to look into" in page.text


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["{cv}", "{cv}"], "named twice"),
        (["{cv}/fold-0"], "no run here (config.yaml), no cross-validation (plan.json) and no baselines"),
        (["nowhere"], "no run here"),
    ],
)
def test_what_cannot_be_reported_on_is_one_line(accent, folders, words, line):
    status, _, printed = accent("report", *(word.format(cv=folders[0]) for word in words))
    assert status == 2 and printed.count("\n") == 1 and line in printed


def test_a_damaged_file_is_named(accent, folders, tmp_path):
    damaged = tmp_path / "base"
    damaged.mkdir()
    (damaged / "baselines.json").write_text('{"systems": ')
    status, _, printed = accent("report", damaged)
    assert status == 2 and "baselines.json: damaged" in printed and not (damaged / "report.html").exists()
