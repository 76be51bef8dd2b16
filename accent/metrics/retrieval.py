"""How the space is ordered: are a recording's nearest other speakers of its own accent, and do accents form clusters?

Shapes: N queries, M references, E embedding, n queries of a block.  Cost: a sort of each query's references; 2,000
queries against 2,000 references take about half a second.
"""

import numpy as np
from sklearn.metrics import silhouette_score

from accent.metrics.figure import Figure, mean_over_speakers_interval, thin, undefined, unit_length

MOST_UTTERANCES = 2_000
BLOCK = 256


def map_at_r(
    embeddings_NE: np.ndarray,
    accent_N: np.ndarray,
    speaker_N: np.ndarray,
    reference_ME: np.ndarray | None = None,
    reference_accent_M: np.ndarray | None = None,
    reference_speaker_M: np.ndarray | None = None,
    most_utterances: int = MOST_UTTERANCES,
    seed: int = 0,
) -> Figure:
    """Return mean average precision at R, recordings of the query's own speaker left out of what is retrieved.

    For a query with R references of its accent, precision is averaged over those of the first R places that hold its
    accent.  Source: Musgrave, Belongie & Lim, A metric learning reality check, ECCV 2020, section 3.2.

    Args:
        embeddings_NE: the queries.
        accent_N: their accents.
        speaker_N: their speakers.
        reference_ME: what is searched; the queries themselves where it is not given.
        reference_accent_M: accents of the references.
        reference_speaker_M: speakers of the references, numbered as `speaker_N`.
        most_utterances: above it, queries and references are left out evenly over the speakers.
        seed: of that choice.

    Returns:
        The mean over queries that have an R, beside what a random order would give.
    """
    queries = thin(speaker_N, most_utterances, seed)
    embeddings, accent, speaker = unit_length(embeddings_NE[queries]), accent_N[queries], speaker_N[queries]
    if reference_ME is None or reference_accent_M is None or reference_speaker_M is None:
        references, their_accent, their_speaker = embeddings, accent, speaker
    else:
        rows = thin(reference_speaker_M, most_utterances, seed)
        references = unit_length(reference_ME[rows])
        their_accent, their_speaker = reference_accent_M[rows], reference_speaker_M[rows]

    precision_N, random_N = np.full(len(embeddings), np.nan), np.full(len(embeddings), np.nan)
    for start in range(0, len(embeddings), BLOCK):
        block = slice(start, start + BLOCK)
        allowed_nM = speaker[block, None] != their_speaker
        similarity_nM = np.where(allowed_nM, embeddings[block] @ references.T, -np.inf)
        relevant_nM = allowed_nM & (accent[block, None] == their_accent)
        order_nM = np.argsort(-similarity_nM, axis=1, kind="stable")
        found_nM = np.take_along_axis(relevant_nM, order_nM, axis=1)
        precision_N[block] = _average_precision_at_r(found_nM, relevant_nM.sum(1))
        random_N[block] = _random_order(allowed_nM.sum(1), relevant_nM.sum(1))

    answered = np.isfinite(precision_N)
    if not answered.any():
        return undefined("no query has another speaker of its accent to be found")
    unanswered = len(answered) - int(answered.sum())
    basis = f"{int(answered.sum())} queries" + (f", {unanswered} without another speaker" if unanswered else "")
    interval = mean_over_speakers_interval(precision_N[answered], speaker[answered], seed)
    return Figure(
        float(precision_N[answered].mean()),
        interval,
        chance=float(random_N[answered].mean()),
        basis=basis,
        reason=None if interval else "one speaker has no interval",
    )


def silhouette(
    embeddings_NE: np.ndarray,
    label_N: np.ndarray,
    speaker_N: np.ndarray,
    most_utterances: int = MOST_UTTERANCES,
    seed: int = 0,
) -> Figure:
    """Return the mean silhouette width in cosine distance: 1 for tight clusters apart, 0 for none, below 0 for mixed.

    By accent, recordings of one speaker count as neighbours like any others: read it beside the silhouette by speaker.
    Source: Rousseeuw, Silhouettes, J. Comput. Appl. Math. 20, 1987.

    Args:
        embeddings_NE: one embedding an utterance.
        label_N: the clusters: accents, or speakers.
        speaker_N: the speakers, over whom utterances are left out evenly above `most_utterances`.
        most_utterances: how many are kept.
        seed: of that choice.

    Returns:
        The figure; without a value for a single cluster or clusters of one.
    """
    rows = thin(speaker_N, most_utterances, seed)
    label = label_N[rows]
    n_labels = len(np.unique(label))
    if not 2 <= n_labels < len(label):
        return undefined("one cluster" if n_labels < 2 else "no cluster has two utterances", 0.0)
    value = silhouette_score(unit_length(embeddings_NE[rows]), label, metric="cosine")
    return Figure(float(value), chance=0.0, basis=f"{len(rows)} utterances, {n_labels} clusters")


def _average_precision_at_r(found_nM: np.ndarray, relevant_n: np.ndarray) -> np.ndarray:
    """Average precision at R of ranked answers; NaN where nothing could be found."""
    place_M = np.arange(1, found_nM.shape[1] + 1)
    precision_nM = np.cumsum(found_nM, axis=1) / place_M
    counted_nM = found_nM & (place_M <= relevant_n[:, None])
    with np.errstate(invalid="ignore"):
        return (precision_nM * counted_nM).sum(1) / relevant_n


def _random_order(allowed_n: np.ndarray, relevant_n: np.ndarray) -> np.ndarray:
    """Expected average precision at R when the allowed references come in random order.

    Place i holds a relevant one with probability p = R / n, and then each earlier place does with
    q = (R - 1) / (n - 1): the mean over i <= R of p (1 + (i - 1) q) / i.
    """
    harmonic = np.concatenate([[0.0], np.cumsum(1 / np.arange(1, max(int(relevant_n.max()), 1) + 1))])[relevant_n]
    with np.errstate(invalid="ignore", divide="ignore"):
        p = relevant_n / allowed_n
        q = np.where(allowed_n > 1, (relevant_n - 1) / np.maximum(allowed_n - 1, 1), 0)
        return p / relevant_n * (harmonic + q * (relevant_n - harmonic))
