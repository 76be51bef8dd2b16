"""Groups of speakers compared, measure by measure: means, Cohen's d with its interval, corrected for many tests.

Speakers are the independent units: the values of a table are averaged by speaker first, so that a speaker who says
more does not count more.  Tables of phones are compared phone by phone, tables of words word by word.

For each pair of groups: mean and standard deviation over speakers; Cohen's d (difference of the means over the pooled
standard deviation) with a 95 % interval by bootstrap over speakers (bias-corrected and accelerated); Hedges' g, which
takes out d's bias for few speakers; and p of Welch's t-test, corrected by Benjamini and Hochberg over all comparisons.

Cost: 20 ms for the measures of a pair of groups of twenty speakers; with phones, that for each phone.

Shape legend: S speakers, M measures.

Sources: Cohen (1988), Statistical power analysis for the behavioral sciences; Hedges (1981), Distribution theory for
Glass's estimator of effect size; Efron (1987), Better bootstrap confidence intervals; Benjamini and Hochberg (1995).
"""

import itertools
import warnings
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.special import gammaln
from scipy.stats import DegenerateDataWarning, bootstrap, false_discovery_control, ttest_ind_from_stats

from accent.errors import AccentError
from launch.extraction.terminal import track_on_terminal
from launch.measurement.rows import PLACING_NUMBERS

if TYPE_CHECKING:
    import pandas as pd

SPEAKER = "speaker"
LABELS = ("phone", "word")
"""Columns within which a table is compared by default."""
LEAST_SPEAKERS = 2
"""In each group, for a standard deviation."""
LEAST_SPEAKERS_FOR_INTERVAL = 4
"""In each group: resamples of fewer are often one speaker alone."""
RESAMPLES = 2000
SEED = 0
CONFIDENCE = 0.95
VARIES = 1e-9
"""Of a measure's size: smaller differences are rounding errors."""
MOST_NUMBERS = 4_000_000
"""Of resamples in memory at a time: 32 MB."""


def measures_of(table: "pd.DataFrame", by: str, wanted: Sequence[str]) -> list[str]:
    """Return the columns of a table that measure something; or those that are wanted.

    Raises:
        AccentError: a wanted column is missing or holds no numbers, or there is none.
    """
    numbers = [name for name in table.select_dtypes("number").columns if name not in (*PLACING_NUMBERS, by)]
    for name in wanted:
        if name not in numbers:
            raise AccentError(f"--columns: the table has no measure '{name}'; it has {', '.join(numbers) or 'none'}")
    if not numbers:
        raise AccentError("the table has no measures: no columns of numbers")
    return [name for name in numbers if not wanted or name in wanted]


def default_within(table: "pd.DataFrame", by: str) -> list[str]:
    """Return the columns of labels that a table has: `phone`, `word` or none."""
    return [name for name in LABELS if name in table.columns and name != by and table[name].notna().any()]


def speaker_means(table: "pd.DataFrame", by: str, within: Sequence[str], measures: Sequence[str]) -> "pd.DataFrame":
    """Average a table by speaker.

    Args:
        table: as `accent measure` writes it.
        by: the column of groups.
        within: columns that are kept apart.
        measures: columns to average; undefined values are left out.

    Returns:
        One row a speaker and combination of `within`; rows without speaker or group are left out.

    Raises:
        AccentError: a column is missing, nobody is named, or a speaker is in two groups.
    """
    for name in (by, SPEAKER, *within):
        if name not in table.columns:
            raise AccentError(f"the table has no column '{name}'; it has {', '.join(map(str, table.columns[:8]))}")
    known = table.dropna(subset=[by, SPEAKER, *within])
    groups = known.groupby(SPEAKER)[by].nunique()
    if groups.empty:
        raise AccentError(f"no row of the table has a speaker and a value of '{by}'")
    if (groups > 1).any():
        name = groups.index[groups > 1][0]
        raise AccentError(
            f"speaker {name} is in {groups[name]} groups of '{by}'; groups must have speakers of their own"
        )
    means: pd.DataFrame = known.groupby([*within, by, SPEAKER], sort=True)[list(measures)].mean().reset_index()
    return means


def compare(
    means: "pd.DataFrame", by: str, within: Sequence[str], measures: Sequence[str], against: str | None = None
) -> "pd.DataFrame":
    """Compare each pair of groups in each measure.

    Args:
        means: as `speaker_means` returns them.
        by: the column of groups.
        within: columns whose combinations are compared each on its own.
        measures: what is compared.
        against: compare the other groups with this one only; every pair by default.

    Returns:
        One row a comparison; values that few speakers do not allow are NaN.

    Raises:
        AccentError: fewer than two groups, or none of the name `against`.
    """
    import pandas as pd

    groups = sorted(means[by].unique(), key=str)
    if len(groups) < 2:
        raise AccentError(f"'{by}' has one group in this table, {groups[0]}; a comparison needs two")
    if against is None:
        pairs = list(itertools.combinations(groups, 2))
    else:
        reference = next((group for group in groups if str(group) == against), None)
        if reference is None:
            raise AccentError(f"--against {against}: the groups of '{by}' are {', '.join(map(str, groups))}")
        pairs = [(group, reference) for group in groups if group != reference]
    parts = list(means.groupby(list(within), sort=True)) if within else [((), means)]
    rows: list[dict[str, Any]] = []
    for key, part in track_on_terminal(parts, "compare"):
        values = {group: part.loc[part[by] == group, list(measures)].to_numpy(dtype=float) for group in groups}
        for one, other in pairs:
            place = {**dict(zip(within, key, strict=True)), "group_a": one, "group_b": other}
            found = compare_two(values[one], values[other])
            rows.extend({**place, "measure": name, **row} for name, row in zip(measures, found, strict=True))
    table = pd.DataFrame(rows)
    tested = table.p.notna()
    table["p_adjusted"] = np.nan
    table.loc[tested, "p_adjusted"] = false_discovery_control(table.p[tested], method="bh")
    return table


