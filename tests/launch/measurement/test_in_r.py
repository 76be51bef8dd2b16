"""Our tables in R: read.csv sees the same numbers and empty cells, and lme4 fits a mixed model to the long table."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from launch.measurement.compare import compare, speaker_means
from launch.measurement.long_table import long_table
from launch.measurement.measure import measure
from launch.measurement.recordings import list_recordings
from launch.measurement.table_file import codebook_path, write_codebook, write_table
from tests.support.r_language import run_r


def test_read_csv_has_the_numbers_and_the_empty_cells_of_pandas(saa: Path, tmp_path: Path) -> None:
    recordings, _ = list_recordings(saa)
    found = measure(recordings[:1], "phone", ("f0_hz", "f1_hz"), workers=1)
    write_table(tmp_path / "phones.csv", found.table)
    write_codebook(codebook_path(tmp_path / "phones.csv"), found.codebook)
    run_r(
        """
        table <- read.csv("phones.csv")
        book <- read.csv("phones.codebook.csv")
        stopifnot(all(sapply(book$header, function(name) any(grepl(name, names(table))))))
        numbers <- table[sapply(table, is.numeric)]
        out <- data.frame(column = names(numbers), mean = colMeans(numbers, na.rm = TRUE), na = colSums(is.na(numbers)))
        write.csv(out, "r.csv", row.names = FALSE)
        """,
        tmp_path,
    )
    of_r = pd.read_csv(tmp_path / "r.csv").set_index("column")
    numbers = pd.read_csv(tmp_path / "phones.csv").select_dtypes("number")
    assert list(of_r.index) == list(numbers.columns) and numbers.isna().any().any()
    np.testing.assert_allclose(of_r["mean"], numbers.mean(), rtol=1e-10)
    assert list(of_r.na) == list(numbers.isna().sum())


def test_lme4_fits_the_long_table_and_finds_the_differences_of_the_comparison(tmp_path: Path) -> None:
    generator = np.random.default_rng(5)
    rows = [
        (f"{accent}{number}", accent, phone, f1 + shift + place + generator.normal(0, 30))
        for accent, shift in (("Aria", 0), ("Boria", 60))
        for number in range(6)
        for place in [generator.normal(0, 40)]
        for phone, f1 in (("AA", 700), ("IY", 300))
        for _ in range(10)
    ]
    table = pd.DataFrame(rows, columns=["speaker", "accent", "phone", "mid_f1_hz"])
    write_table(tmp_path / "long.csv", long_table(table, ["mid_f1_hz"]))
    run_r(
        """
        long <- read.csv("long.csv", stringsAsFactors = TRUE)
        long <- long[long$position == "mid" & long$measure == "f1_hz", ]
        model <- lme4::lmer(value ~ accent + phone + (1 | speaker), data = long)
        effects <- lme4::fixef(model)
        write.csv(data.frame(name = names(effects), value = effects, groups = lme4::ngrps(model), rows = nobs(model)),
                  "r.csv", row.names = FALSE)
        """,
        tmp_path,
        package="lme4",
    )
    of_r = pd.read_csv(tmp_path / "r.csv").set_index("name")
    assert set(of_r.groups) == {12} and set(of_r.rows) == {len(table)}
    found = compare(speaker_means(table, "accent", [], ["mid_f1_hz"]), "accent", [], ["mid_f1_hz"]).iloc[0]
    # With as many tokens of each speaker, the mixed model's effect is the difference of the speakers' means.
    assert of_r.value["accentBoria"] == pytest.approx(-found.difference, rel=1e-6)
