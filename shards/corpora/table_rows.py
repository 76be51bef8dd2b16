"""Rows of a table file: TSV, CSV or JSON lines, with column names that have synonyms.

The readers of tables and of `speakers.tsv` share this.  A row that lacks something needed is handed on as a fault with
its line number, so that one bad row never costs the others.  Cost: about 3 microseconds a cell.
"""

import csv
import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import IO

from accent.errors import AccentError

FORMATS = (".tsv", ".csv", ".jsonl")

_SYNONYMS = {"gender": "sex", "key": "utterance"}
"""Column names that other corpora use for ours."""

_SEXES = {"female": "female", "f": "female", "male": "male", "m": "male"}


class RowFault(str):
    """Why a row cannot be used."""


_Rows = Iterator[tuple[int, "dict[str, str] | RowFault"]]
_Reader = Callable[[Path, IO[str], tuple[str, ...]], _Rows]


def read_rows(path: Path, required: tuple[str, ...]) -> _Rows:
    """Yield the rows of a table.

    Args:
        path: a .tsv or .csv file with a header line, or a .jsonl file with one object a line; UTF-8.
        required: columns that must exist and, in each row, must not be empty.

    Yields:
        Line number (the file's, from 1) and the row's cells that are not empty, by column name in lower case; or the
        line number and what is wrong with that row.

    Raises:
        AccentError: another format, not UTF-8, broken quoting, a required column missing, two columns that mean
            the same.
    """
    reader = {".tsv": _separated("\t"), ".csv": _separated(","), ".jsonl": _json_lines}.get(path.suffix.lower())
    if reader is None:
        raise AccentError(f"{path}: a table is a {', '.join(FORMATS)} file, not '{path.suffix}'")
    try:
        # utf-8-sig also reads files without the mark that spreadsheets put at the beginning.
        with path.open(encoding="utf-8-sig", newline="") as stream:
            for line, row in reader(path, stream, required):
                if not isinstance(row, RowFault):
                    empty = [name for name in required if name not in row]
                    row = RowFault(f"no {empty[0]}") if empty else row
                yield line, row
    except UnicodeDecodeError as error:
        raise AccentError(f"{path}: not UTF-8 text ({error.reason} at byte {error.start}); save it as UTF-8") from error


def sex_and_rest(row: Mapping[str, str]) -> tuple[str | None, dict[str, str]]:
    """Return the sex a row gives, and its other cells.

    `male`, `female`, `m` and `f` are understood in any case; another word is kept among the other cells, where it does
    no harm, and the sex counts as not given.
    """
    rest = dict(row)
    sex = _SEXES.get(rest.get("sex", "").lower())
    if sex is not None:
        del rest["sex"]
    return sex, rest


def _columns(path: Path, header: list[str], required: tuple[str, ...]) -> list[str]:
    """Return our names for a header's columns."""
    written = [name.strip() for name in header]
    names = [_SYNONYMS.get(name.lower(), name.lower()) for name in written]
    for position, name in enumerate(names):
        if name and name in names[:position]:
            other = written[names.index(name)]
            raise AccentError(f"{path}: columns '{other}' and '{written[position]}' mean the same; keep one")
    missing = [name for name in required if name not in names]
    if missing:
        found = ", ".join(written) if any(written) else "none"
        raise AccentError(f"{path}: no column '{missing[0]}'; columns found: {found}; add it to the header line")
    return names


def _separated(delimiter: str) -> _Reader:
    def rows(path: Path, stream: IO[str], required: tuple[str, ...]) -> _Rows:
        reader = csv.reader(stream, delimiter=delimiter, strict=True)
        try:
            columns = _columns(path, next(reader, []), required)
            for cells in reader:
                if not any(cell.strip() for cell in cells):
                    continue
                if len(cells) > len(columns):
                    yield reader.line_num, RowFault(f"{len(cells)} cells, but the header has {len(columns)} columns")
                    continue
                named = zip(columns, (cell.strip() for cell in cells), strict=False)
                yield reader.line_num, {name: cell for name, cell in named if name and cell}
        except csv.Error as error:
            # Lenient quoting would swallow rows without a word.
            raise AccentError(
                f"{path}: line {reader.line_num}: {error}; put a cell with quotation marks into "
                "quotation marks and double those inside"
            ) from error

    return rows


def _json_lines(path: Path, stream: IO[str], required: tuple[str, ...]) -> _Rows:
    columns: set[str] = set()
    rows: list[tuple[int, dict[str, str] | RowFault]] = []
    for line, text in enumerate(stream, start=1):
        if not text.strip():
            continue
        try:
            row = json.loads(text)
        except json.JSONDecodeError as error:
            rows.append((line, RowFault(f"not JSON: {error.msg} at column {error.colno}")))
            continue
        if not isinstance(row, dict):
            rows.append((line, RowFault("not a JSON object")))
            continue
        names = _columns(path, list(row), ())
        columns.update(names)
        cells = {name: _cell(value) for name, value in zip(names, row.values(), strict=True)}
        rows.append((line, {name: cell for name, cell in cells.items() if name and cell}))
    # Objects may leave out what is empty, so a column is missing only where no object has it.
    _columns(path, sorted(columns), required)
    yield from rows


def _cell(value: object) -> str:
    if value is None:
        return ""
    return value.strip() if isinstance(value, str) else json.dumps(value, ensure_ascii=False, sort_keys=True)
