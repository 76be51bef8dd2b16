"""Accents never trained on: threshold and rates against counts, the area against scikit-learn."""

import io
from types import SimpleNamespace

import numpy as np
import pytest
from rich.console import Console
from scipy.special import logsumexp
from sklearn.metrics import auc, roc_auc_score

from launch.evaluation.evaluate import choose_speakers, evaluate_run
from launch.evaluation.unknown_accents import Unknownness, measure_unknown, unknownness_of
from launch.extraction.groups import embed_speech
from launch.reporting.tables import unknown_table
from shards.loading.loader import EvaluationLoader
from shards.splits.split import Split
from tests.support.training.evaluated_runs import make_run, synthetic, untrained


def drawn(speakers: int, centre: float, seed: int) -> Unknownness:
    generator = np.random.default_rng(seed)
    whole_S = generator.normal(centre, 1, speakers)
    speaker_N = np.repeat(np.arange(speakers), 5)
    return Unknownness(whole_S[speaker_N] + generator.normal(0, 1, len(speaker_N)), speaker_N, whole_S)


TRAINING, KNOWN, UNKNOWN = drawn(40, 0, 0), drawn(30, 0.5, 1), drawn(20, 2, 2)


@pytest.mark.parametrize("unit", ["recordings", "speakers"])
def test_threshold_and_rates_are_counts_and_the_area_is_that_of_scikit_learn(unit):
    found = measure_unknown({"training": TRAINING, "validation": KNOWN}, KNOWN, UNKNOWN)[unit]
    section = {**found, **found["thresholds"]["training"]}
    training, known, unknown = (
        part.recording_N if unit == "recordings" else part.whole_S for part in (TRAINING, KNOWN, UNKNOWN)
    )
    called = sorted(training)[-int(0.05 * len(training)) :]
    assert 0 < (training >= section["threshold"]).mean() <= 0.05
    assert set(training[training >= section["threshold"]]) <= set(called)
    assert section["false_unknown"] == np.mean([value >= section["threshold"] for value in known])
    assert section["detected"] == np.mean([value >= section["threshold"] for value in unknown])
    labels = [0] * len(known) + [1] * len(unknown)
    expected = roc_auc_score(labels, np.concatenate([known, unknown]))
    assert section["auroc"]["value"] == pytest.approx(expected)
    assert auc(section["false_unknown_curve"], section["detected_curve"]) == pytest.approx(expected)
    assert section["threshold_curve"][0] is None and None not in section["threshold_curve"][1:]
    assert found["thresholds"]["validation"]["false_unknown"] <= 0.05
    low, high = section["auroc"]["interval"]
    assert low < expected < high


def test_a_larger_test_set_does_not_move_the_threshold():
    sections = [measure_unknown({"training": TRAINING}, drawn(30, centre, 5), UNKNOWN) for centre in (0, 5)]
    one, other = (section["speakers"]["thresholds"]["training"] for section in sections)
    assert one["threshold"] == other["threshold"]
    assert one["false_unknown"] < other["false_unknown"]


def test_speakers_are_judged_by_all_their_recordings_at_once(tmp_path):
    shard_set = synthetic(tmp_path, 2)
    found = embed_speech(untrained(), EvaluationLoader(shard_set, ["A1", "H0"]))
    told = unknownness_of(found)
    assert len(told.whole_S) == 2 and len(told.recording_N) == 12
    for place, speaker in enumerate(np.unique(told.speaker_N)):
        logits_A = found.utterances.logits_NA[found.utterances.speaker_N == speaker].mean(0)
        assert told.whole_S[place] == pytest.approx(-logsumexp(logits_A), rel=1e-5)


def test_speakers_of_new_accents_beside_the_test_speakers_count_and_those_of_the_split_do_not():
    split = Split(train=("H0", "S0", "K9"), validation=("H1",), test=("H2", "W0"))
    entries = [("H0", "Hindi"), ("H1", "Hindi"), ("H2", "Hindi"), ("K1", "Korean"), ("K9", "Korean"), ("W0", "Welsh")]
    entries = [SimpleNamespace(name=name, accent=accent) for name, accent in entries]
    shard_set = SimpleNamespace(speakers=[one.name for one in entries], manifest=SimpleNamespace(speakers=entries))
    choice = choose_speakers(shard_set, split, "test", ["Hindi", "Spanish"])
    assert (choice.tested, choice.unknown, choice.other_corpus) == (["H2"], ["K1", "W0"], False)
    assert [one["speaker"] for one in choice.left_out] == ["K1", "W0"]


def test_another_corpus_with_unknown_accents_has_a_section_a_table_and_a_picture(tmp_path):
    shard_set = synthetic(tmp_path / "shards")
    split = Split(train=("A3", "A4", "H3", "S3"), validation=("A2",), test=("A0",))
    run = make_run(tmp_path / "run", shard_set, split)
    alone = evaluate_run(run, shard_set.root)
    assert alone.report["unknown_accents"] is None
    assert not (alone.folder / "unknown_accents.png").exists()

    mixed = synthetic(tmp_path / "mixed", 4, ["Hindi", "Korean", "Spanish", "Welsh"], seed=5)
    result = evaluate_run(run, mixed.root, output=tmp_path / "evaluation")
    section = result.report["unknown_accents"]
    assert section["accents"] == ["Korean", "Welsh"]
    assert 0 <= section["speakers"]["auroc"]["value"] <= 1
    # Speakers of known accents whom the split names are not tested, and no speaker of an unknown accent is trained on.
    assert section["recordings"]["auroc"]["basis"] == "6 speakers of known accents, 8 of unknown ones"
    assert (result.folder / "unknown_accents.png") in result.pictures
    assert all(path.stat().st_size > 5_000 for path in result.pictures)
    console = Console(width=80, record=True, file=io.StringIO())
    console.print(unknown_table(section))
    text = console.export_text()
    assert "unknown accents: Korean, Welsh" in text and "…" not in text
    assert f"{section['speakers']['auroc']['value']:.3f}" in text
    assert f"{section['recordings']['thresholds']['validation']['detected']:.3f}" in text
