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

from accent.metrics.estimate import (
    Estimate,
    percentile_interval,
    speaker_draws,
    thin,
    undefined,
    unit_length,
    why_no_interval,
)

MOST_TRIALS = 2_000_000
CHANCE = 0.5
RESAMPLES = 200
"""Bootstrap draws behind an interval: each goes through the trials once more."""
MOST_TRIALS_DRAWN = 200_000
"""Trials behind an interval; a random choice of them where there are more."""


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
    # The curve begins at (0, 0), which _crossing puts there itself.
    false_acceptance, true_acceptance, _ = roc_curve(target_n, score_n)
    return _crossing(false_acceptance[1:], 1 - true_acceptance[1:])


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
    pairs = (speaker[first], speaker[second])
    return _figure(scores, target, pairs, "no two speakers share an accent", "all share one accent", seed, with_targets)


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
    tested_pairs = np.broadcast_to(speaker[:, None], different.shape)[different]
    # Only the tested speakers are drawn again: the training speakers are part of the system.
    return _figure(
        scores, target, (tested_pairs, None), "no tested accent was trained on", "all share one accent", seed
    )


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
    pairs = (speaker[first], speaker[second])
    target = speaker[first] == speaker[second]
    return _figure(scores, target, pairs, "no speaker has two utterances", nobody_else, seed)


def _thinned(
    embeddings_NE: np.ndarray, accent_N: np.ndarray, speaker_N: np.ndarray, most: int, seed: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rows = thin(speaker_N, most, seed)
    return unit_length(embeddings_NE[rows]), accent_N[rows], speaker_N[rows]


def _figure(
    score_n: np.ndarray,
    target_n: np.ndarray,
    speakers_n: tuple[np.ndarray, np.ndarray | None],
    without_targets: str,
    without_others: str,
    seed: int,
    remark: str = "",
) -> Estimate:
    n_targets = int(target_n.sum())
    if n_targets == 0:
        return undefined(without_targets, CHANCE)
    if n_targets == len(target_n):
        return undefined(without_others, CHANCE)
    basis = f"{n_targets} target and {len(target_n) - n_targets} other trials" + (f", {remark}" if remark else "")
    draws_R = _bootstrap(score_n, target_n, *speakers_n, seed)
    interval = None if draws_R is None else percentile_interval(draws_R)
    n_speakers = len(np.unique(speakers_n[0]))
    reason = None if interval else why_no_interval(n_speakers)
    return Estimate(equal_error_rate(score_n, target_n), interval, CHANCE, None, basis, reason, draws_R)


def _bootstrap(
    score_n: np.ndarray, target_n: np.ndarray, first_n: np.ndarray, second_n: np.ndarray | None, seed: int
) -> np.ndarray | None:
    """Return the equal error rate for many draws of the speakers: a trial weighs as often as its speakers are drawn."""
    if len(score_n) > MOST_TRIALS_DRAWN:
        kept = np.sort(np.random.default_rng(seed).choice(len(score_n), MOST_TRIALS_DRAWN, replace=False))
        score_n, target_n, first_n = score_n[kept], target_n[kept], first_n[kept]
        second_n = None if second_n is None else second_n[kept]
    order = np.argsort(-score_n, kind="stable")
    score_n, target_n, first_n = score_n[order], target_n[order], first_n[order]
    both = first_n if second_n is None else np.concatenate([first_n, second_n[order]])
    speakers, position = np.unique(both, return_inverse=True)
    if len(speakers) < 2:
        return None
    first, second = position[: len(order)], position[len(order) :]
    last_of_score = np.append(np.flatnonzero(np.diff(score_n)), len(score_n) - 1)
    rates = []
    for draw_S in speaker_draws(len(speakers), RESAMPLES, seed):
        weight = draw_S[first].astype(np.float64)
        if second_n is not None:
            # Copies of one speaker make no trials with each other.
            weight = np.where(first == second, weight, weight * draw_S[second])
        accepted_target = np.cumsum(weight * target_n)[last_of_score]
        accepted_other = np.cumsum(weight * ~target_n)[last_of_score]
        if accepted_target[-1] == 0 or accepted_other[-1] == 0:
            continue
        rates.append(_crossing(accepted_other / accepted_other[-1], 1 - accepted_target / accepted_target[-1]))
    # A draw without targets or without others has no rate; the others are cycled so that draws of folds line up.
    return np.resize(rates, RESAMPLES) if rates else None


def _crossing(false_acceptance: np.ndarray, false_rejection: np.ndarray) -> float:
    """Interpolate where the two rates meet, between the thresholds beside it."""
    false_acceptance, false_rejection = np.append(0.0, false_acceptance), np.append(1.0, false_rejection)
    gap = false_rejection - false_acceptance
    after = int(np.argmax(gap <= 0))
    share = gap[after - 1] / (gap[after - 1] - gap[after])
    return float(false_acceptance[after - 1] + share * (false_acceptance[after] - false_acceptance[after - 1]))
