"""Figures of a cross-validation: the answers of all folds pooled, means over seeds, intervals over speakers.

Decisions are pooled over folds, since every speaker is tested once.  Measures that compare embeddings are taken within
each fold, where all embeddings come from one system, and averaged over folds.

Shapes: K seeds, S speakers, A accents, E embedding.  Cost: a minute for 240 speakers, five folds and three seeds, most
of it the speaker probe.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.special import softmax

from accent.errors import AccentError
from accent.metrics import (
    Estimate,
    accent_cllr,
    accent_eer,
    classification_over_seeds,
    confusion_by_speaker,
    expected_calibration_error,
    map_at_r,
    mean_estimate,
    permuted_accents,
    speaker_eer,
    speaker_probe,
)
from launch.evaluation.group_predictions import SIZES, GroupPredictions, concatenate

FoldsOfSeed = Sequence[GroupPredictions]


def fold_figures(folds_of_seeds: Sequence[FoldsOfSeed], seed: int = 0) -> dict[str, Any]:
    """Score one system.

    Args:
        folds_of_seeds: for each seed of the system the predictions of every fold, in the same order.
        seed: of the bootstrap and of the permutations.

    Returns:
        "utterance" and "speaker": accuracy, balanced accuracy and macro-F1 with intervals, chance and majority;
        "speaker_by_utterances": the same by how many utterances a speaker is judged by; "embedding": error rates,
        retrieval and the speaker probe; "calibration"; "permutation"; "confusion" (speakers, rows are true accents).

    Raises:
        AccentError: a speaker is tested in two folds, or the seeds tested different speakers.
    """
    pooled = [concatenate(folds) for folds in folds_of_seeds]
    _check(folds_of_seeds, pooled)
    wholes = [one.rows(one.whole_G) for one in pooled]
    singles = [one.rows(one.size_G == 1) for one in pooled]
    by_size = {}
    for size in SIZES:
        rows = [one.rows(one.size_G == size) for one in pooled]
        if len(rows[0].key_G):
            by_size[str(size)] = _decisions(rows, True, seed)
    by_size["all"] = _decisions(wholes, True, seed)
    n_accents = len(pooled[0].accents)
    return {
        "accents": pooled[0].accents.tolist(),
        "seeds": len(pooled),
        "folds": len(folds_of_seeds[0]),
        "speakers": len(wholes[0].key_G),
        "utterances": len(singles[0].key_G),
        "utterance": _decisions(singles, False, seed),
        "speaker": by_size["all"],
        "speaker_by_utterances": by_size,
        "embedding": _embedding_figures(folds_of_seeds),
        "calibration": {"utterance": _calibration(singles), "speaker": _calibration(wholes)},
        "permutation": _permutation(wholes, seed),
        "confusion": np.mean([_confusion(one, n_accents).sum(0) for one in wholes], axis=0).tolist(),
    }


def _decisions(rows: Sequence[GroupPredictions], each_speaker_once: bool, seed: int) -> dict[str, Any]:
    n_accents = len(rows[0].accents)
    counts_KSAA = np.stack([_confusion(one, n_accents, each_speaker_once) for one in rows])
    figures = classification_over_seeds(counts_KSAA, seed=seed)
    return {name: figure.to_mapping() for name, figure in figures.items()}


def _confusion(rows: GroupPredictions, n_accents: int, each_speaker_once: bool = False) -> np.ndarray:
    return confusion_by_speaker(rows.accent_G, rows.told(), rows.speaker_G, n_accents, each_speaker_once)


def _embedding_figures(folds_of_seeds: Sequence[FoldsOfSeed]) -> dict[str, Any]:
    found: dict[str, list[Estimate]] = {}
    for folds in folds_of_seeds:
        for fold, predictions in enumerate(folds):
            singles = predictions.rows(predictions.size_G == 1)
            # Folds hold other speakers and draw them apart; seeds of one fold hold the same and draw them alike.
            mine, whole = _labelled(singles), _labelled(predictions.rows(predictions.whole_G))
            for name, figure in (
                ("accent_eer", accent_eer(*mine, seed=fold)),
                ("accent_eer_of_speakers", accent_eer(*whole, seed=fold)),
                ("speaker_eer", speaker_eer(*mine, seed=fold)),
                ("speaker_eer_within_accent", speaker_eer(*mine, within_accent=True, seed=fold)),
                ("map_at_r", map_at_r(*mine, seed=fold)),
                ("speaker_probe_within_accent", speaker_probe(*mine, seed=fold)),
            ):
                found.setdefault(name, []).append(figure)
    return {name: mean_estimate(figures).to_mapping() for name, figures in found.items()}


def _labelled(rows: GroupPredictions) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return rows.embedding_GE, rows.accent_G, np.unique(rows.speaker_G, return_inverse=True)[1]


def _calibration(rows: Sequence[GroupPredictions]) -> dict[str, Any]:
    several = len(np.unique(rows[0].accent_G)) > 1
    return {
        "ece": float(
            np.mean([expected_calibration_error(softmax(one.logits_GA, axis=1), one.accent_G) for one in rows])
        ),
        "cllr": float(np.mean([accent_cllr(one.logits_GA, one.accent_G) for one in rows])) if several else None,
    }


def _permutation(wholes: Sequence[GroupPredictions], seed: int) -> dict[str, Any]:
    ordered = [one.rows(np.argsort(one.speaker_G)) for one in wholes]
    return permuted_accents(ordered[0].accent_G, np.stack([one.told() for one in ordered]), seed=seed)._asdict()


def _check(folds_of_seeds: Sequence[FoldsOfSeed], pooled: Sequence[GroupPredictions]) -> None:
    for folds in folds_of_seeds:
        names = [name for fold in folds for name in np.unique(fold.speaker_G)]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise AccentError(f"speaker {twice[0]} is tested in two folds; a speaker belongs to one")
    speakers = {tuple(np.unique(one.speaker_G)) for one in pooled}
    if len(speakers) > 1:
        raise AccentError("the seeds tested different speakers; run the folds of every seed to the end")
