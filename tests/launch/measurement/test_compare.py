"""Compared groups: what the formulas and R say, with speakers as the units, and intervals that hold what they say."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from launch.measurement.compare import _interval, compare, compare_two, speaker_means
from launch.measurement.long_table import long_table
from tests.support.r_language import run_r

GROUPS = {"Aria": 6, "Boria": 5, "Coria": 7}


@pytest.fixture(scope="module")
def tokens() -> pd.DataFrame:
    """Phones of three groups of speakers, each with its own number of tokens; Boria has a high F1 in AA."""
    generator = np.random.default_rng(3)
    rows = []
    for group, count in GROUPS.items():
        for number in range(count):
            place = generator.normal(0, 40)
            for phone, f1 in (("AA", 700), ("IY", 300)):
                for _ in range(generator.integers(3, 30)):
                    shift = 150 if (group, phone) == ("Boria", "AA") else 0
                    value = f1 + place + shift + generator.normal(0, 25)
                    rows.append((f"{group}{number}", group, "male", phone, 0.1, value, 1000 + generator.normal(0, 90)))
    names = ["speaker", "accent", "sex", "phone", "start_seconds", "mid_f1_hz", "third1_f2_hz"]
    table = pd.DataFrame(rows, columns=names)
    table.loc[::7, "third1_f2_hz"] = np.nan
    table.loc[table.speaker == "Aria0", "third1_f2_hz"] = np.nan
    return table


def compared(tokens: pd.DataFrame) -> pd.DataFrame:
    measures = ["mid_f1_hz", "third1_f2_hz"]
    return compare(speaker_means(tokens, "accent", ["phone"], measures), "accent", ["phone"], measures)


def test_effects_are_those_of_the_formulas_over_the_means_of_speakers(tokens: pd.DataFrame) -> None:
    table = compared(tokens)
    assert len(table) == 2 * 3 * 2
    for row in table.itertuples():
        part = tokens[tokens.phone == row.phone]
        a, b = (
            np.array([np.nanmean(part[part.speaker == name][row.measure]) for name in sorted(set(part.speaker[of]))
                      if part[part.speaker == name][row.measure].notna().any()])
            for of in (part.accent == row.group_a, part.accent == row.group_b)
        )  # fmt: skip
        assert (row.speakers_a, row.speakers_b) == (len(a), len(b))
        assert len(a) == GROUPS[row.group_a] - (row.measure == "third1_f2_hz" and row.group_a == "Aria")
        pooled = np.sqrt((((a - a.mean()) ** 2).sum() + ((b - b.mean()) ** 2).sum()) / (len(a) + len(b) - 2))
        d = (a.mean() - b.mean()) / pooled
        assert row.cohens_d == pytest.approx(d) and row.difference == pytest.approx(a.mean() - b.mean())
        # Hedges' own approximation of the factor.
        assert row.hedges_g == pytest.approx(d * (1 - 3 / (4 * (len(a) + len(b)) - 9)), rel=2e-3)
        assert row.d_low < d < row.d_high
    shifted = table[(table.phone == "AA") & (table.measure == "mid_f1_hz") & (table.group_b == "Boria")].iloc[0]
    assert shifted.p_adjusted < 0.02 and shifted.d_high < -1


def test_p_and_its_correction_are_those_of_r(tokens: pd.DataFrame, tmp_path: Path) -> None:
    measures = ["mid_f1_hz", "third1_f2_hz"]
    speaker_means(tokens, "accent", ["phone"], measures).to_csv(tmp_path / "means.csv", index=False)
    run_r(
        """
        means <- read.csv("means.csv")
        rows <- list()
        for (phone in c("AA", "IY")) for (pair in list(c("Aria", "Boria"), c("Aria", "Coria"), c("Boria", "Coria")))
          for (measure in c("mid_f1_hz", "third1_f2_hz")) {
            part <- means[means$phone == phone & means$accent %in% pair, ]
            p <- t.test(part[[measure]] ~ factor(part$accent, levels = pair))$p.value
            rows[[length(rows) + 1]] <- data.frame(p = p)
          }
        out <- do.call(rbind, rows)
        out$p_adjusted <- p.adjust(out$p, "BH")
        write.csv(out, "r.csv", row.names = FALSE)
        """,
        tmp_path,
    )
    ours, of_r = compared(tokens), pd.read_csv(tmp_path / "r.csv")
    np.testing.assert_allclose(ours[["p", "p_adjusted"]], of_r, rtol=1e-9)


def test_intervals_hold_the_true_effect_as_often_as_they_say() -> None:
    generator = np.random.default_rng(1)
    for n_speakers, least in ((4, 0.86), (10, 0.9), (20, 0.9)):
        one = generator.standard_normal((300, n_speakers)) + 0.8
        low, high = _interval(one, generator.standard_normal((300, n_speakers)))
        coverage = float(np.mean((low <= 0.8) & (high >= 0.8)))
        print(f"{n_speakers} speakers in each group: {coverage:.3f} of 300 intervals hold the effect")
        assert least < coverage < 0.995


def test_a_speaker_who_says_more_counts_as_much(tokens: pd.DataFrame) -> None:
    of_one = tokens[(tokens.speaker == "Coria1") & tokens.mid_f1_hz.notna()]
    more = pd.concat([tokens, of_one, of_one])
    pd.testing.assert_frame_equal(compared(tokens), compared(more))


def test_what_does_not_vary_or_has_one_speaker_is_empty_and_is_no_test() -> None:
    one = np.array([[1.1, 5.0], [1.1, 6.0], [1.1, 5.5], [1.1, 5.2]])
    same, alone = compare_two(one, np.array([[1.1, np.nan], [1.1, np.nan], [1.1, 4.0], [1.1, np.nan]]))
    assert np.isnan([same["cohens_d"], same["p"], same["d_low"]]).all() and same["difference"] == 0
    assert np.isnan([alone["cohens_d"], alone["p"], alone["sd_b"]]).all() and alone["mean_b"] == 4.0


def test_the_long_table_has_every_defined_value_once(tokens: pd.DataFrame) -> None:
    long = long_table(tokens, ["mid_f1_hz", "third1_f2_hz"])
    assert list(long.columns) == [*tokens.columns[:5], "position", "measure", "value"]
    assert len(long) == len(tokens) + tokens.third1_f2_hz.notna().sum()
    assert set(zip(long.position, long.measure, strict=True)) == {("mid", "f1_hz"), ("third1", "f2_hz")}
    assert long.value[long.measure == "f2_hz"].sum() == pytest.approx(tokens.third1_f2_hz.sum())


def test_the_command_writes_all_comparisons_and_shows_the_strongest(
    tokens: pd.DataFrame, tmp_path: Path, accent: Callable[..., tuple[int, str, str]]
) -> None:
    tokens.to_csv(tmp_path / "phones.csv", index=False)
    out, long = tmp_path / "comparisons.parquet", tmp_path / "long.csv"
    status, printed, _ = accent("compare", tmp_path / "phones.csv", "--out", out, "--long", long)
    assert status == 0 and "Aria 6 (6 male); Boria 5 (5 male); Coria 7" in printed
    # The last digit of a value may move an interval by one resample, so both read the same file.
    pd.testing.assert_frame_equal(pd.read_parquet(out), compared(pd.read_csv(tmp_path / "phones.csv")))
    assert len(pd.read_csv(long)) == len(long_table(tokens, ["mid_f1_hz", "third1_f2_hz"]))
    command = ("compare", tmp_path / "phones.csv", "--columns", "mid_f1_hz", "--out", tmp_path / "against.csv")
    assert accent(*command, "--against", "Coria", "--within", "phone,sex")[0] == 0
    against = pd.read_csv(tmp_path / "against.csv")
    assert len(against) == 4 and set(against.group_b) == {"Coria"} and set(against.sex) == {"male"}


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (("--by", "town"), "no column 'town'"),
        (("--by", "sex"), "'sex' has one group in this table, male"),
        (("--by", "phone"), "in 2 groups of 'phone'"),
        (("--columns", "f9_hz"), "no measure 'f9_hz'"),
        (("--against", "Doria"), "the groups of 'accent' are Aria, Boria, Coria"),
        (("--out", "table.txt"), "a table ends in"),
    ],
)
def test_what_cannot_be_compared_is_told_in_one_line(
    tokens: pd.DataFrame, tmp_path: Path, accent: Callable[..., tuple[int, str, str]], words: tuple[str, ...], line: str
) -> None:
    tokens.to_csv(tmp_path / "phones.csv", index=False)
    status, _, errors = accent("compare", tmp_path / "phones.csv", *words)
    assert status == 2 and line in errors and "Traceback" not in errors