def compare_two(one_SM: np.ndarray, other_SM: np.ndarray) -> list[dict[str, float]]:
    """Compare two groups of speakers in each measure.

    Args:
        one_SM: a row a speaker of the first group; NaN where undefined.
        other_SM: of the second group.

    Returns:
        For each measure the number of speakers, means, standard deviations, difference, effect, interval and p.
    """
    rows: list[dict[str, float]] = [{} for _ in range(one_SM.shape[1])]
    for measures, one, other in _alike(one_SM, other_SM):
        enough = min(one.shape[1], other.shape[1]) >= LEAST_SPEAKERS
        undefined_M = np.full(len(measures), np.nan)
        d_M = low_M = high_M = p_M = undefined_M
        if enough:
            found = (cohens_d(one, other), *_interval(one, other), _welch(one, other))
            d_M, low_M, high_M, p_M = np.where(_varies(one, other), found, np.nan)
        unbiased = _hedges_factor(one.shape[1] + other.shape[1] - 2) if enough else np.nan
        for place, measure in enumerate(measures):
            mean_a, mean_b = (float(each[place].mean()) if each.size else np.nan for each in (one, other))
            rows[measure] = {
                "speakers_a": one.shape[1],
                "speakers_b": other.shape[1],
                "mean_a": mean_a,
                "mean_b": mean_b,
                "sd_a": float(one[place].std(ddof=1)) if one.shape[1] > 1 else np.nan,
                "sd_b": float(other[place].std(ddof=1)) if other.shape[1] > 1 else np.nan,
                "difference": mean_a - mean_b,
                "cohens_d": float(d_M[place]),
                "d_low": float(low_M[place]),
                "d_high": float(high_M[place]),
                "hedges_g": float(d_M[place] * unbiased),
                "p": float(p_M[place]),
            }
    return rows


def cohens_d(one: np.ndarray, other: np.ndarray, axis: int = -1) -> np.ndarray:
    """Return the difference of means over the pooled standard deviation; infinite where only the means differ.

    Args:
        one: values of the first group along `axis`.
        other: of the second group.
        axis: of speakers.

    Source: Cohen (1988), Statistical power analysis for the behavioral sciences, 2.5.
    """
    n_one, n_other = one.shape[axis], other.shape[axis]
    squares = (n_one - 1) * one.var(axis=axis, ddof=1) + (n_other - 1) * other.var(axis=axis, ddof=1)
    difference = one.mean(axis=axis) - other.mean(axis=axis)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(difference == 0, 0.0, difference / np.sqrt(squares / (n_one + n_other - 2)))


def _varies(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Tell of each measure whether it differs among the speakers of a group by more than rounding."""
    spread_M = np.maximum(np.ptp(one, axis=-1), np.ptp(other, axis=-1))
    return spread_M > VARIES * np.maximum(np.abs(one).max(axis=-1), np.abs(other).max(axis=-1))


def _welch(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    moments = ((each.mean(axis=-1), each.std(axis=-1, ddof=1), each.shape[-1]) for each in (one, other))
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(ttest_ind_from_stats(*next(moments), *next(moments), equal_var=False).pvalue)


def _hedges_factor(degrees: int) -> float:
    """Return what makes d unbiased, by Hedges (1981), equation 6e."""
    return float(np.exp(gammaln(degrees / 2) - gammaln((degrees - 1) / 2) - 0.5 * np.log(degrees / 2)))


def _alike(one_SM: np.ndarray, other_SM: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Give measures that are defined for the same speakers, with the values `[M, S]` of these in either group."""
    defined = np.isfinite(np.concatenate([one_SM, other_SM])).T
    patterns, number_M = np.unique(defined, axis=0, return_inverse=True)
    for number, pattern in enumerate(patterns):
        measures = np.flatnonzero(number_M.ravel() == number)
        in_one, in_other = pattern[: len(one_SM)], pattern[len(one_SM) :]
        yield measures, one_SM[in_one][:, measures].T, other_SM[in_other][:, measures].T


def _interval(one: np.ndarray, other: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the interval of Cohen's d of each measure; NaN for few speakers and for measures that do not vary."""
    if min(one.shape[1], other.shape[1]) < LEAST_SPEAKERS_FOR_INTERVAL:
        return np.full(len(one), np.nan), np.full(len(one), np.nan)
    with warnings.catch_warnings(), np.errstate(divide="ignore", invalid="ignore"):
        # A measure that is the same for all speakers has no interval; it stays NaN.
        warnings.simplefilter("ignore", DegenerateDataWarning)
        found = bootstrap(
            (one, other),
            cohens_d,
            axis=-1,
            n_resamples=RESAMPLES,
            batch=max(1, MOST_NUMBERS // (one.size + other.size)),
            confidence_level=CONFIDENCE,
            method="BCa",
            rng=np.random.default_rng(SEED),
        )
    return found.confidence_interval.low, found.confidence_interval.high
