"""Scores as tables and as TextGrids say what the JSON says."""

import json

import pytest
from praatio import textgrid

pd = pytest.importorskip("pandas")


@pytest.fixture(scope="module")
def recording(saa):
    return saa / "SPA071" / "wav" / "arctic_a0001.wav"


def answer_of(accent, run, recording, *words):
    status, [line], _ = accent("score", run, recording, "--target", "French", "--json", *words)
    assert status == 0
    return json.loads(line)


def numbers(values):
    """What a table says of what cannot be told."""
    return [float("nan") if value is None else value for value in values]


@pytest.mark.parametrize("per", ["phone", "word", "utterance"])
def test_a_table_has_a_row_for_each_phone_word_or_recording(accent, saa_phones_run, recording, tmp_path, per):
    path = tmp_path / "tables" / "scores.csv"
    answer = answer_of(accent, saa_phones_run, recording, "-o", path, "--per", per)
    table = pd.read_csv(path)
    expected = {"phone": answer["phones"], "word": answer["words"], "utterance": [answer]}[per]
    assert len(table) == len(expected) > 0 and set(table["file"]) == {str(recording)}
    assert set(table["basis"]) == {"TextGrid"}
    for name in ("goodness", "distance"):
        assert table[name].tolist() == pytest.approx(numbers([one[name] for one in expected]), nan_ok=True)
    if per == "phone":
        assert table["phone"].tolist() == [one["phone"] for one in expected]
        said = [
            next(
                word["word"]
                for word in answer["words"]
                if word["start"] <= (one["start"] + one["end"]) / 2 < word["end"]
            )
            for one in expected
        ]
        assert table["word"].tolist() == said
    if per == "word":
        assert table["phones_scored"].sum() == sum(one["goodness"] is not None for one in answer["phones"])


def test_a_textgrid_has_the_scores_under_words_and_phones(accent, saa_phones_run, recording, tmp_path):
    answer = answer_of(accent, saa_phones_run, recording, "--textgrid-out", tmp_path)
    grid = textgrid.openTextgrid(str(tmp_path / "arctic_a0001.TextGrid"), includeEmptyIntervals=False)
    assert grid.tierNames == ("words", "word goodness", "phones", "goodness", "heard", "distance")
    told = [one for one in answer["phones"] if one["goodness"] is not None]
    for tier, name in (("goodness", "goodness"), ("distance", "distance")):
        entries = grid.getTier(tier).entries
        scores = [one for one in answer["phones"] if one[name] is not None]
        assert [float(one.label) for one in entries] == pytest.approx([one[name] for one in scores], abs=0.0051)
        assert [one.start for one in entries] == pytest.approx([one["start"] for one in scores], abs=1e-6)
    assert [one.label for one in grid.getTier("heard").entries] == [one["heard"] for one in told]
    assert [one.label for one in grid.getTier("words").entries] == [one["word"] for one in answer["words"]]


def test_a_table_of_an_unknown_kind_and_an_unknown_target_are_one_line(accent, saa_phones_run, recording, tmp_path):
    status, lines, errors = accent("score", saa_phones_run, recording, "-o", tmp_path / "scores.txt")
    assert status == 2 and lines == [] and "ends in .csv, .parquet, .xlsx" in errors[0]
    status, lines, errors = accent("score", saa_phones_run, recording, "--target", "Klingon")
    assert status == 2 and lines == [] and "it knows Arabic, French, Mandarin" in errors[0]
