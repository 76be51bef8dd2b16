"""A calibration as a table for the terminal.  Cost: none."""

from rich.table import Table

from accent.inference.calibration import Calibration

HEADINGS = (
    "recordings", "seconds", "temperature", "unknown above", "known called unknown", "same accent above",
    "equal error rate",
)  # fmt: skip


def calibration_table(calibration: Calibration) -> tuple[Table, str]:
    """Return the levels as a table, and a line that says who was measured."""
    table = Table(title="calibration by amount of speech")
    for heading in HEADINGS:
        table.add_column(heading, justify="right")
    for level in calibration.levels:
        table.add_row(
            str(level.recordings),
            f"{level.seconds:.1f}",
            f"{level.temperature:.3g}",
            f"{level.unknown_above:.2f}",
            f"{level.known_called_unknown:.2f}",
            f"{level.same_above:.3f}",
            f"{level.equal_error_rate:.2f}",
        )
    remark = "; real use is less sure than this" if calibration.basis == "training speakers" else ""
    return table, f"measured on {calibration.speakers} {calibration.basis}{remark}"
