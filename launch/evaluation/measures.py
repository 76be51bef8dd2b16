"""Everything an evaluation measures, from embeddings to one mapping ready for JSON.

Training speakers' recordings teach the classifiers and are searched; the tested speakers' recordings are judged.

Shapes: N recordings, E embedding, A accents the model knows.  Cost: the linear probes, seconds to a minute.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from accent.errors import AccentError
from accent.metrics import (
    CLASSIFIERS,
    Estimate,
    accent_eer,
    accent_eer_against,
    accent_silhouette,
    classification,
    confusion_by_speaker,
    map_at_r,
    speaker_eer,
    speaker_probe,
    speaker_silhouette,
)
from launch.extraction.recordings import Recordings

ACCENT_HEAD = "accent_head"
"""The model's own classifier, beside those fitted on its embeddings."""
DURATIONS = (("below 2 s", 0.0, 2.0), ("2 to 4 s", 2.0, 4.0), ("4 s and more", 4.0, np.inf))
"""Name, from (included), to (not included), in seconds."""


def measure(training: Recordings, tested: Recordings, accents: Sequence[str], seed: int = 0) -> dict[str, Any]:
    """Measure how well embeddings tell the accent of speakers never heard before, and how much they tell the speaker.

    Args:
        training: recordings of the training speakers.
        tested: recordings of other speakers.
        accents: names of the accents the model knows.
        seed: of the bootstrap and of every choice of recordings.

    Returns:
        Sections "classification", "verification", "retrieval", "leakage" of figures by name; "by_sex" and
        "by_duration" with the groups that anybody is in; and "confusion" (rows are true accents).

    Raises:
        AccentError: the groups share a speaker, nobody is tested, or the training speakers have fewer than two accents.
    """
    shared = sorted(set(training.speaker_N) & set(tested.speaker_N))
    if shared:
        raise AccentError(f"{', '.join(shared)}: trained on, so not unseen; test on other speakers")
    if not len(tested):
        raise AccentError("no recording of a speaker to test; choose a split or a shard set that has some")
    if len(np.unique(training.accent_N)) < 2:
        raise AccentError("the training speakers' recordings hold fewer than two accents; nothing can be told apart")

    told = {
        name: classify(training.embedding_NE, training.accent_N, tested.embedding_NE)
        for name, classify in CLASSIFIERS.items()
    }
    told[ACCENT_HEAD] = tested.probability_NA.argmax(1)
    speaker_M, speaker_N = _numbered(training.speaker_N, tested.speaker_N)
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


def _numbered(training_M: np.ndarray, tested_N: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Number the speakers of both groups in one series: comparing numbers is far faster than comparing names."""
    _, number = np.unique(np.concatenate([training_M, tested_N]), return_inverse=True)
    return number[: len(training_M)], number[len(training_M) :]
