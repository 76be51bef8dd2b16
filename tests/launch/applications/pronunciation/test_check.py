"""Goodness beside what people said, on miniatures in the corpora's exact layouts; figures against loops and scipy."""

import json

import numpy as np
import pytest
from scipy.stats import rankdata

import accent as accent_package
from accent.audio.prepare import AudioConfig, load_speech
from accent.inference.pronunciation import PhoneScore, Pronunciation
from launch.applications.pronunciation.annotated import AnnotatedUtterance, compare_with_annotations
from launch.applications.pronunciation.human_scores import align, read_human_scores
from shards.corpora.annotations import AnnotatedPhone, read_annotation
from tests.support.sound.spoken_corpora import l2arctic_miniature, speechocean_miniature

# Speakers of accents that the fixture's model was never trained on.
SPEAKERS = {"ABA": "ENG036", "SKA": "ENG059", "BWC": "SPA071", "LXC": "SPA076"}
HALVES = (("ABA", "BWC"), ("SKA", "LXC"))


def f1_of(called, wrong):
    hits = sum(c and w for c, w in zip(called, wrong, strict=True))
    return 2 * hits / (sum(called) + sum(wrong))


def test_annotations_of_l2arctic_are_compared_as_a_loop_does(accent, saa_listening_run, saa, tmp_path):
    root = l2arctic_miniature(saa, tmp_path / "l2arctic", SPEAKERS)
    report = tmp_path / "report.json"
    status, lines, errors = accent("score-check", saa_listening_run, root, "-o", report)
    assert status == 0 and errors == [] and any("recall of deletions" in line for line in lines)
    figures = json.loads(report.read_text())["figures"]

    model = accent_package.load(saa_listening_run)
    phones = []
    additions = 0
    for speaker in SPEAKERS:
        for number in (1, 2, 3):
            marks = read_annotation(root / speaker / "annotation" / f"arctic_a000{number}.TextGrid")
            additions += sum(one.error == "a" for one in marks)
            scores = model.score(
                root / speaker / "wav" / f"arctic_a000{number}.wav",
                root / speaker / "annotation" / f"arctic_a000{number}.TextGrid",
            )
            error_at = {one.start: one.error for one in marks if one.canonical != "sil"}
            phones += [
                (speaker, number, error_at[one.start] is not None, one.goodness)
                for one in scores.phones
                if one.goodness is not None
            ]
    wrong = [one[2] for one in phones]
    assert (figures["phones"], figures["marked"], figures["additions"]) == (len(phones), sum(wrong), additions)
    assert figures["marked"] > 20 and additions > 3

    called = [False] * len(phones)
    for tested, others in (HALVES, HALVES[::-1]):
        theirs = [one for one in phones if one[0] in others]
        goodness = sorted({one[3] for one in theirs})
        best = max(goodness, key=lambda at: f1_of([one[3] <= at for one in theirs], [one[2] for one in theirs]))
        called = [one[3] <= best if one[0] in tested else was for one, was in zip(phones, called, strict=True)]
    assert figures["f1"] == pytest.approx(f1_of(called, wrong), abs=1e-9)
    hits = sum(c and w for c, w in zip(called, wrong, strict=True))
    assert figures["precision"] == pytest.approx(hits / sum(called))
    assert figures["recall"] == pytest.approx(hits / sum(wrong))
    assert figures["f1"] > 1.3 * figures["f1_of_calling_all_wrong"] and figures["rho_of_goodness"] > 0
    assert figures["f1_of_calling_all_wrong"] == pytest.approx(f1_of([True] * len(wrong), wrong))

    utterances = sorted({one[:2] for one in phones})
    means = [[np.mean([part[at] for part in phones if part[:2] == one]) for one in utterances] for at in (2, 3)]
    ranks = [rankdata(one) for one in means]
    assert figures["rho_of_goodness"] == pytest.approx(-np.corrcoef(*ranks)[0, 1])


def test_speakers_who_trained_the_model_are_left_out(accent, saa_phones_run, saa, tmp_path):
    root = l2arctic_miniature(saa, tmp_path / "corpus", {"ARA004": "ARA004"}, recordings=1)
    (root / "speakers.tsv").write_text("speaker\taccent\nARA004\tArabic\n")
    status, lines, errors = accent("score-check", saa_phones_run, root)
    assert status == 2 and lines == [] and "every annotated speaker trained or chose the model" in errors[0]


def test_a_corpus_that_nobody_judged_is_one_line(accent, saa_phones_run, saa):
    status, lines, errors = accent("score-check", saa_phones_run, saa)
    assert status == 2 and lines == [] and "nothing to compare with" in errors[0]


