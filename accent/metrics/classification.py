"""Classify the accent of unseen speakers, with classifiers fitted on the training speakers' embeddings.

Shapes: M training utterances, N tested utterances, E embedding, A accents, S tested speakers, R resamples.  Accents are
integers 0..A-1.  Cost: the linear probe dominates, about 10 s for 20,000 embeddings of 256; the rest is below a second.
"""

from collections.abc import Callable

import numpy as np
from sklearn import config_context
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier, NearestCentroid
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from accent.metrics.estimate import (
    RESAMPLES,
    Estimate,
    percentile_interval,
    speaker_draws,
    unit_length,
    why_no_interval,
)

NEIGHBOURS = 10
MOST_REFERENCES = 50_000
"""Training embeddings that a tested one is compared with."""
BLOCK_BYTES = 64 << 20
"""Of distances in memory at a time."""


def nearest_centroid(training_ME: np.ndarray, accent_M: np.ndarray, tested_NE: np.ndarray) -> np.ndarray:
    """Tell each tested utterance's accent by the nearest mean of an accent's training embeddings.

    Args:
        training_ME: embeddings of the training speakers.
        accent_M: their accents.
        tested_NE: embeddings to classify.

    Returns:
        int [N]: the accents told.
    """
    return NearestCentroid().fit(unit_length(training_ME), accent_M).predict(unit_length(tested_NE))


def nearest_neighbours(
    training_ME: np.ndarray, accent_M: np.ndarray, tested_NE: np.ndarray, neighbours: int = NEIGHBOURS
) -> np.ndarray:
    """Tell each accent by a vote of the nearest training embeddings in cosine distance, the nearer counting more.

    Arguments and result as for `nearest_centroid`; `neighbours` is bounded by the number of training embeddings.  Of
    more than `MOST_REFERENCES` training embeddings as many are drawn at random and compared, so that the cost grows
    with what is tested and not with its product with the training set.
    """
    if len(accent_M) > MOST_REFERENCES:
        kept = np.sort(np.random.default_rng(0).choice(len(accent_M), MOST_REFERENCES, replace=False))
        training_ME, accent_M = training_ME[kept], accent_M[kept]
    # Weighting by distance breaks ties by closeness; plain votes would break them in favour of the first accent.
    classifier = KNeighborsClassifier(min(neighbours, len(accent_M)), weights="distance", metric="cosine")
    with config_context(working_memory=BLOCK_BYTES / (1 << 20)):
        return classifier.fit(unit_length(training_ME), accent_M).predict(unit_length(tested_NE))


def linear_probe(training_ME: np.ndarray, accent_M: np.ndarray, tested_NE: np.ndarray) -> np.ndarray:
    """Tell each accent by logistic regression on standardised embeddings, every accent weighing the same.

    Arguments and result as for `nearest_centroid`.  Source: Alain & Bengio, Understanding intermediate layers using
    linear classifier probes, 2016.
    """
    probe = make_pipeline(StandardScaler(), LogisticRegression(max_iter=5_000, class_weight="balanced"))
    return probe.fit(training_ME, accent_M).predict(tested_NE)


CLASSIFIERS: dict[str, Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]] = {
    "nearest_centroid": nearest_centroid,
    "nearest_neighbours": nearest_neighbours,
    "linear_probe": linear_probe,
}
"""Name -> function of (training embeddings, their accents, tested embeddings) that tells accents."""


def confusion_by_speaker(
    accent_N: np.ndarray,
    told_N: np.ndarray,
    speaker_N: np.ndarray,
    n_accents: int,
    each_speaker_once: bool = False,
) -> np.ndarray:
    """Count what was told for what, one table a speaker.

    Args:
        accent_N: true accents.
        told_N: accents told.
        speaker_N: who spoke.
        n_accents: how many accents could have been told.
        each_speaker_once: divide by the speaker's count, so that every speaker weighs the same.

    Returns:
        int (or float) [S, A, A]: rows are true accents, columns accents told; speakers in sorted order.
    """
    speakers, position_N = np.unique(speaker_N, return_inverse=True)
    counts_SAA = np.zeros((len(speakers), n_accents, n_accents), dtype=np.int64)
    np.add.at(counts_SAA, (position_N, accent_N, told_N), 1)
    return counts_SAA / counts_SAA.sum((1, 2), keepdims=True) if each_speaker_once else counts_SAA


