"""The page of an evaluated run holds the evaluation's numbers, needs nothing outside, and a browser draws it."""

import json
import re
import shutil

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA
from sklearn.metrics import r2_score
from sklearn.neighbors import KNeighborsClassifier
from torch.utils.tensorboard import SummaryWriter

from accent.configuration import load
from accent.features.schema import family_slices
from accent.inference.model_file import load_model
from launch.evaluation.evaluate import evaluate_run
from launch.html_report.report import write_report
from launch.html_report.sections.space import neighbourhoods
from launch.run_config import RunConfig
from shards.shard_set.manifest import ShardSet
from shards.shard_set.reader import ShardReader
from tests.support.report_page import Page, in_browser
from tests.support.training.evaluated_runs import make_run, split_of, synthetic

CURVES = {
    "loss/total": [(2, 3.5), (4, 2.25), (6, 1.125)],
    "loss/triplet": [(2, 1.5), (4, 1.0), (6, 0.5)],
    "accuracy/balanced": [(6, 0.75)],
    "weights/fusion_mel": [(2, 0.125), (4, 0.25), (6, 0.25)],
    "loss/reconstruction": [(2, 0.5), (4, float("nan")), (6, 0.25)],
}
"""Numbers that float32 holds exactly."""


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """An evaluated run of an untrained model, with curves."""
    shard_set = synthetic(tmp_path_factory.mktemp("shards"))
    run = make_run(tmp_path_factory.mktemp("runs") / "first", shard_set, split_of(shard_set))
    evaluate_run(run, shard_set.root, leave_out_families=True)
    with SummaryWriter(str(run / "tensorboard")) as writer:
        for name, points in CURVES.items():
            for step, value in points:
                writer.add_scalar(name, value, step)
    return run


@pytest.fixture(scope="module")
def page(run):
    return Page(write_report([run]))


@pytest.fixture(scope="module")
def report(run):
    return json.loads((run / "evaluation" / "evaluation.json").read_text(encoding="utf-8"))


def test_every_figure_of_the_evaluation_is_drawn_with_its_interval(page, report):
    drawn = {}
    for plot in page.plots():
        trace = page.traces(plot).get("first") if plot.startswith(("figures-", "leakage-")) else None
        if trace is not None and plot != "figures-by-recordings":
            bars = zip(trace["error_x"]["arrayminus"], trace["error_x"]["array"], strict=True)
            for title, value, (below, above) in zip(trace["y"], trace["x"], bars, strict=True):
                drawn[title] = [value, value - below, value + above]
    expected = {}
    for classifier, figures in report["classification"].items():
        for name, figure in figures.items():
            expected[f"{classifier}, {name}"] = figure
    for section in ("verification", "retrieval", "leakage"):
        expected |= report[section]
    assert len(expected) > 15
    missing = 0
    for name, figure in expected.items():
        if figure["value"] is None:
            missing += 1
            continue
        found = [triple for triple in drawn.values() if triple[0] == figure["value"]]
        interval = figure["interval"] or [figure["value"]] * 2
        assert any(np.allclose(triple[1:], interval, atol=1e-12) for triple in found), name
    assert missing < 5


def test_accuracies_by_recordings_are_those_of_the_evaluation(page, report):
    sizes = report["speaker_classification"]["accent_head"]
    trace = page.traces("figures-by-recordings")["first"]
    assert trace["x"] == list(sizes)
    assert trace["y"] == [figures["balanced_accuracy"]["value"] for figures in sizes.values()]


def test_confusion_is_that_of_the_evaluation(page, report):
    traces = page.traces("confusion-0")
    assert {name.replace(" ", "_"): trace["text"] for name, trace in traces.items()} == report["confusion"]
    for trace in traces.values():
        assert trace["x"] == trace["y"] == report["accents"]
        counts = np.array(trace["text"])
        np.testing.assert_allclose(np.array(trace["z"]) * counts.sum(1, keepdims=True), counts)
    assert [trace["visible"] for trace in traces.values()].count(True) == 1


def test_curves_are_those_that_were_written(page):
    drawn = {
        beginning + name: list(zip(trace["x"], trace["y"], strict=True))
        for plot, beginning in (("loss", "loss/"), ("accuracy", "accuracy/"), ("weights", "weights/fusion_"))
        for name, trace in page.traces(f"curves-{plot}").items()
    }
    written = {
        name: [(step, None if np.isnan(value) else value) for step, value in points] for name, points in CURVES.items()
    }
    assert drawn == written


def test_maps_show_every_recording_at_its_principal_components(page, run):
    archive = np.load(run / "evaluation" / "embeddings.npz")
    expected = PCA(2).fit_transform(archive["embeddings"].astype(np.float64))
    place = {key: row for row, key in enumerate(archive["keys"])}
    traces = page.json["data-space-pca-recordings-0"]["data"]
    seen = [trace for trace in traces if trace.get("visible", True)]
    drawn = {
        key[0]: point for trace in seen for key, *point in zip(trace["customdata"], trace["x"], trace["y"], strict=True)
    }
    assert set(drawn) == set(archive["keys"])
    points = np.array([drawn[key] for key in archive["keys"]])
    # The sign of a component is free.
    for column in range(2):
        same, other = (np.abs(points[:, column] - sign * expected[:, column]).max() for sign in (1, -1))
        assert min(same, other) < 1e-3
    for trace in seen:
        accents = {archive["accent_names"][archive["labels"][place[key]]] for key, *_ in trace["customdata"]}
        unseen = {bool(archive["unseen"][place[key]]) for key, *_ in trace["customdata"]}
        assert len(accents) == len(unseen) == 1
        assert trace["name"] == accents.pop() + ("" if unseen.pop() else ", training")
    speakers = page.json["data-space-pca-speakers-0"]["data"]
    assert sorted(name for trace in speakers for name in trace["text"]) == sorted(set(archive["speakers"]))


