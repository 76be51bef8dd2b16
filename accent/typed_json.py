"""JSON that is checked against a dataclass while it is read, field by field and type by type.

Files that somebody else wrote, or that a disk has damaged, become one line that says what is wrong and where in the
file.  Cost: that of `json.loads`.
"""

from pathlib import Path
from typing import Any, TypeVar

import msgspec

from accent.errors import AccentError

Value = TypeVar("Value")


def parse_json(data: bytes, kind: type[Value], where: Path | str, what_to_do: str) -> Value:
    """Read JSON as a dataclass (or any type that msgspec knows); keys without a field are passed over.

    Args:
        data: the content of a file.
        kind: what it has to be.
        where: the file, for the message.
        what_to_do: the end of the message.

    Returns:
        The value.

    Raises:
        AccentError: it is not JSON, lacks a field, or a value is of another type; the line says where in the file.

    >>> parse_json(b'{"a": 1}', dict[str, int], "a.json", "write it again")
    {'a': 1}
    """
    try:
        return msgspec.json.decode(data, type=kind)
    except msgspec.ValidationError as error:
        raise AccentError(f"{where}: damaged or incomplete ({error}); {what_to_do}") from error
    except (ValueError, RecursionError) as error:
        raise AccentError(f"{where}: not valid JSON ({error}); {what_to_do}") from error


def checked(value: Any, kind: type[Value], where: Path | str, what_to_do: str) -> Value:
    """Check plain values that were parsed already, where a file may hold what strict JSON may not, such as NaN.

    Args and errors as for `parse_json`.
    """
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        raise AccentError(f"{where}: damaged or incomplete ({error}); {what_to_do}") from error
