"""How much of the speaker is left in an accent embedding: how well a new probe tells speakers of one accent apart.

Shapes: N utterances, E embedding.  Cost: five small logistic regressions an accent, seconds.
"""

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from accent.metrics.estimate import (
    Estimate,
    mean_over_speakers_draws,
    percentile_interval,
    thin,
    undefined,
    why_no_interval,
)

FOLDS = 5
MOST_UTTERANCES = 2_000


def speaker_probe(
    embeddings_NE: np.ndarray,
    accent_N: np.ndarray,
    speaker_N: np.ndarray,
    most_utterances: int = MOST_UTTERANCES,
    seed: int = 0,
) -> Estimate:
    """Return how often a linear probe names the speaker among the speakers of one accent.

    Within each accent of two or more speakers a logistic regression is fitted on some utterances of every speaker
    and tested on the others.  Chance, one in the number of the accent's speakers, means that no speaker is left.

    Args:
        embeddings_NE: one embedding an utterance.
        accent_N: the accents.
        speaker_N: the speakers; those with a single utterance are left out.
        most_utterances: above it, utterances are left out evenly over the speakers.
        seed: of the folds and of that choice.

    Returns:
        Accuracy over all utterances probed; majority is that of naming the accent's most recorded speaker.
    """
    rows = thin(speaker_N, most_utterances, seed)
    _, position, count = np.unique(speaker_N[rows], return_inverse=True, return_counts=True)
    rows = rows[count[position] >= 2]

    right, chance, majority, speakers = [], [], [], []
    for accent in np.unique(accent_N[rows]):
        mine = rows[accent_N[rows] == accent]
        names, count = np.unique(speaker_N[mine], return_counts=True)
        if len(names) < 2:
            continue
        folds = StratifiedKFold(min(FOLDS, int(count.min())), shuffle=True, random_state=seed)
        probe = make_pipeline(StandardScaler(), LogisticRegression(max_iter=5_000, class_weight="balanced"))
        told = cross_val_predict(probe, embeddings_NE[mine], speaker_N[mine], cv=folds)
        right.append(told == speaker_N[mine])
        chance.append(np.full(len(mine), 1 / len(names)))
        majority.append(np.full(len(mine), count.max() / len(mine)))
        speakers.append(speaker_N[mine])
    if not right:
        return undefined("no accent has two speakers with two utterances each")
    all_right, all_speakers = np.concatenate(right).astype(float), np.concatenate(speakers)
    draws_R = mean_over_speakers_draws(all_right, all_speakers, seed)
    interval = None if draws_R is None else percentile_interval(draws_R)
    n_speakers = len(np.unique(all_speakers))
    return Estimate(
        float(all_right.mean()),
        interval,
        chance=float(np.concatenate(chance).mean()),
        majority=float(np.concatenate(majority).mean()),
        basis=f"{n_speakers} speakers of {len(right)} accents, {len(all_right)} utterances",
        reason=None if interval else why_no_interval(n_speakers),
        draws_R=draws_R,
    )
