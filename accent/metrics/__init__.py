"""Measures of accent embeddings: how much of the accent they hold, and how much of the speaker.

Pure functions of embeddings and labels.  The speaker is the independent unit everywhere: a match between two
recordings of one speaker never counts for the accent, and intervals come from drawing speakers, not utterances, again.
Each file holds one idea: `classification` (accent of an unseen speaker), `verification` (equal error rates),
`detection` (thresholds and their costs), `score_normalisation` and `quality_calibration` (speaker trials over accents),
`retrieval` (MAP@R and silhouette), `leakage` (what is left of the speaker), `calibration` (are probabilities true),
`permutation` (could it be luck), `open_set` (accents never learnt), `groups` (several utterances of a speaker at once).
"""

from accent.metrics.calibration import (
    Reliability,
    accent_cllr,
    cllr,
    expected_calibration_error,
    fit_temperature,
    reliability,
)
from accent.metrics.classification import (
    CLASSIFIERS,
    classification,
    classification_over_seeds,
    confusion_by_speaker,
    linear_probe,
    nearest_centroid,
    nearest_neighbours,
)
from accent.metrics.estimate import Estimate, difference, mean_estimate
from accent.metrics.groups import EmbedGroups, GroupOutput, RowGroups, mean_of_utterances, subsets_of_speakers
from accent.metrics.leakage import speaker_probe
from accent.metrics.open_set import OpenSetCurve, unknown_accent_auc, unknown_accent_curve
from accent.metrics.permutation import PermutationTest, permuted_accents
from accent.metrics.retrieval import accent_silhouette, map_at_r, speaker_silhouette
from accent.metrics.verification import accent_eer, accent_eer_against, equal_error_rate, speaker_eer

__all__ = [
    "CLASSIFIERS",
    "EmbedGroups",
    "Estimate",
    "GroupOutput",
    "OpenSetCurve",
    "PermutationTest",
    "Reliability",
    "RowGroups",
    "accent_cllr",
    "accent_eer",
    "accent_eer_against",
    "accent_silhouette",
    "classification",
    "classification_over_seeds",
    "cllr",
    "confusion_by_speaker",
    "difference",
    "equal_error_rate",
    "expected_calibration_error",
    "fit_temperature",
    "linear_probe",
    "map_at_r",
    "mean_estimate",
    "mean_of_utterances",
    "nearest_centroid",
    "nearest_neighbours",
    "permuted_accents",
    "reliability",
    "speaker_eer",
    "speaker_probe",
    "speaker_silhouette",
    "subsets_of_speakers",
    "unknown_accent_auc",
    "unknown_accent_curve",
]
