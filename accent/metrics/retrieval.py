"""How the space is ordered: do a recording's nearest other speakers have its accent, and do accents form clusters?

Shapes: N queries, M references, E embedding, n queries of a block.  Cost: a sort of each query's references; 2,000
queries against 2,000 references take about half a second.
"""

import numpy as np
from sklearn.metrics import silhouette_score

from accent.metrics.estimate import (
    Estimate,
    mean_over_speakers_draws,
    mean_over_speakers_interval,
    percentile_interval,
    thin,
    undefined,
    unit_length,
    why_no_interval,
)

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
) -> Estimate:
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
    draws_R = mean_over_speakers_draws(precision_N[answered], speaker[answered], seed)
    interval = None if draws_R is None else percentile_interval(draws_R)
    return Estimate(
        float(precision_N[answered].mean()),
        interval,
        chance=float(random_N[answered].mean()),
        basis=basis,
        reason=None if interval else why_no_interval(len(np.unique(speaker[answered]))),
        draws_R=draws_R,
    )


def accent_silhouette(
    embeddings_NE: np.ndarray,
    accent_N: np.ndarray,
    speaker_N: np.ndarray,
    most_utterances: int = MOST_UTTERANCES,
    seed: int = 0,
) -> Estimate:
    """Return the mean silhouette width of the accents, each recording measured against other speakers only.

    With a the mean cosine distance to the OTHER speakers of a recording's accent and b that to the nearest other
    accent, the width is (b - a) / max(a, b): 1 for tight accents apart, 0 for none, below 0 for mixed ones.  The usual
    silhouette would count a speaker's own recordings in a, and call a space of speakers a space of accents.  Source:
    Rousseeuw, Silhouettes, J. Comput. Appl. Math. 20, 1987; the restriction to other speakers is ours.

    Args:
        embeddings_NE: one embedding an utterance.
        accent_N: the accents.
        speaker_N: the speakers.
        most_utterances: above it, utterances are left out evenly over the speakers.
        seed: of that choice.

    Returns:
        The mean over recordings whose accent has another speaker; without a value where there is none, or one accent.
    """
    rows = thin(speaker_N, most_utterances, seed)
    embeddings, speaker = unit_length(embeddings_NE[rows]), speaker_N[rows]
    accents, accent = np.unique(accent_N[rows], return_inverse=True)
    if len(accents) < 2:
        return undefined("one accent", 0.0)
    distance_nn = 1 - embeddings @ embeddings.T
    of_accent_nA = np.eye(len(accents))[accent]
    another = (speaker[:, None] != speaker) & (accent[:, None] == accent)
    n_others = another.sum(1)
    measured = n_others > 0
    if not measured.any():
        return undefined("no two speakers share an accent", 0.0)
    own = (distance_nn * another).sum(1)[measured] / n_others[measured]
    mean_nA = distance_nn @ of_accent_nA / of_accent_nA.sum(0)
    nearest = np.where(of_accent_nA == 1, np.inf, mean_nA).min(1)[measured]
    larger = np.maximum(own, nearest)
    width = np.divide(nearest - own, larger, out=np.zeros_like(own), where=larger > 0)
    interval = mean_over_speakers_interval(width, speaker[measured], seed)
    reason = None if interval else why_no_interval(len(np.unique(speaker[measured])))
    return Estimate(float(width.mean()), interval, 0.0, basis=f"{len(width)} utterances", reason=reason)


def speaker_silhouette(
    embeddings_NE: np.ndarray, speaker_N: np.ndarray, most_utterances: int = MOST_UTTERANCES, seed: int = 0
) -> Estimate:
    """Return the mean silhouette width of the speakers in cosine distance: how far each is a cluster of their own.

    Source: Rousseeuw, as above.  A space of accents, not of speakers, has a width near 0.

    Args:
        embeddings_NE: one embedding an utterance.
        speaker_N: the speakers.
        most_utterances: above it, utterances are left out evenly over the speakers.
        seed: of that choice.

    Returns:
        The figure; without a value for a single speaker or where nobody has two utterances.
    """
    rows = thin(speaker_N, most_utterances, seed)
    n_speakers = len(np.unique(speaker_N[rows]))
    if not 2 <= n_speakers < len(rows):
        return undefined("there is one speaker" if n_speakers < 2 else "no speaker has two utterances", 0.0)
    value = silhouette_score(unit_length(embeddings_NE[rows]), speaker_N[rows], metric="cosine")
    return Estimate(float(value), chance=0.0, basis=f"{n_speakers} speakers, {len(rows)} utterances")


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
