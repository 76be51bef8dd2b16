"""Tables of an evaluation for the terminal, at most 80 columns wide.  Cost: milliseconds."""

from collections.abc import Mapping
from typing import Any

from rich import box
from rich.table import Table

from accent.shown import shown

_NARROW: dict[str, Any] = {"box": box.SIMPLE_HEAD, "padding": (0, 1, 0, 0), "show_edge": False}
"""Both tables fit a terminal of 80 columns."""

TITLES = {
    "nearest_centroid": "nearest centroid",
    "nearest_neighbours": "nearest neighbours",
    "linear_probe": "linear probe",
    "accent_head": "accent head",
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy",
    "macro_f1": "macro-F1",
    "accent_eer_unseen": "accent EER, unseen pairs",
    "accent_eer_unseen_against_training": "accent EER, unseen vs training",
    "accent_eer_of_speakers": "accent EER of speakers, unseen",
    "speaker_eer_unseen": "speaker EER, unseen",
    "speaker_eer_unseen_within_accent": "speaker EER in accent, unseen",
    "speaker_eer_training_within_accent": "speaker EER in accent, training",
    "map_at_r_unseen": "MAP@R, unseen",
    "map_at_r_unseen_among_training": "MAP@R, unseen among training",
    "silhouette_accent_unseen": "silhouette by accent, unseen",
    "silhouette_speaker_unseen": "silhouette by speaker, unseen",
    "speaker_probe_unseen_within_accent": "speaker probe in accent, unseen",
    "speaker_probe_training_within_accent": "speaker probe in accent, training",
}
"""What people read for each key of the report."""


def figures_table(report: Mapping[str, Any]) -> Table:
    """Return the main figures as a table: figure, value, interval, chance, majority.

    Args:
        report: what `launch.evaluation.measures.measure` returns, with "title".

    Returns:
        A table for the terminal, at most 80 columns wide; below it, why a value or an interval is missing.
    """
    table = Table(title=report["title"], title_justify="left", caption_justify="left", **_NARROW)
    table.add_column("figure", no_wrap=True)
    for column in ("value", "95 % interval", "chance", "majority"):
        table.add_column(column, justify="right", no_wrap=True)
    rows = [
        (f"{TITLES[classifier]}, {TITLES[name]}", figures[name], name == "macro_f1")
        for classifier, figures in report["classification"].items()
        for name in ("accuracy", "macro_f1")
    ]
    for section in ("verification", "retrieval", "leakage"):
        last = len(report[section]) - 1
        rows += [(TITLES[name], figure, n == last) for n, (name, figure) in enumerate(report[section].items())]
    reasons: list[str] = []
    for title, figure, ends_section in rows:
        note = ""
        if figure["reason"]:
            if figure["reason"] not in reasons:
                reasons.append(figure["reason"])
            note = f" ({reasons.index(figure['reason']) + 1})"
        table.add_row(f"{title}{note}", *_cells(figure), end_section=ends_section)
    table.caption = "\n".join(f"({number}) {reason}" for number, reason in enumerate(reasons, start=1))
    return table


def groups_table(report: Mapping[str, Any]) -> Table:
    """Return the accuracies by sex and by duration, one row a group and one column a classifier."""
    table = Table(title="accuracy by group", title_justify="left", **_NARROW)
    table.add_column("group", no_wrap=True)
    for column in ("speakers", "recordings", *(TITLES[name] for name in report["classification"])):
        table.add_column(column.replace(" ", "\n"), justify="right", no_wrap=True)
    for section in ("by_sex", "by_duration"):
        for group, found in report[section].items():
            accuracies = [_number(figures["accuracy"]["value"]) for figures in found["classification"].values()]
            table.add_row(shown(group), str(found["speakers"]), str(found["recordings"]), *accuracies)
        table.add_section()
    return table


def unknown_table(section: Mapping[str, Any]) -> Table:
    """Return how well accents never trained on are noticed: a row for recordings and for speakers, and each threshold.

    Args:
        section: what `launch.evaluation.unknown_accents.measure_unknown` returns, with "accents".
    """
    table = Table(title=f"unknown accents: {', '.join(section['accents'])}", title_justify="left", **_NARROW)
    table.add_column("judged by", no_wrap=True)
    table.add_column("fitted on", no_wrap=True)
    for column in ("area under ROC", "95 % interval", "threshold", "known called unknown", "unknown noticed"):
        table.add_column(column.replace(" ", "\n"), justify="right", no_wrap=True)
    for unit in ("recordings", "speakers"):
        found = section[unit]
        value, interval, _, _ = _cells(found["auroc"])
        for group, rates in found["thresholds"].items():
            shown = (_number(rates[name]) for name in ("threshold", "false_unknown", "detected"))
            table.add_row(unit, group, value, interval, *shown)
    table.caption = "a threshold calls at most 5 % of the speakers it is fitted on unknown"
    table.caption_justify = "left"
    return table


def left_out_table(section: Mapping[str, Any]) -> Table:
    """Return what leaving each feature family out costs in balanced accuracy, the dearest family first.

    Args:
        section: what `launch.evaluation.left_out_families.measure_left_out` returns.
    """
    table = Table(title="balanced accuracy lost without a family", title_justify="left", **_NARROW)
    table.add_column("family", no_wrap=True)
    for unit in ("an utterance", "a speaker"):
        table.add_column(unit, justify="right", no_wrap=True)
        table.add_column("95 % interval", justify="right", no_wrap=True)
    for family in sorted(section, key=lambda name: -section[name]["utterance"]["cost"]["value"]):
        costs = [section[family][unit]["cost"] for unit in ("utterance", "speaker")]
        table.add_row(family, *(cell for cost in costs for cell in _cells(cost)[:2]))
    table.caption = "the family's fusion weight at zero, the others grown; not trained anew"
    table.caption_justify = "left"
    return table


def _cells(figure: Mapping[str, Any]) -> list[str]:
    interval = figure["interval"]
    return [
        _number(figure["value"]),
        f"{interval[0]:.3f}-{interval[1]:.3f}" if interval else "-",
        _number(figure["chance"]),
        _number(figure["majority"]),
    ]


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