def spoken(speaker, goodness, wrong):
    marks = [AnnotatedPhone(at, at + 1, "IY", "IH", "s" if one else None) for at, one in enumerate(wrong)]
    scores = tuple(PhoneScore("IY", at, at + 1, one, "IH") for at, one in enumerate(goodness))
    return AnnotatedUtterance(speaker, "Hindi", marks), Pronunciation(scores, (), float(np.mean(goodness)), True)


def test_a_threshold_comes_from_other_speakers_than_it_is_tested_on():
    draw = np.random.default_rng(1)
    wrong = {(speaker, number): draw.random(40) < 0.1 * number for speaker in "abcd" for number in (1, 3, 6)}
    alike, apart = [], []
    for (speaker, _), one in wrong.items():
        alike.append(spoken(speaker, np.where(one, -4.0, -1.0), one))
        apart.append(spoken(speaker, np.where(one, -4.0, -1.0) - (6.0 if speaker in "bd" else 0.0), one))
    perfect = compare_with_annotations(*zip(*alike, strict=True))
    assert perfect["f1"] == perfect["recall"] == 1 and perfect["rho_of_called_share"] == pytest.approx(1)
    assert perfect["thresholds"] == [-4.0, -4.0]
    # b and d are one half: their own threshold would be -10, and that of the others calls all of their phones wrong.
    shifted = compare_with_annotations(*zip(*apart, strict=True))
    assert shifted["thresholds"] == [-10.0, -4.0]
    called = sum(len(one) for (speaker, _), one in wrong.items() if speaker in "bd")
    hits = sum(one.sum() for (speaker, _), one in wrong.items() if speaker in "bd")
    assert shifted["precision"] == pytest.approx(hits / called)
    assert shifted["recall"] == pytest.approx(hits / sum(one.sum() for one in wrong.values()))


def test_human_scores_of_speechocean_are_correlated_as_numpy_does(accent, saa_listening_run, speechocean, tmp_path):
    pytest.importorskip("pocketsphinx")
    from shards.alignment.aligner import Aligner

    root = speechocean_miniature(speechocean, tmp_path / "speechocean762", ["SO0024", "SO0120"])
    scores = json.loads((root / "resource" / "scores.json").read_text())
    scores["999990001"] = next(iter(scores.values()))
    (root / "resource" / "scores.json").write_text(json.dumps(scores))
    report = tmp_path / "report.json"
    status, lines, errors = accent("score-check", saa_listening_run, root, "-o", report)
    figures = json.loads(report.read_text())["figures"]
    assert status == 0 and errors == [] and figures["without_sound"] == 1
    assert any("phones pearson" in line for line in lines)

    model, aligner = accent_package.load(saa_listening_run), Aligner()
    told = read_human_scores(root / "resource" / "scores.json")
    pairs = {"phones": [], "words": [], "utterances": []}
    for path in sorted((root / "WAVE").rglob("*.WAV")):
        values = scores[path.stem]
        expected = align(aligner, load_speech(path, AudioConfig()).unfiltered_N, told[path.stem])
        phones = [label.rstrip("012") for word in values["words"] for label in word["phones"]]
        assert [phone for _, _, phone in expected.phones] == phones
        assert [word for _, _, word in expected.words] == [word["text"] for word in values["words"]]
        answer = model.score(path, expected)
        accuracies = [one for word in values["words"] for one in word["phones-accuracy"]]
        pairs["phones"] += zip(accuracies, [one.goodness for one in answer.phones], strict=True)
        accuracies = [word["accuracy"] for word in values["words"]]
        pairs["words"] += zip(accuracies, [one.goodness for one in answer.words], strict=True)
        pairs["utterances"].append((values["accuracy"], answer.goodness))
    for level, found in pairs.items():
        known = [pair for pair in found if pair[1] is not None]
        assert figures[level]["count"] == len(known) >= 6
        assert figures[level]["pearson"] == pytest.approx(np.corrcoef(*zip(*known, strict=True))[0, 1])
        assert level == "utterances" or figures[level]["pearson"] > 0.2


@pytest.mark.parametrize(
    "change, reason",
    [
        (lambda one: one.pop("accuracy"), "no 'accuracy'"),
        (lambda one: one["words"][0]["phones"].append("QX"), "no phone of ARPAbet"),
        (lambda one: one["words"][0]["phones"].append("IY0"), "scores of phones"),
    ],
)
def test_a_file_of_scores_of_another_form_is_one_line(accent, saa_phones_run, tmp_path, change, reason):
    word = {"text": "WE", "accuracy": 10, "phones": ["W", "IY0"], "phones-accuracy": [2.0, 1.8]}
    one = {"text": "WE", "accuracy": 9, "words": [word]}
    change(one)
    scores = tmp_path / "scores.json"
    scores.write_text(json.dumps({"000010011": one}))
    status, lines, errors = accent("score-check", saa_phones_run, tmp_path, "--scores", scores)
    assert status == 2 and lines == [] and "000010011" in errors[0] and reason in errors[0]
