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
from shards.corpora.names import composed, escaped, is_utf8

FORMATS = (".tsv", ".csv", ".jsonl")

_SYNONYMS = {"gender": "sex", "key": "utterance", "locale": "language"}
"""Column names that other corpora use for ours."""

_SEXES = {
    **dict.fromkeys(("female", "f", "woman", "female_feminine"), "female"),
    **dict.fromkeys(("male", "m", "man", "male_masculine"), "male"),
}

_FILES = ("path", "textgrid")
"""Columns whose cells name files, which must be written as the disk writes them."""

_SEPARATORS = {"\t": "tabs", ",": "commas", ";": "semicolons"}


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
        AccentError: another format, not UTF-8, not to be read, broken quoting, a required column missing, two columns
            that mean the same.
    """
    reader = {".tsv": _tabbed, ".csv": _with_commas, ".jsonl": _json_lines}.get(path.suffix.lower())
    if reader is None:
        raise AccentError(f"{path}: a table is a {', '.join(FORMATS)} file, not '{path.suffix}'")
    try:
        # utf-8-sig also reads files without the mark that spreadsheets put at the beginning.
        with path.open(encoding="utf-8-sig", newline="") as stream:
            for line, row in reader(path, stream, required):
                yield line, row if isinstance(row, RowFault) else _checked(row, required)
    except OSError as error:
        raise AccentError(f"{path}: cannot be read ({error.strerror or error})") from error
    except UnicodeDecodeError as error:
        raise AccentError(f"{path}: not UTF-8 text ({error.reason} at byte {error.start}); save it as UTF-8") from error


def _checked(row: dict[str, str], required: tuple[str, ...]) -> "dict[str, str] | RowFault":
    """Return the row with its names composed (NFC), or what is wrong with it."""
    for name, cell in row.items():
        if not is_utf8(name + cell):
            return RowFault(f"{escaped(name)} '{escaped(cell[:60])}' holds half a character; write the row again")
    empty = [name for name in required if name not in row]
    if empty:
        return RowFault(f"no {empty[0]}")
    return {name: cell if name in (*_FILES, "text") else composed(cell) for name, cell in row.items()}


def sex_and_rest(row: Mapping[str, str]) -> tuple[str | None, dict[str, str]]:
    """Return the sex a row gives, and its other cells.

    `male`, `female`, `m`, `f` and Common Voice's `male_masculine` and `female_feminine` are understood in any case;
    another word is kept among the other cells, where it does no harm, and the sex counts as not given.
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
        raise AccentError(
            f"{path}: no column '{missing[0]}'; columns found: {found}; {_what_to_do(path, written, names)}"
        )
    return names


def _what_to_do(path: Path, written: list[str], names: list[str]) -> str:
    if "client_id" in names:
        return "this is a table of Common Voice: give the folder that holds it and clips/"
    line = "".join(written)
    if len(written) <= 2 and line.lower().startswith("sep="):
        return "its first line, 'sep=', is a spreadsheet's: delete that line"
    if len(written) == 1 and path.suffix.lower() in (".tsv", ".csv"):
        for separator, word in _SEPARATORS.items():
            if separator in line:
                return f"its columns are separated by {word}: save it with tabs as .tsv or with commas as .csv"
    return "add it to the header line"


def _tabbed(path: Path, stream: IO[str], required: tuple[str, ...]) -> _Rows:
    """Read cells between tabs; a quotation mark is a character as any other, and a row is always one line.

    Common Voice and most other corpora write so.  What spreadsheets quote is read as they mean it: a whole file whose
    header is quoted, and a cell in quotation marks with doubled ones inside.
    """
    lines = (line.rstrip("\r\n").split("\t") for line in stream)
    header = next(lines, [])
    all_quoted = bool(header) and all(len(cell) > 1 and cell[0] == cell[-1] == '"' for cell in header)
    columns = _columns(path, [_unquoted(cell, all_quoted) for cell in header], required)
    for line, cells in enumerate(lines, start=2):
        if any(cell.strip() for cell in cells):
            yield line, _named(columns, [_unquoted(cell, all_quoted) for cell in cells])


def _unquoted(cell: str, all_quoted: bool) -> str:
    inside = cell[1:-1].replace('""', "")
    is_quoted = len(cell) > 1 and cell[0] == cell[-1] == '"' and '"' not in inside
    doubled = len(inside) < len(cell) - 2
    return cell[1:-1].replace('""', '"') if is_quoted and (doubled or all_quoted) else cell


def _named(columns: list[str], cells: list[str]) -> "dict[str, str] | RowFault":
    if len(cells) > len(columns):
        return RowFault(f"{len(cells)} cells, but the header has {len(columns)} columns")
    named = zip(columns, (cell.strip() for cell in cells), strict=False)
    return {name: cell for name, cell in named if name and cell}


def _with_commas(path: Path, stream: IO[str], required: tuple[str, ...]) -> _Rows:
    reader = csv.reader(stream, strict=True)
    try:
        columns = _columns(path, next(reader, []), required)
        before = reader.line_num
        for cells in reader:
            first, before = before + 1, reader.line_num
            if before > first:
                # An opening quotation mark that is text swallows the rows up to the next one.
                yield (
                    before,
                    RowFault(f"lines {first} to {before} are one row; put each row, also its text, on one line"),
                )
            elif any(cell.strip() for cell in cells):
                yield before, _named(columns, cells)
    except csv.Error as error:
        # Lenient quoting would swallow rows without a word.
        raise AccentError(
            f"{path}: line {reader.line_num}: {error}; put a cell with quotation marks into "
            "quotation marks and double those inside, or save the table with tabs as .tsv"
        ) from error


def _json_lines(path: Path, stream: IO[str], required: tuple[str, ...]) -> _Rows:
    columns: set[str] = set()
    rows: list[tuple[int, dict[str, str] | RowFault]] = []
    for line, text in enumerate(stream, start=1):
        if not text.strip():
            continue
        if not columns and not rows and text.lstrip().startswith("["):
            raise AccentError(f"{path}: a JSON array; write one object a line (jq -c '.[]' does)")
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
