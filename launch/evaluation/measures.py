"""Everything an evaluation measures, from embeddings to one mapping ready for JSON.

Training speakers' recordings teach the classifiers and are searched; the tested speakers' recordings are judged.

Shapes: N recordings, E embedding, A accents the model knows.  Cost: the linear probes, seconds to a minute.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from accent.errors import AccentError
from accent.grouped import Grouped
from accent.metrics import (
    CLASSIFIERS,
    EmbedGroups,
    Estimate,
    RowGroups,
    accent_cllr,
    accent_eer,
    accent_eer_against,
    accent_silhouette,
    classification,
    classification_over_seeds,
    confusion_by_speaker,
    expected_calibration_error,
    map_at_r,
    mean_of_utterances,
    permuted_accents,
    speaker_eer,
    speaker_probe,
    speaker_silhouette,
    subsets_of_speakers,
)
from launch.evaluation.group_predictions import SIZES
from launch.extraction.recordings import Recordings

ACCENT_HEAD = "accent_head"
"""The model's own classifier, beside those fitted on its embeddings."""
DURATIONS = (("below 2 s", 0.0, 2.0), ("2 to 4 s", 2.0, 4.0), ("4 s and more", 4.0, np.inf))
"""Name, from (included), to (not included), in seconds."""


def measure(
    training: Recordings,
    tested: Recordings,
    accents: Sequence[str],
    seed: int = 0,
    embed_groups: EmbedGroups | None = None,
) -> dict[str, Any]:
    """Measure how well embeddings tell the accent of speakers never heard before, and how much they tell the speaker.

    Args:
        training: recordings of the training speakers.
        tested: recordings of other speakers.
        accents: names of the accents the model knows.
        seed: of the bootstrap and of every choice of recordings.
        embed_groups: the model's answer to groups of tested recordings, given their row numbers; if not given, the mean
            of their unit vectors and of the logarithms of their probabilities.

    Returns:
        Sections "classification", "verification", "retrieval", "leakage" of figures by name;
        "speaker_classification": speakers told by one, two, four, six and all of their recordings; "calibration" and
        "permutation" of the accent head; "by_sex" and "by_duration" with the groups that anybody is in; and "confusion"
        (rows are true accents).

    Raises:
        AccentError: the groups share a speaker, nobody is tested, or the training speakers have fewer than two accents.
    """
    shared = np.intersect1d(training.speaker_N, tested.speaker_N)
    if len(shared):
        raise AccentError(f"{', '.join(shared)}: trained on, so not unseen; test on other speakers")
    if not len(tested):
        raise AccentError("no recording of a speaker to test; choose a split or a shard set that has some")
    if len(np.unique(training.accent_N)) < 2:
        raise AccentError("the training speakers' recordings hold fewer than two accents; nothing can be told apart")

    speaker_M, speaker_N = _numbered(training.speaker_N, tested.speaker_N)
    groups_of = _groups(speaker_N, seed)
    rows_G = RowGroups.joined(list(groups_of.values()))
    log_probability_NA = np.log(np.maximum(tested.probability_NA, np.finfo(np.float32).tiny))
    embed_groups = embed_groups or mean_of_utterances(tested.embedding_NE, log_probability_NA)
    group_GE, group_logits_GA = embed_groups(rows_G)
    asked = np.concatenate([tested.embedding_NE, group_GE])
    answered = {
        name: classify(training.embedding_NE, training.accent_N, asked) for name, classify in CLASSIFIERS.items()
    }
    answered[ACCENT_HEAD] = np.concatenate([tested.probability_NA.argmax(1), group_logits_GA.argmax(1)])
    told = {name: answer[: len(tested)] for name, answer in answered.items()}
    of_groups = {name: answer[len(tested) :] for name, answer in answered.items()}
    mine = (tested.embedding_NE, tested.accent_N, speaker_N)
    theirs = (training.embedding_NE, training.accent_N, speaker_M)

    def scored(rows_N: np.ndarray) -> dict[str, Any]:
        return _classified(told, tested, speaker_N, rows_N, len(accents), seed)

    def groups(rows_by_name: Mapping[str, np.ndarray]) -> dict[str, Any]:
        return {
            name: {
                "speakers": len(np.unique(speaker_N[rows_N])),
                "recordings": int(rows_N.sum()),
                "classification": scored(rows_N),
            }
            for name, rows_N in rows_by_name.items()
            if rows_N.any()
        }

    confusion = {
        name: confusion_by_speaker(tested.accent_N, answer, speaker_N, len(accents)).sum(0).tolist()
        for name, answer in told.items()
    }
    sections: Mapping[str, Mapping[str, Estimate]] = {
        "verification": {
            "accent_eer_unseen": accent_eer(*mine, seed=seed),
            "accent_eer_unseen_against_training": accent_eer_against(*mine, *theirs, seed=seed),
            "speaker_eer_unseen": speaker_eer(*mine, seed=seed),
            "speaker_eer_unseen_within_accent": speaker_eer(*mine, within_accent=True, seed=seed),
            "speaker_eer_training_within_accent": speaker_eer(*theirs, within_accent=True, seed=seed),
        },
        "retrieval": {
            "map_at_r_unseen": map_at_r(*mine, seed=seed),
            "map_at_r_unseen_among_training": map_at_r(*mine, *theirs, seed=seed),
            "silhouette_accent_unseen": accent_silhouette(*mine, seed=seed),
            "silhouette_speaker_unseen": speaker_silhouette(tested.embedding_NE, speaker_N, seed=seed),
        },
        "leakage": {
            "speaker_probe_unseen_within_accent": speaker_probe(*mine, seed=seed),
            "speaker_probe_training_within_accent": speaker_probe(*theirs, seed=seed),
        },
    }
    return {
        "classification": scored(np.ones(len(tested), dtype=bool)),
        "speaker_classification": _speakers(of_groups, groups_of, tested.accent_N, speaker_N, len(accents), seed),
        "calibration": _calibration(tested.probability_NA, log_probability_NA, tested.accent_N),
        "permutation": _permutation(of_groups[ACCENT_HEAD], groups_of, tested.accent_N, seed),
        **{
            section: {name: figure.to_mapping() for name, figure in figures.items()}
            for section, figures in sections.items()
        },
        "by_sex": groups({sex: tested.sex_N == sex for sex in ("female", "male")}),
        "by_duration": groups(
            {name: (tested.seconds_N >= low) & (tested.seconds_N < high) for name, low, high in DURATIONS}
        ),
        "confusion": confusion,
    }


