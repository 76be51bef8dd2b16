"""Equal error rates: can a threshold on the cosine tell same accent from other accent, same speaker from other speaker?

An accent trial pairs two recordings of DIFFERENT speakers; it is a target where their accents agree.  A speaker trial
is a target where the speakers agree.  A good accent embedding has a low accent error and a speaker error within the
accent near 0.5.

Shapes: N utterances, M training utterances, E embedding, n trials.  Cost: a sort of the trials, about half a second
for the two million kept at most.
"""

from math import isqrt

import numpy as np
from sklearn.metrics import roc_curve

from accent.metrics.estimate import Estimate, thin, undefined, unit_length

MOST_TRIALS = 2_000_000
CHANCE = 0.5


def equal_error_rate(score_n: np.ndarray, target_n: np.ndarray) -> float:
    """Return the rate at which false acceptances equal false rejections, between the ROC's corners by interpolation.

    Args:
        score_n: higher means more alike.
        target_n: bool, true where the pair belongs together.

    Returns:
        0 for perfect scores, about 0.5 for random ones.

    Raises:
        ValueError: only targets, or only non-targets.
    """
    if target_n.all() or not target_n.any():
        raise ValueError("an equal error rate needs both target and non-target trials")
    false_acceptance, true_acceptance, _ = roc_curve(target_n, score_n)
    gap = (1 - true_acceptance) - false_acceptance
    after = int(np.argmax(gap <= 0))
    share = gap[after - 1] / (gap[after - 1] - gap[after])
    return float(false_acceptance[after - 1] + share * (false_acceptance[after] - false_acceptance[after - 1]))


def accent_eer(
    embeddings_NE: np.ndarray,
    accent_N: np.ndarray,
    speaker_N: np.ndarray,
    most_trials: int = MOST_TRIALS,
    seed: int = 0,
) -> Estimate:
    """Return the accent's equal error rate over all pairs of different speakers.

    Args:
        embeddings_NE: one embedding an utterance.
        accent_N: the accents.
        speaker_N: the speakers.
        most_trials: above it, utterances are left out evenly over the speakers.
        seed: of that choice.

    Returns:
        The figure; without a value where no two speakers share an accent, or all do.
    """
    embeddings, accent, speaker = _thinned(embeddings_NE, accent_N, speaker_N, isqrt(2 * most_trials), seed)
    first, second = np.triu_indices(len(embeddings), 1)
    different = speaker[first] != speaker[second]
    first, second = first[different], second[different]
    scores = (embeddings @ embeddings.T)[first, second]
    target = accent[first] == accent[second]
    with_targets = f"targets of {len(np.unique(accent[first[target]]))} of {len(np.unique(accent))} accents"
    return _figure(scores, target, "no two speakers share an accent", "all share one accent", with_targets)


def accent_eer_against(
    embeddings_NE: np.ndarray,
    accent_N: np.ndarray,
    speaker_N: np.ndarray,
    training_ME: np.ndarray,
    training_accent_M: np.ndarray,
    training_speaker_M: np.ndarray,
    most_trials: int = MOST_TRIALS,
    seed: int = 0,
) -> Estimate:
    """Return the accent's equal error rate over pairs of a tested utterance and a training utterance.

    Defined even where an accent has a single tested speaker.  Arguments as for `accent_eer`; pairs of one speaker,
    should there be any, are left out.
    """
    tested, accent, speaker = _thinned(embeddings_NE, accent_N, speaker_N, isqrt(most_trials), seed)
    training, its_accent, its_speaker = _thinned(
        training_ME, training_accent_M, training_speaker_M, isqrt(most_trials), seed
    )
    different = speaker[:, None] != its_speaker[None, :]
    scores = (tested @ training.T)[different]
    target = (accent[:, None] == its_accent[None, :])[different]
    return _figure(scores, target, "no tested accent was trained on", "all share one accent")


def speaker_eer(
    embeddings_NE: np.ndarray,
    accent_N: np.ndarray,
    speaker_N: np.ndarray,
    within_accent: bool = False,
    most_trials: int = MOST_TRIALS,
    seed: int = 0,
) -> Estimate:
    """Return the speaker's equal error rate: how well the embedding tells who speaks.

    Args:
        embeddings_NE: one embedding an utterance.
        accent_N: the accents.
        speaker_N: the speakers.
        within_accent: non-targets share the accent, so that telling the accent is no help in telling the speaker.
        most_trials: above it, utterances are left out evenly over the speakers.
        seed: of that choice.

    Returns:
        The figure; without a value where no speaker has two utterances or there is nobody to confuse a speaker with.
    """
    embeddings, accent, speaker = _thinned(embeddings_NE, accent_N, speaker_N, isqrt(2 * most_trials), seed)
    first, second = np.triu_indices(len(embeddings), 1)
    if within_accent:
        same_accent = accent[first] == accent[second]
        first, second = first[same_accent], second[same_accent]
    scores = (embeddings @ embeddings.T)[first, second]
    nobody_else = "no two speakers share an accent" if within_accent else "there is one speaker"
    return _figure(scores, speaker[first] == speaker[second], "no speaker has two utterances", nobody_else)


def _thinned(
    embeddings_NE: np.ndarray, accent_N: np.ndarray, speaker_N: np.ndarray, most: int, seed: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rows = thin(speaker_N, most, seed)
    return unit_length(embeddings_NE[rows]), accent_N[rows], speaker_N[rows]


def _figure(
    score_n: np.ndarray, target_n: np.ndarray, without_targets: str, without_others: str, remark: str = ""
) -> Estimate:
    n_targets = int(target_n.sum())
    if n_targets == 0:
        return undefined(without_targets, CHANCE)
    if n_targets == len(target_n):
        return undefined(without_others, CHANCE)
    basis = f"{n_targets} target and {len(target_n) - n_targets} other trials" + (f", {remark}" if remark else "")
    return Estimate(equal_error_rate(score_n, target_n), chance=CHANCE, basis=basis)
