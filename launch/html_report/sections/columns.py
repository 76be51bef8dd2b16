"""The figures of every run in one form: what `accent evaluate` and `accent crossval` measure under the same names.

An evaluation is one column; a cross-validation or a folder of baselines is a column for each system.  Cost: none.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from launch.html_report.files import RunFiles
from launch.reporting.tables import TITLES

Figures = Mapping[str, Any]
"""What `Estimate.to_mapping` gives: value, interval, chance, majority, basis, reason."""

UTTERANCES, SPEAKERS = "accent of an utterance", "accent of a speaker, accent head"
VERIFICATION, RETRIEVAL, LEAKAGE = "verification", "retrieval", "speaker left in the embedding"
GROUPS = (UTTERANCES, SPEAKERS, VERIFICATION, RETRIEVAL, LEAKAGE)
"""Parts of the table, in this order."""
CONTROLS = ("silence_only", "long_term_spectrum")
"""Systems of `launch/evaluation/controls.py`."""
_OF_FOLDS = {
    "accent_eer": (VERIFICATION, "accent_eer_unseen"),
    "accent_eer_of_speakers": (VERIFICATION, "accent_eer_of_speakers"),
    "speaker_eer": (VERIFICATION, "speaker_eer_unseen"),
    "speaker_eer_within_accent": (VERIFICATION, "speaker_eer_unseen_within_accent"),
    "map_at_r": (RETRIEVAL, "map_at_r_unseen"),
    "speaker_probe_within_accent": (LEAKAGE, "speaker_probe_unseen_within_accent"),
}
"""Figures of a cross-validation: where they stand, and what an evaluation calls them."""


@dataclass(frozen=True)
class Column:
    """The figures of one system."""

    name: str
    figures: dict[tuple[str, str], Figures]
    """(part of the table, title) -> figure."""
    by_recordings: dict[str, Figures]
    """Balanced accuracy of speakers by how many recordings are heard: "1", "2" ... "all"."""
    is_control: bool = False


def columns_of(run: RunFiles) -> list[Column]:
    """Return the columns of a folder; none where nothing was measured."""
    if run.evaluation is not None:
        return [_of_evaluation(run.name, run.evaluation)]
    return [_of_system(run, name, system) for name, system in run.systems.items()]


def _of_evaluation(name: str, report: Mapping[str, Any]) -> Column:
    figures = {
        (UTTERANCES, f"{TITLES[classifier]}, {TITLES[measure]}"): figure
        for classifier, found in report["classification"].items()
        for measure, figure in found.items()
    }
    by_recordings = {}
    for size, found in report["speaker_classification"]["accent_head"].items():
        by_recordings[size] = found["balanced_accuracy"]
    figures |= dict(_of_speakers(report["speaker_classification"]["accent_head"]))
    for group, section in ((VERIFICATION, "verification"), (RETRIEVAL, "retrieval"), (LEAKAGE, "leakage")):
        figures |= {(group, TITLES[measure]): figure for measure, figure in report[section].items()}
    return Column(name, figures, by_recordings)


def _of_system(run: RunFiles, name: str, system: Mapping[str, Any]) -> Column:
    sizes = system["speaker_by_utterances"]
    figures = {
        (UTTERANCES, f"{TITLES['accent_head']}, {TITLES[measure]}"): figure
        for measure, figure in system["utterance"].items()
    }
    figures |= dict(_of_speakers(sizes))
    for measure, figure in system["embedding"].items():
        group, same_as = _OF_FOLDS[measure]
        figures[group, TITLES[same_as]] = figure
    title = run.name if name == "encoder" else system["title"]
    return Column(title, figures, {size: sizes[size]["balanced_accuracy"] for size in sizes}, name in CONTROLS)


def _of_speakers(sizes: Mapping[str, Any]) -> Iterator[tuple[tuple[str, str], Figures]]:
    for measure, figure in sizes["all"].items():
        yield (SPEAKERS, f"all recordings, {TITLES[measure]}"), figure
    for size, found in sizes.items():
        if size != "all":
            recordings = "1 recording" if size == "1" else f"{size} recordings"
            yield (SPEAKERS, f"{recordings}, {TITLES['balanced_accuracy']}"), found["balanced_accuracy"]
