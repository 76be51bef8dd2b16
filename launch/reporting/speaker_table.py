"""Errors of speaker verification by pair of accents, for the terminal.  Cost: none."""

from collections.abc import Sequence
from typing import Protocol

from rich.table import Table


class Row(Protocol):
    """What a row shows; see `launch.applications.speaker_verification.PairFigures`."""

    @property
    def name(self) -> str: ...  # noqa: D102
    @property
    def targets(self) -> int: ...  # noqa: D102
    @property
    def others(self) -> int: ...  # noqa: D102
    @property
    def eer(self) -> tuple[float, float, float] | None: ...  # noqa: D102
    @property
    def min_dcf(self) -> tuple[float, float, float] | None: ...  # noqa: D102
    @property
    def cllr(self) -> float | None: ...  # noqa: D102


def speaker_table(rows: Sequence[Row]) -> Table:
    """Return the table: raw, normalised and calibrated scores side by side."""
    table = Table(title="speaker verification: raw > normalised > calibrated")
    for heading in ("accents", "targets", "others", "EER %", "minDCF", "Cllr"):
        table.add_column(heading, justify="left" if heading == "accents" else "right", no_wrap=heading == "accents")
    for row in rows:
        rates = "-" if row.eer is None else " > ".join(f"{100 * one:.1f}" for one in row.eer)
        costs = "-" if row.min_dcf is None else " > ".join(f"{one:.3f}" for one in row.min_dcf)
        bits = "-" if row.cllr is None else f"{row.cllr:.3f}"
        table.add_row(row.name, str(row.targets), str(row.others), rates, costs, bits)
    return table