def _classified(
    told: Mapping[str, np.ndarray], tested: Recordings, speaker_N: np.ndarray, rows_N: np.ndarray, n: int, seed: int
) -> dict[str, dict[str, Any]]:
    """Score every classifier on some of the tested recordings."""
    scored = {
        classifier: classification(tested.accent_N[rows_N], answer_N[rows_N], speaker_N[rows_N], n, seed=seed)
        for classifier, answer_N in told.items()
    }
    return {
        classifier: {name: figure.to_mapping() for name, figure in figures.items()}
        for classifier, figures in scored.items()
    }


def _groups(speaker_N: np.ndarray, seed: int) -> dict[str, RowGroups]:
    """Group each speaker's recordings: subsets of each size that somebody has enough recordings for, and all."""
    groups = {str(size): subsets_of_speakers(speaker_N, size, seed=seed) for size in SIZES}
    whole = Grouped(speaker_N)
    groups["all"] = RowGroups(whole.rows_N, whole.starts_G)
    return {size: rows for size, rows in groups.items() if len(rows)}


def _speakers(
    told: Mapping[str, np.ndarray],
    groups_of: Mapping[str, RowGroups],
    accent_N: np.ndarray,
    speaker_N: np.ndarray,
    n_accents: int,
    seed: int,
) -> dict[str, dict[str, dict[str, Any]]]:
    """Score every classifier on groups of recordings; every speaker counts once."""
    scored: dict[str, dict[str, dict[str, Any]]] = {classifier: {} for classifier in told}
    start = 0
    for size, groups in groups_of.items():
        first = groups.first_G
        for classifier, answer in told.items():
            mine = answer[start : start + len(groups)]
            counts = confusion_by_speaker(accent_N[first], mine, speaker_N[first], n_accents, each_speaker_once=True)
            figures = classification_over_seeds(counts[None], f"{len(counts)} speakers", seed=seed)
            scored[classifier][size] = {name: figure.to_mapping() for name, figure in figures.items()}
        start += len(groups)
    return scored


def _calibration(probability_NA: np.ndarray, logits_NA: np.ndarray, accent_N: np.ndarray) -> dict[str, float | None]:
    several = len(np.unique(accent_N)) > 1
    return {
        "ece": expected_calibration_error(probability_NA, accent_N),
        "cllr": accent_cllr(logits_NA, accent_N) if several else None,
    }


def _permutation(
    told: np.ndarray, groups_of: Mapping[str, RowGroups], accent_N: np.ndarray, seed: int
) -> dict[str, Any]:
    wholes = groups_of["all"]
    accent_S = accent_N[wholes.first_G]
    return permuted_accents(accent_S, told[-len(wholes) :], seed=seed)._asdict()


def _numbered(training_M: np.ndarray, tested_N: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Number the speakers of both groups in one series: comparing numbers is far faster than comparing names."""
    _, number = np.unique(np.concatenate([training_M, tested_N]), return_inverse=True)
    return number[: len(training_M)], number[len(training_M) :]
