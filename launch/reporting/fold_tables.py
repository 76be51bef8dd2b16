"""Tables of cross-validated systems for the terminal and as Markdown."""

from collections.abc import Mapping
from typing import Any

from rich import box
from rich.table import Table

_NARROW: dict[str, Any] = {"box": box.SIMPLE_HEAD, "padding": (0, 1, 0, 0), "show_edge": False}
COLUMNS = (
    "system",
    "speaker: balanced accuracy",
    "speaker: macro-F1",
    "utterance: balanced accuracy",
    "1",
    "2",
    "4",
    "6",
)
MORE_COLUMNS = (
    "system",
    "accent EER",
    "of speakers",
    "speaker EER",
    "MAP@R",
    "speaker probe",
    "ECE",
    "Cllr",
    "p",
)


EMBEDDING_FIGURES = (
    "accent_eer",
    "accent_eer_of_speakers",
    "speaker_eer",
    "map_at_r",
    "speaker_probe_within_accent",
)


def decisions_rows(report: Mapping[str, Any]) -> list[list[str]]:
    """Return a row for each system: decisions by speaker and utterance, and by how many utterances are heard."""
    rows = []
    for system in report["systems"].values():
        sizes = system["speaker_by_utterances"]
        rows.append(
            [
                system["title"],
                _with_interval(system["speaker"]["balanced_accuracy"]),
                _with_interval(system["speaker"]["macro_f1"]),
                _with_interval(system["utterance"]["balanced_accuracy"]),
                *(_number(sizes[size]["balanced_accuracy"]["value"]) if size in sizes else "-" for size in "1246"),
            ]
        )
    first = next(iter(report["systems"].values()))
    for name, key in (("chance", "chance"), ("majority", "majority")):
        rows.append(
            [
                name,
                _number(first["speaker"]["balanced_accuracy"][key]),
                _number(first["speaker"]["macro_f1"][key]),
                _number(first["utterance"]["balanced_accuracy"][key]),
                *[""] * 4,
            ]
        )
    return rows


def embedding_rows(report: Mapping[str, Any]) -> list[list[str]]:
    """Return a row for each system: measures of its embeddings, calibration, permutation test."""
    rows = []
    for system in report["systems"].values():
        embedding = system["embedding"]
        rows.append(
            [
                system["title"],
                *(_with_interval(embedding[name]) for name in EMBEDDING_FIGURES),
                _number(system["calibration"]["utterance"]["ece"]),
                _number(system["calibration"]["utterance"]["cllr"]),
                f"{system['permutation']['p_value']:.4f}",
            ]
        )
    return rows


def speakers_table(report: Mapping[str, Any]) -> Table:
    """Return the balanced accuracy of speakers by how many of their recordings are heard, a row a classifier."""
    first = next(iter(report["speaker_classification"].values()))
    table = Table(title="balanced accuracy of speakers, by recordings heard", title_justify="left", **_NARROW)
    table.add_column("classifier", no_wrap=True)
    for size in first:
        table.add_column(size, justify="right", no_wrap=True)
    for classifier, sizes in report["speaker_classification"].items():
        cells = (_with_interval(figures["balanced_accuracy"]) for figures in sizes.values())
        table.add_row(classifier.replace("_", " "), *(cell.replace(" ", "\n", 1) for cell in cells))
    return table


def fold_tables(report: Mapping[str, Any]) -> list[Table]:
    """Return both tables for the terminal, at most 80 columns wide."""
    tables = []
    for title, columns, rows in (
        (
            "accents of speakers (by all, 1, 2, 4, 6 utterances) and utterances; 95 % intervals",
            COLUMNS,
            decisions_rows(report),
        ),
        (
            "embeddings of utterances, one figure of speakers; calibration; permutation test",
            MORE_COLUMNS,
            embedding_rows(report),
        ),
    ):
        table = Table(title=title, title_justify="left", **_NARROW)
        for number, column in enumerate(columns):
            # Values stand above their intervals, so that the table fits a terminal of 80 columns.
            table.add_column(column.replace(" ", "\n") if number else column, justify="right" if number else "left")
        for row in rows:
            table.add_row(row[0], *(cell.replace(" ", "\n", 1) for cell in row[1:]))
        tables.append(table)
    return tables


def markdown(report: Mapping[str, Any]) -> str:
    """Return both tables as Markdown."""
    text = []
    for columns, rows in ((COLUMNS, decisions_rows(report)), (MORE_COLUMNS, embedding_rows(report))):
        lines = [columns, ["---"] * len(columns), *rows]
        text.append("".join("| " + " | ".join(line) + " |\n" for line in lines))
    return "\n".join(text)


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _with_interval(figure: Mapping[str, Any]) -> str:
    if figure["interval"] is None:
        return _number(figure["value"])
    low, high = figure["interval"]
    return f"{figure['value']:.3f} {low:.2f}-{high:.2f}"