def scores_of_confusion(counts: np.ndarray) -> dict[str, np.ndarray]:
    """Return accuracy, balanced accuracy and macro-F1 of confusion tables.

    Args:
        counts: [..., A, A]; rows are true accents.  Accents without a tested utterance are left out of both means.

    Returns:
        Name -> float [...], NaN for an empty table.
    """
    right = np.diagonal(counts, axis1=-2, axis2=-1)
    of_accent, told = counts.sum(-1), counts.sum(-2)
    tested = of_accent > 0
    with np.errstate(invalid="ignore", divide="ignore"):
        n_tested = tested.sum(-1)
        recall = np.where(tested, right / of_accent, 0)
        f1 = np.where(tested, 2 * right / (of_accent + told), 0)
        return {
            "accuracy": right.sum(-1) / of_accent.sum(-1),
            "balanced_accuracy": recall.sum(-1) / n_tested,
            "macro_f1": f1.sum(-1) / n_tested,
        }


def classification(
    accent_N: np.ndarray,
    told_N: np.ndarray,
    speaker_N: np.ndarray,
    n_accents: int,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> dict[str, Estimate]:
    """Score told accents: accuracy, balanced accuracy and macro-F1 with intervals over speakers, chance and majority.

    Args:
        accent_N: true accents of the tested utterances.
        told_N: accents told.
        speaker_N: who spoke.
        n_accents: how many accents could have been told; guessing is right once in so many.
        resamples: bootstrap draws of speakers.
        seed: of the draws.

    Returns:
        "accuracy", "balanced_accuracy" and "macro_f1".  Accents that nobody tested speaks are left out of the means.
        Macro-F1's chance is that of expected counts.
    """
    if not len(accent_N):
        nothing = Estimate(None, reason="no utterances")
        return {"accuracy": nothing, "balanced_accuracy": nothing, "macro_f1": nothing}
    counts_SAA = confusion_by_speaker(accent_N, told_N, speaker_N, n_accents)
    basis = f"{_speakers(len(counts_SAA))}, {len(accent_N)} utterances"
    return classification_over_seeds(counts_SAA[None], basis, resamples, seed)


def classification_over_seeds(
    counts_KSAA: np.ndarray, basis: str | None = None, resamples: int = RESAMPLES, seed: int = 0
) -> dict[str, Estimate]:
    """Score the answers of one system trained with several seeds, tested on the same speakers.

    Args:
        counts_KSAA: for each of K seeds what `confusion_by_speaker` returns; the speakers are the same.
        basis: what the figures rest on; speakers and seeds if left out.
        resamples: bootstrap draws of speakers; a draw is the same for all seeds.
        seed: of the draws.

    Returns:
        As `classification`: each figure is the mean over the seeds.
    """
    n_seeds, n_speakers, n_accents = counts_KSAA.shape[:3]
    counts_KAA = counts_KSAA.sum(1)
    of_accent_A = counts_KAA[0].sum(1)
    guessed_AA = np.broadcast_to(of_accent_A[:, None] / n_accents, counts_KAA.shape[1:])
    commonest_AA = np.zeros_like(counts_KAA[0])
    commonest_AA[:, of_accent_A.argmax()] = of_accent_A
    chance, majority = map(scores_of_confusion, (guessed_AA, commonest_AA))
    value = {name: scores.mean() for name, scores in scores_of_confusion(counts_KAA).items()}
    drawn: dict[str, np.ndarray] = {}
    if n_speakers > 1:
        draws_RS = speaker_draws(n_speakers, resamples, seed)
        by_seed = [_scores_of_draws(draws_RS, counts_SAA) for counts_SAA in counts_KSAA]
        drawn = {name: np.mean([scores[name] for scores in by_seed], axis=0) for name in value}
    if basis is None:
        basis = f"{_speakers(n_speakers)}, {n_seeds} seed{'s' * (n_seeds != 1)}"
    figures = {}
    for name in value:
        interval = percentile_interval(drawn[name]) if drawn else None
        reason = None if interval else why_no_interval(n_speakers)
        figures[name] = Estimate(
            float(value[name]),
            interval,
            float(chance[name]),
            float(majority[name]),
            basis,
            reason,
            drawn.get(name),
        )
    return figures


def _scores_of_draws(draws_RS: np.ndarray, counts_SAA: np.ndarray) -> dict[str, np.ndarray]:
    """Score the confusion tables of draws of the speakers; as many at a time as fit into a block of memory."""
    block = max(1, BLOCK_BYTES // (8 * counts_SAA[0].size))
    parts = [
        scores_of_confusion(np.tensordot(draws_RS[first : first + block], counts_SAA, axes=1))
        for first in range(0, len(draws_RS), block)
    ]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _speakers(count: int) -> str:
    return f"{count} speaker{'s' * (count != 1)}"
