"""Goodness of pronunciation beside what people said, for the terminal.  Cost: none."""

from collections.abc import Mapping
from typing import Any

from rich.table import Table


def check_table(title: str, figures: Mapping[str, Any]) -> Table:
    """Return the table: a row a figure.

    Args:
        title: what was compared.
        figures: numbers by name, lists of numbers, and by level a mapping of its own.
    """
    table = Table(title=title)
    table.add_column("figure")
    table.add_column("value", justify="right")
    for name, value in figures.items():
        rows = value.items() if isinstance(value, Mapping) else (("", value),)
        for part, one in rows:
            table.add_row(f"{name} {part}".strip().replace("_", " "), _shown(one))
    return table


def _shown(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, list):
        return ", ".join(map(_shown, value))
    return str(value) if isinstance(value, int) else f"{value:.3f}"
