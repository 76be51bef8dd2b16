"""Measures of accent embeddings: how much of the accent they hold, and how much of the speaker.

Pure functions of embeddings and labels.  The speaker is the independent unit everywhere: a match between two
recordings of one speaker never counts for the accent, and intervals come from drawing speakers, not utterances, again.
Each file holds one idea: `classification` (accent of an unseen speaker), `verification` (equal error rates),
`retrieval` (MAP@R and silhouette), `leakage` (what is left of the speaker).
"""

from accent.metrics.classification import (
    CLASSIFIERS,
    classification,
    confusion_by_speaker,
    linear_probe,
    nearest_centroid,
    nearest_neighbours,
)
from accent.metrics.estimate import Estimate
from accent.metrics.leakage import speaker_probe
from accent.metrics.retrieval import accent_silhouette, map_at_r, speaker_silhouette
from accent.metrics.verification import accent_eer, accent_eer_against, equal_error_rate, speaker_eer

__all__ = [
    "CLASSIFIERS",
    "Estimate",
    "accent_eer",
    "accent_eer_against",
    "accent_silhouette",
    "classification",
    "confusion_by_speaker",
    "equal_error_rate",
    "linear_probe",
    "map_at_r",
    "nearest_centroid",
    "nearest_neighbours",
    "speaker_eer",
    "speaker_probe",
    "speaker_silhouette",
]
