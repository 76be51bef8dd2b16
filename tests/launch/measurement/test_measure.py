"""Tables of real recordings: their rows and columns are what the TextGrids and the features say."""

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import typer

from accent.errors import AccentError
from accent.features.config import FeatureConfig
from accent.features.schema import COLUMNS
from accent.features.textgrid import read_alignment, read_words
from accent.features.utterance import UTTERANCE_COLUMNS
from launch.commands.measurement.measure import measure as command
from launch.measurement.codebook import describe
from launch.measurement.measure import measure
from launch.measurement.recordings import list_recordings
from launch.measurement.table_file import codebook_path

MAN, UNKNOWN = "ARA004", "FRA010"


@pytest.fixture(scope="module")
def corpus(saa: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two recordings of a man, two of a speaker of unknown sex, and one file that is no sound."""
    root = tmp_path_factory.mktemp("corpus")
    speakers = pd.read_csv(saa / "speakers.tsv", sep="\t")
    assert (speakers.gender[speakers.speaker == MAN] == "male").all()
    speakers.loc[speakers.speaker == UNKNOWN, "gender"] = ""
    speakers[speakers.speaker.isin([UNKNOWN, MAN])].to_csv(root / "speakers.tsv", sep="\t", index=False)
    for speaker in (UNKNOWN, MAN):
        for kind, suffix in (("wav", "wav"), ("textgrid", "TextGrid"), ("transcript", "txt")):
            (root / speaker / kind).mkdir(parents=True)
            for number in (1, 2):
                name = f"arctic_a000{number}.{suffix}"
                shutil.copy(saa / speaker / kind / name, root / speaker / kind / name)
    (root / MAN / "wav" / "broken.wav").write_bytes(b"no sound at all")
    return root


def written(corpus: Path, out: Path, **options: object) -> pd.DataFrame:
    # One file of the corpus is broken, and the status says so.
    with pytest.raises(typer.Exit) as left:
        command(corpus, out, workers=1, **options)  # type: ignore[arg-type]
    assert left.value.exit_code == 1
    readers = {".csv": pd.read_csv, ".parquet": pd.read_parquet, ".xlsx": pd.read_excel}
    return readers[out.suffix](out)


def test_the_codebook_describes_every_column_once() -> None:
    entries = [describe(column, FeatureConfig()) for column in (*COLUMNS, *UTTERANCE_COLUMNS)]
    # Local jitter and shimmer stand in both lists.
    assert len({entry.header for entry in entries}) == len({entry.column for entry in entries}) == 143 + 94 - 2
    assert all(entry.what and entry.unit and entry.setting and entry.source for entry in entries)
    with pytest.raises(KeyError):
        describe("f9_hz", FeatureConfig())


def test_a_row_a_frame_has_all_columns_and_empty_cells_where_undefined(
    corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = written(corpus, tmp_path / "frames.csv", per="frame")
    printed = capsys.readouterr()
    assert [line for line in printed.err.splitlines() if line.startswith("left out")] == [
        line for line in printed.err.splitlines() if "broken.wav" in line
    ]
    assert printed.err.count("broken.wav") == 1
    headers = [describe(column, FeatureConfig()).header for column in COLUMNS]
    assert list(table.columns) == ["file", "speaker", "accent", "sex", "time_seconds", "phone", *headers]
    assert set(table.speaker) == {MAN, UNKNOWN} and table.file.nunique() == 4
    assert 0.2 < table.f0_hz.isna().mean() < 0.8
    assert table.f0_hz.min() >= 75 and (table[["f1_hz", "f2_hz", "b1_hz"]].min() > 0).all()
    for _, one in table.groupby("file"):
        np.testing.assert_allclose(np.diff(one.time_seconds), 0.01, atol=1e-9)
    codebook = pd.read_csv(codebook_path(tmp_path / "frames.csv"))
    assert list(codebook.header) == headers
    f1 = codebook.set_index("column").loc["f1_hz"]
    assert f1.unit == "Hz" and "5500 Hz, men 5000 Hz" in f1.setting


def test_phones_are_those_of_the_textgrid_with_the_frames_in_them(corpus: Path, tmp_path: Path) -> None:
    frames = written(corpus, tmp_path / "frames.parquet", per="frame", columns="f0_hz,f1_hz")
    phones = written(corpus, tmp_path / "phones.parquet", per="phone", columns="f1_hz,f0_hz")
    for file, table in phones.groupby("file"):
        intervals = read_alignment(corpus / file.replace("wav", "textgrid", 1).replace(".wav", ".TextGrid")).intervals
        said = [one for one in intervals if one[2] != "sil"]
        assert list(table.phone) == [label for _, _, label in said]
        np.testing.assert_allclose(table.duration_seconds, [end - start for start, end, _ in said])
        of_file = frames[frames.file == file]
        of_file = of_file.set_index((of_file.time_seconds * 100).round().astype(int))
        for row in table.itertuples():
            # Times of these TextGrids are whole frames.
            start, frames_long = round(row.start_seconds * 100), round(row.duration_seconds * 100)
            middle = (2 * start + frames_long + 1) // 2
            if middle in of_file.index:
                np.testing.assert_array_equal(row.mid_f1_hz, of_file.f1_hz[middle])
            inside = of_file[
                (of_file.time_seconds >= row.start_seconds - 1e-6)
                & (of_file.time_seconds < row.start_seconds + row.duration_seconds / 3 - 1e-6)
            ]
            np.testing.assert_allclose(row.third1_f0_hz, inside.f0_hz.mean(), rtol=1e-5)
    assert phones.third1_f0_hz.isna().any() and phones.third1_f0_hz.notna().any()


def test_words_are_those_of_the_textgrid(corpus: Path, tmp_path: Path) -> None:
    table = written(corpus, tmp_path / "words.xlsx", per="word", columns="intensity_db")
    words = [word for _, _, word in read_words(corpus / MAN / "textgrid" / "arctic_a0001.TextGrid") if word]
    assert words[:3] == ["please", "call", "stella"]
    assert list(table[table.file == f"{MAN}/wav/arctic_a0001.wav"].word) == words


def test_men_have_the_ceiling_of_men_and_others_keep_theirs(corpus: Path, tmp_path: Path) -> None:
    options = {"per": "phone", "columns": "f3_hz"}
    by_sex = written(corpus, tmp_path / "by_sex.csv", **options)
    same = written(corpus, tmp_path / "same.csv", formant_ceiling_male=5500.0, **options)
    man = by_sex.sex == "male"
    assert set(by_sex.speaker[man]) == {MAN}
    pd.testing.assert_frame_equal(by_sex[~man], same[~man])
    assert (by_sex[man].mid_f3_hz - same[man].mid_f3_hz).abs().median() > 5


def test_speakers_are_the_means_of_their_utterances(corpus: Path, tmp_path: Path) -> None:
    utterances = written(corpus, tmp_path / "utterances.csv")
    speakers = written(corpus, tmp_path / "speakers.csv", per="speaker").set_index("speaker")
    assert len(utterances) == 4 and list(speakers.utterances) == [2, 2]
    headers = [describe(column, FeatureConfig()).header for column in UTTERANCE_COLUMNS]
    assert list(utterances.columns) == ["file", "speaker", "accent", "sex", *headers]
    means = utterances.groupby("speaker")[headers].mean()
    pd.testing.assert_frame_equal(speakers[headers], means)


def test_a_folder_of_sounds_is_measured_by_two_processes_as_by_one(corpus: Path) -> None:
    recordings, refused = list_recordings(corpus / UNKNOWN, sex="female")
    assert len(recordings) == 2 and not refused and all(one.textgrid is not None for one in recordings)
    one, two = (measure(recordings, "utterance", workers=workers).table for workers in (1, 2))
    pd.testing.assert_frame_equal(one, two)


def test_what_cannot_be_measured_is_told_in_one_line(corpus: Path, tmp_path: Path) -> None:
    sound = tmp_path / "alone.wav"
    shutil.copy(corpus / MAN / "wav" / "arctic_a0001.wav", sound)
    for options, line in (
        ({"per": "speaker"}, "--per speaker needs a corpus"),
        ({"per": "phone"}, "no TextGrid; make one with accent align"),
        ({"columns": "f9_hz"}, "'f9_hz' is no column of --per utterance"),
        ({"pitch_floor": 10.0}, "pitch_floor_hz: 10.0"),
    ):
        with pytest.raises(AccentError, match=line):
            command(sound, tmp_path / "table.csv", workers=1, **options)  # type: ignore[arg-type]
    with pytest.raises(AccentError, match=r"a table ends in \.csv"):
        command(sound, tmp_path / "table.txt")
    assert not (tmp_path / "table.csv").exists()
