"""A table of every key of a configuration: type, default, meaning, value, and where the value comes from.

Types and meanings are read from the source of the dataclasses, where each field has its docstring.
Cost: milliseconds.
"""

import ast
import dataclasses
import inspect
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple, get_type_hints

from omegaconf import OmegaConf
from rich import box
from rich.table import Table
from rich.text import Text

from accent.configuration import flatten, load, to_mapping
from launch.run_config import PACKAGED, RunConfig, find_config


class Key(NamedTuple):
    """What the source says of one key."""

    type: str
    meaning: str


def config_table(name: str | None = None, overrides: Sequence[str] = (), corpus: bool = False) -> Table:
    """Describe a configuration.

    Args:
        name: a configuration of a run or, if it lies in `configs/corpora` or `corpus` is set, of the featurizer; None
            shows the defaults.
        overrides: `key=value` words.
        corpus: show the featurizer's keys.

    Returns:
        One row a key.

    Raises:
        AccentError: the configuration does not exist or does not load.
    """
    from shards.writing.processor import FeaturizeConfig

    file = None if name is None else find_config(name, "corpora" if corpus else "")
    corpus = corpus or (file is not None and file.resolve().parent == PACKAGED / "corpora")
    kind: type = FeaturizeConfig if corpus else RunConfig
    values = flatten(to_mapping(load(kind, file, overrides)))
    defaults = flatten(to_mapping(load(kind)))
    in_file = set() if file is None else set(flatten(_plain(file)))
    in_words = {word.partition("=")[0] for word in overrides}

    table = Table(box=box.SIMPLE_HEAD, title=f"{kind.__name__}: {file or 'defaults'}", title_justify="left")
    for column in ("key", "value", "meaning"):
        table.add_column(column, overflow="fold")
    for key, description in describe_keys(kind).items():
        # A mapping may hold keys of its own: the row shows all of it.
        value, default = (_value(flat, key) for flat in (values, defaults))
        if _covers(in_words, key):
            origin = "the command line"
        elif _covers(in_file, key):
            origin = "the file"
        elif value != default:
            origin = f"the preset {values[key.rpartition('.')[0] + '.preset']}"
        else:
            origin = "the default"
        meaning = Text(f"{description.meaning}\n")
        meaning.append(f"{description.type}; default {_shown(default)}; value from {origin}", style="dim")
        table.add_row(key, _shown(value), meaning)
    return table


def describe_keys(kind: type, path: str = "") -> dict[str, Key]:
    """Return every key of a configuration, dots for sections, with its type and its field's docstring.

    Args:
        kind: the dataclass.
        path: what its keys begin with.
    """
    documented: dict[str, Key] = {}
    for one in reversed(kind.__mro__):
        if dataclasses.is_dataclass(one):
            documented.update(_documented_fields(one))
    hints = get_type_hints(kind)
    keys: dict[str, Key] = {}
    for one_field in dataclasses.fields(kind):
        hint = hints[one_field.name]
        if isinstance(hint, type) and dataclasses.is_dataclass(hint):
            keys.update(describe_keys(hint, f"{path}{one_field.name}."))
        else:
            keys[f"{path}{one_field.name}"] = documented[one_field.name]
    return keys


def _documented_fields(kind: type) -> dict[str, Key]:
    (definition,) = ast.parse(textwrap.dedent(inspect.getsource(kind))).body
    body = definition.body  # type: ignore[attr-defined]
    found: dict[str, Key] = {}
    for statement, following in zip(body, [*body[1:], None], strict=True):
        if not (isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name)):
            continue
        meaning = ""
        if isinstance(following, ast.Expr) and isinstance(following.value, ast.Constant):
            meaning = " ".join(str(following.value.value).split())
        found[statement.target.id] = Key(ast.unparse(statement.annotation).replace("'", ""), meaning)
    return found


def _plain(file: Path) -> dict[str, Any]:
    plain = OmegaConf.to_container(OmegaConf.load(file))
    return {str(key): value for key, value in plain.items()} if isinstance(plain, dict) else {}


def _covers(given: set[str], key: str) -> bool:
    return any(one == key or one.startswith(f"{key}.") or key.startswith(f"{one}.") for one in given)


def _value(flat: dict[str, Any], key: str) -> Any:
    if key in flat:
        return flat[key]
    return {one.removeprefix(f"{key}."): held for one, held in flat.items() if one.startswith(f"{key}.")}


def _shown(value: Any) -> Text:
    """Write a value as YAML has it; as plain text, because rich takes a list's brackets for markup."""
    if value is None:
        return Text("null")
    return Text(str(value).lower() if isinstance(value, bool) else str(value))
