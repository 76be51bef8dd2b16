"""Goodness of pronunciation beside the errors that listeners marked, as in L2-ARCTIC's folders `annotation`.

Every phone that should have been said is scored at the place that the annotation gives it.  A phone is called wrong
where its goodness lies below a threshold.  The speakers are dealt to two halves, each accent to both; what threshold
gives the best F1 on one half is tested on the other, so that no speaker is judged by a threshold of their own.

    precision, recall, F1    of phones marked as substituted or deleted; beside F1 of calling every phone wrong
    rho                      Spearman's, over utterances: share of phones called wrong, and mean goodness, beside the
                             share that was marked

Added phones have no expected phone: they are counted and not looked for.

Shapes: N phones, U utterances.  Cost: that of scoring.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import spearmanr
from sklearn.metrics import precision_recall_curve, precision_recall_fscore_support

from accent.errors import AccentError
from accent.features.phones import SILENCE, UNKNOWN
from accent.inference.pronunciation import Expected, Pronunciation
from shards.corpora.annotations import AnnotatedPhone

FEWEST_SPEAKERS = 2


@dataclass(frozen=True)
class AnnotatedUtterance:
    """One recording that listeners annotated."""

    speaker: str
    accent: str
    phones: Sequence[AnnotatedPhone]

    def expected(self) -> Expected:
        """Return what should have been said."""
        return Expected([(one.start, one.end, one.canonical) for one in self.spoken()])

    def spoken(self) -> list[AnnotatedPhone]:
        """Return the phones that should have been said."""
        return [one for one in self.phones if one.canonical not in (SILENCE, UNKNOWN)]


def compare_with_annotations(
    utterances: Sequence[AnnotatedUtterance], scored: Sequence[Pronunciation]
) -> dict[str, Any]:
    """Return how well goodness finds the marked phones.

    Args:
        utterances: what listeners marked.
        scored: the scores of each, of its `expected()`.

    Returns:
        Figures, ready for JSON.

    Raises:
        AccentError: fewer than two speakers, or no marked phone in one of the halves.
    """
    half_of = _halves({one.speaker: one.accent for one in utterances})
    rows = [
        (place, half_of[utterance.speaker], mark.error, score.goodness)
        for place, (utterance, answer) in enumerate(zip(utterances, scored, strict=True))
        for mark, score in zip(utterance.spoken(), answer.phones, strict=True)
        if score.goodness is not None
    ]
    utterance_N, half_N, goodness_N = (np.array([row[at] for row in rows]) for at in (0, 1, 3))
    error_N = np.array([row[2] or "" for row in rows])
    wrong_N = error_N != ""
    if any(not wrong_N[half_N == half].any() for half in (0, 1)):
        raise AccentError("no phone is marked among half of the annotated speakers; annotate more of them")
    threshold_2 = np.array([_best_threshold(goodness_N[half_N != half], wrong_N[half_N != half]) for half in (0, 1)])
    called_N = goodness_N <= threshold_2[half_N]
    precision, recall, f1, _ = precision_recall_fscore_support(wrong_N, called_N, average="binary", zero_division=0)
    share = float(wrong_N.mean())
    marked_U, called_U, goodness_U = (_means(part_N, utterance_N) for part_N in (wrong_N, called_N, goodness_N))
    return {
        "speakers": len(half_of),
        "utterances": len(marked_U),
        "phones": len(rows),
        "marked": int(wrong_N.sum()),
        "additions": sum(mark.error == "a" for one in utterances for mark in one.phones),
        "thresholds": threshold_2.tolist(),
        "precision": float(precision),
        "recall": float(recall),
        "f1": float(f1),
        "f1_of_calling_all_wrong": 2 * share / (1 + share),
        "recall_of_substitutions": _share(called_N, error_N == "s"),
        "recall_of_deletions": _share(called_N, error_N == "d"),
        "rho_of_called_share": rank_correlation(called_U, marked_U),
        "rho_of_goodness": rank_correlation(-goodness_U, marked_U),
    }


def rank_correlation(one_U: np.ndarray, other_U: np.ndarray) -> float | None:
    """Return Spearman's rho; None where all values of one side are alike."""
    if len(one_U) < 2 or np.ptp(one_U) == 0 or np.ptp(other_U) == 0:
        return None
    return float(spearmanr(one_U, other_U).statistic)


def _halves(accent_of: dict[str, str]) -> dict[str, int]:
    """Deal speakers to two halves, the speakers of each accent in turn."""
    if len(accent_of) < FEWEST_SPEAKERS:
        raise AccentError("annotations of at least two speakers are needed: one chooses a threshold, one is tested")
    return {name: place % 2 for place, name in enumerate(sorted(accent_of, key=lambda name: (accent_of[name], name)))}


def _best_threshold(goodness_N: np.ndarray, wrong_N: np.ndarray) -> float:
    """Return the goodness at and below which calling phones wrong gives the best F1."""
    precision_n, recall_n, badness_n = precision_recall_curve(wrong_N, -goodness_N)
    f1_n = 2 * precision_n * recall_n / np.maximum(precision_n + recall_n, 1e-12)
    return -float(badness_n[f1_n[:-1].argmax()])


def _means(value_N: np.ndarray, utterance_N: np.ndarray) -> np.ndarray:
    count_U = np.bincount(utterance_N)
    return (np.bincount(utterance_N, value_N.astype(float)) / np.maximum(count_U, 1))[count_U > 0]


def _share(called_N: np.ndarray, chosen_N: np.ndarray) -> float | None:
    return float(called_N[chosen_N].mean()) if chosen_N.any() else None