def test_reliability_adds_up_to_the_calibration_error(page, report):
    trace = page.traces("calibration-utterance")["first"]
    count, sure, right = (np.array(trace[key], dtype=float) for key in ("text", "x", "y"))
    assert count.sum() == sum(map(sum, report["confusion"]["accent_head"]))
    assert (count * np.abs(sure - right)).sum() / count.sum() == pytest.approx(report["calibration"]["ece"], abs=1e-9)
    assert f"{report['calibration']['cllr']:.3f}" in page.text


def test_fusion_weights_and_what_a_family_costs_are_those_of_the_evaluation(page, report):
    weights = page.traces("fusion-weights")["first"]
    assert dict(zip(weights["y"], weights["x"], strict=True)) == report["fusion_weights"]
    for unit in ("utterance", "speaker"):
        costs = page.traces(f"fusion-cost-{unit}")["first"]
        expected = {name: found[unit]["cost"]["value"] for name, found in report["left_out_families"].items()}
        assert dict(zip(costs["y"], costs["x"], strict=True)) == expected
        assert costs["x"] == sorted(costs["x"], reverse=True)


def test_what_a_run_lacks_is_said_with_the_command_that_makes_it(page, run):
    assert "no channel controls: run accent baselines SHARDS -o BASE" in page.text
    assert "first: its model pools over time, not by phone" in page.text
    assert "no alignments, so no vowels; run accent align" in page.text


def test_the_reconstruction_drawn_is_the_models(page, run):
    model, _ = load_model(run)
    shard_set = ShardSet.open(load(RunConfig, run / "config.yaml").shards)
    reader = ShardReader(shard_set)
    keys = {reader.metadata(number)["key"]: number for number in range(len(shard_set))}
    shown = re.findall(r"first: (\w+-\w+) \(", page.text)
    assert len(set(shown)) == 3 and {shard_set.speakers[shard_set.index["speaker"][keys[key]]] for key in shown} <= set(
        split_of(shard_set).test
    )
    explained = page.traces("reconstruction-explained")["first"]
    targets, predictions = [], []
    for place, key in enumerate(shown):
        frames = torch.from_numpy(reader.frames(keys[key]).astype(np.float32))[None]
        with torch.no_grad():
            output = model(frames, torch.ones(frames.shape[:2], dtype=torch.bool))
        traces = page.traces(f"reconstruction-0-{place}")
        mel = output.reconstruction_BTD[0, :300, : family_slices()["mel"].stop].T
        np.testing.assert_allclose(np.array(traces["predicted"]["z"]), mel.numpy(), atol=0.006)
        np.testing.assert_allclose(
            np.array(traces["target"]["z"]), output.target_BTD[0, :300, : len(mel)].T.numpy(), atol=0.006
        )
        targets.append(output.target_BTD[0, :, : len(mel)].numpy())
        predictions.append(output.reconstruction_BTD[0, :, : len(mel)].numpy())
    expected = r2_score(np.concatenate(targets), np.concatenate(predictions), multioutput="variance_weighted")
    assert dict(zip(explained["x"], explained["y"], strict=True))["mel"] == pytest.approx(expected, abs=1e-5)


def test_the_configuration_of_the_run_is_there(page, run):
    assert "model.embedding_dim" in page.text and "optimizer.lr" in page.text
    assert str(run) in page.text


def test_the_page_needs_nothing_outside_and_stays_small(page):
    assert [link for link in page.links if not link.startswith("#")] == []
    assert "default-src 'none'" in page.html
    assert page.path.stat().st_size < 20e6


@pytest.mark.parametrize(
    ("width", "dark"),
    [pytest.param(1400, False, id="wide light", marks=pytest.mark.slow), pytest.param(500, True, id="narrow dark")],
)
def test_a_browser_draws_every_number_and_has_nothing_to_complain_of(page, tmp_path, width, dark):
    drawn, console = in_browser(page, tmp_path, width, dark)
    assert console == []
    assert list(drawn["plots"]) == page.plots()
    for plot in page.plots():
        wanted = page.json[f"data-{plot}"]["data"]
        assert len(drawn["plots"][plot]) == len(wanted)
        for found, trace in zip(drawn["plots"][plot], wanted, strict=True):
            for key in ("x", "y", "z"):
                assert trace.get(key) == found.get(key), (plot, trace.get("name"), key)
    assert not drawn["wider"]
    assert drawn["background"] == ("rgb(13, 17, 23)" if dark else "rgb(255, 255, 255)")


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_umap_keeps_neighbours_together():
    pytest.importorskip("umap")
    generator = np.random.default_rng(0)
    group_N = np.repeat([0, 1], 40)
    embeddings = np.eye(8)[group_N] + 0.1 * generator.standard_normal((80, 8))
    points, axes = neighbourhoods(embeddings, seed=0)
    assert axes.x == "UMAP 1" and points.shape == (80, 2)
    assert KNeighborsClassifier(3).fit(points, group_N).score(points, group_N) == 1


def test_a_run_in_training_is_shown_as_far_as_it_is(run, tmp_path):
    begun = tmp_path / "begun"
    begun.mkdir()
    for name in ("config.yaml", "split.json"):
        shutil.copy(run / name, begun / name)
    page = Page(write_report([begun]))
    assert f"begun: not evaluated yet; run: accent evaluate {begun} SHARDS" in page.text
    assert "begun: no curves" in page.text and "begun: no model yet" in page.text
    assert page.plots() == ["prosody-f0-0"]
