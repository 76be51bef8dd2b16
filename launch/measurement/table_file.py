"""A table as CSV, Parquet or a spreadsheet, written and read, and its codebook beside it.

Undefined values are empty cells.  A file is there whole or not at all.  Cost: that of pandas.
"""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING
from zipfile import BadZipFile

from accent.errors import AccentError
from accent.files import replacing
from launch.measurement.codebook import Entry

if TYPE_CHECKING:
    import pandas as pd

SUFFIXES = (".csv", ".parquet", ".xlsx")
MOST_SPREADSHEET_ROWS = 2**20 - 1
"""Below the header: what Excel opens."""


def check_table_path(path: Path) -> None:
    """Refuse a path whose ending names no kind of table, before anything is measured.

    Raises:
        AccentError: another ending.
    """
    if path.suffix.lower() not in SUFFIXES:
        raise AccentError(f"{path}: a table ends in {', '.join(SUFFIXES)}")


def codebook_path(table: Path) -> Path:
    """Return where the codebook of a table lies: NAME.codebook.csv beside it."""
    return table.with_name(f"{table.stem}.codebook.csv")


def write_table(path: Path, table: "pd.DataFrame") -> None:
    """Write a table in the form that its path ends in.

    Raises:
        AccentError: it cannot be written, or has more rows than a spreadsheet holds.
    """
    check_table_path(path)
    kind = path.suffix.lower()
    if kind == ".xlsx" and len(table) > MOST_SPREADSHEET_ROWS:
        raise AccentError(f"{path}: {len(table)} rows are more than a spreadsheet holds; write .parquet or .csv")
    with replacing(path) as file:
        if kind == ".csv":
            table.to_csv(file, index=False)
        elif kind == ".parquet":
            table.to_parquet(file, index=False)
        else:
            table.to_excel(file, index=False, engine="openpyxl")


def read_table(path: Path) -> "pd.DataFrame":
    """Read a table in one of these forms.

    Raises:
        AccentError: another ending, no such file, or no table in it.
    """
    import pandas as pd

    check_table_path(path)
    kind = path.suffix.lower()
    try:
        if kind == ".parquet":
            return pd.read_parquet(path)
        # A speaker 007 is no number.
        return (pd.read_csv if kind == ".csv" else pd.read_excel)(path, dtype={"speaker": str})
    except (OSError, ValueError, BadZipFile) as error:
        raise AccentError(f"{path}: cannot be read as a table ({str(error).splitlines()[0]})") from error


def write_codebook(path: Path, entries: Sequence[Entry]) -> None:
    """Write the codebook of a table as CSV.

    Raises:
        AccentError: it cannot be written.
    """
    import pandas as pd

    write_table(path, pd.DataFrame([asdict(entry) for entry in entries]))
