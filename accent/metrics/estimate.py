"""A measured value with its interval, chance level and majority answer; and the draws of speakers behind intervals.

Shapes: N utterances, E embedding, S speakers, R resamples.  Cost: a bootstrap of 2,000 draws takes milliseconds.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

RESAMPLES = 2_000
"""Bootstrap draws behind an interval."""
CONFIDENCE = 0.95


@dataclass(frozen=True)
class Estimate:
    """A measured value and what to read it beside; `None` where something is not defined, with the reason."""

    value: float | None
    """The measured value."""
    interval: tuple[float, float] | None = None
    """95 % percentile interval over speakers; with fewer than about ten speakers it is rather too narrow."""
    chance: float | None = None
    """What guessing gives."""
    majority: float | None = None
    """What always answering the commonest accent of the tested speakers gives."""
    basis: str = ""
    """What the value was computed from: how many speakers, utterances or trials."""
    reason: str | None = None
    """Why the value, or its interval, is missing."""
    draws_R: np.ndarray | None = field(default=None, repr=False, compare=False)
    """The values behind the interval, one a draw of the speakers; kept so that figures of folds can be averaged."""

    def to_mapping(self) -> dict[str, Any]:
        """Return the figure as a dictionary ready for JSON, without the draws."""
        values = asdict(self)
        del values["draws_R"]
        return values


def undefined(reason: str, chance: float | None = None) -> Estimate:
    """Return a figure without a value, which says why."""
    return Estimate(None, chance=chance, reason=reason)


def mean_estimate(estimates: Sequence[Estimate]) -> Estimate:
    """Average figures of several folds and seeds, and the draws behind their intervals.

    Args:
        estimates: those without a value are left out.  Figures of the same speakers should be drawn with the same
            seed, those of other speakers with other seeds.

    Returns:
        The mean, with an interval where every figure that has a value has draws.
    """
    defined = [one for one in estimates if one.value is not None]
    if not defined:
        return estimates[0] if estimates else undefined("no figure to average")

    def mean(values: list[float | None]) -> float | None:
        present = [value for value in values if value is not None]
        return float(np.mean(present)) if len(present) == len(values) else None

    drawn = [one.draws_R for one in defined if one.draws_R is not None]
    draws_R = np.mean(drawn, axis=0) if len(drawn) == len(defined) else None
    interval = None if draws_R is None else percentile_interval(draws_R)
    return Estimate(
        mean([one.value for one in defined]),
        interval,
        mean([one.chance for one in defined]),
        mean([one.majority for one in defined]),
        f"mean of {len(defined)} figures",
        None if interval else next((one.reason for one in defined if one.reason), "no interval"),
        draws_R,
    )


def difference(one: Estimate, other: Estimate) -> Estimate:
    """Return how far one figure lies above another of the same speakers.

    Args:
        one: a figure.
        other: another, drawn with the same seed: each draw holds the same speakers in both.

    Returns:
        The difference, with the interval of the differences draw by draw, which is narrower than those of both.
    """
    if one.value is None or other.value is None:
        return undefined(one.reason or other.reason or "no value")
    draws_R = None if one.draws_R is None or other.draws_R is None else one.draws_R - other.draws_R
    interval = None if draws_R is None else percentile_interval(draws_R)
    reason = None if interval else "no interval: every draw of speakers gave the same difference, or none was drawn"
    return Estimate(one.value - other.value, interval, 0.0, None, one.basis, reason, draws_R)


def speaker_draws(n_speakers: int, resamples: int = RESAMPLES, seed: int = 0) -> np.ndarray:
    """Draw speakers with replacement, many times.

    Returns:
        int [R, S]: how often each speaker was drawn; every row sums to S.  Source: Efron & Tibshirani, An Introduction
        to the Bootstrap, 1993, chapter 13 (percentile intervals); the clusters are the speakers.
    """
    return np.random.default_rng(seed).multinomial(n_speakers, np.full(n_speakers, 1 / n_speakers), size=resamples)


def percentile_interval(values_R: np.ndarray) -> tuple[float, float] | None:
    """Return the central 95 % of what the draws gave, or `None` where every draw gave the same.

    Speakers who all score alike, five of five wrong, do not show how much others would differ: an interval of no width
    would claim a certainty that is not there.
    """
    low, high = np.quantile(values_R, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return None if np.isclose(low, high, rtol=0, atol=1e-12) else (float(low), float(high))


def mean_over_speakers_interval(
    values_N: np.ndarray, speaker_N: np.ndarray, seed: int = 0
) -> tuple[float, float] | None:
    """Return the interval of a mean of per-utterance values; as `mean_over_speakers_draws`, `None` where all agree."""
    draws_R = mean_over_speakers_draws(values_N, speaker_N, seed)
    return None if draws_R is None else percentile_interval(draws_R)


def mean_over_speakers_draws(values_N: np.ndarray, speaker_N: np.ndarray, seed: int = 0) -> np.ndarray | None:
    """Return a mean of per-utterance values many times, the speakers drawn again each time.

    Args:
        values_N: one value an utterance.
        speaker_N: whose utterance it is.
        seed: of the draws.

    Returns:
        float [R], or `None` with fewer than two speakers.
    """
    speakers, position_N = np.unique(speaker_N, return_inverse=True)
    if len(speakers) < 2:
        return None
    draws_RS = speaker_draws(len(speakers), seed=seed)
    sum_S = np.bincount(position_N, weights=values_N)
    count_S = np.bincount(position_N)
    return (draws_RS @ sum_S) / (draws_RS @ count_S)


def unit_length(embeddings_NE: np.ndarray) -> np.ndarray:
    """Return the embeddings in float64 on the unit sphere, where a dot product is a cosine; zeros stay zeros."""
    embeddings = np.asarray(embeddings_NE, dtype=np.float64)
    norm = np.linalg.norm(embeddings, axis=1, keepdims=True)
    return embeddings / np.where(norm == 0, 1, norm)


def why_no_interval(n_speakers: int) -> str:
    """Say why draws of so many speakers gave no interval."""
    return "one speaker has no interval" if n_speakers < 2 else "every speaker scores alike: no interval"


def thin(speaker_N: np.ndarray, most: int, seed: int = 0) -> np.ndarray:
    """Choose at most about `most` utterances, as evenly over the speakers as their numbers allow.

    Pairs grow with the square of the utterances; this keeps them affordable without letting a speaker dominate.  At
    least two utterances a speaker are kept, so that same-speaker pairs remain; where even that is too many, whole
    speakers go.

    Returns:
        int [n]: ascending row numbers; the same for the same arguments.
    """
    if len(speaker_N) <= most:
        return np.arange(len(speaker_N))
    generator = np.random.default_rng(seed)
    _, position_N, count_S = np.unique(speaker_N, return_inverse=True, return_counts=True)
    order_N = generator.permutation(len(speaker_N))
    by_speaker_N = order_N[np.argsort(position_N[order_N], kind="stable")]
    turn_N = np.empty(len(speaker_N), dtype=np.int64)
    first_S = np.cumsum(count_S) - count_S
    turn_N[by_speaker_N] = np.arange(len(speaker_N)) - np.repeat(first_S, count_S)
    each = 2
    while np.minimum(count_S, each + 1).sum() <= most:
        each += 1
    kept_N = turn_N < each
    if np.minimum(count_S, each).sum() > most:
        some_speakers = generator.permutation(len(count_S))[: max(2, most // each)]
        kept_N &= np.isin(position_N, some_speakers)
    return np.flatnonzero(kept_N)
