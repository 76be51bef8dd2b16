"""YAML that keeps text as it is written wherever a dataclass's field holds text.

YAML 1.1 takes `001` for a number and `NO` for false.  Here a plain word becomes a number, a truth value or null only
where the field that it belongs to is not text.  Cost: one walk over the document.
"""

import dataclasses
import re
from collections.abc import Mapping, Sequence
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from yaml import MappingNode, Node, SafeLoader, ScalarNode, SequenceNode, YAMLError, compose
from yaml.constructor import ConstructorError

_NULL = ("", "~", "null", "Null", "NULL")
_FLOAT = re.compile(
    r"""^(?:[-+]?(?:[0-9][0-9_]*)\.[0-9_]*(?:[eE][-+]?[0-9]+)?
        |[-+]?(?:[0-9][0-9_]*)(?:[eE][-+]?[0-9]+)
        |\.[0-9_]+(?:[eE][-+]?[0-9]+)?
        |[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$""",
    re.VERBOSE,
)


class _Loader(SafeLoader):
    """Numbers as in JSON: `1e-3` is one (YAML 1.1 wants `1.0e-3`), and dates and sexagesimals are words."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if not tag.endswith((":timestamp", ":float"))]
    for first, resolvers in SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver("tag:yaml.org,2002:float", _FLOAT, list("-+0123456789."))


def parse_file(text: str, kind: type) -> Any:
    """Parse a YAML document whose keys are the fields of a dataclass.

    Args:
        text: the document.
        kind: the dataclass.

    Returns:
        Plain values; None for an empty document.

    Raises:
        YAMLError: it is not valid, or names a key twice.
    """
    node = compose(text, Loader=_Loader)
    return None if node is None else _value(node, kind, _Loader(""))


def parse_word(text: str, hint: Any) -> Any:
    """Parse the value of an override.

    Args:
        text: what stands behind the equals sign; for a field of text it is the value, unless it is in quotes.
        hint: the type of the field; `Any` where it is not known.

    Raises:
        YAMLError: it is not valid.
    """
    if not _is_text(hint):
        return parse_file(text, hint)
    try:
        node = compose(text, Loader=_Loader)
    except YAMLError:
        return text
    if isinstance(node, ScalarNode) and node.style is not None:
        return node.value
    return _word(text.strip(), hint)


def field_hint(kind: Any, name: str) -> Any:
    """Return the type of a dataclass's field, `Any` where there is none.

    Args:
        kind: the dataclass.
        name: of the field, with dots for sections: "optimizer.lr".
    """
    for part in name.split("."):
        kind = _field(kind, part)
    return kind


def _value(node: Node, hint: Any, loader: SafeLoader) -> Any:
    if isinstance(node, ScalarNode):
        if not _is_text(hint):
            return loader.construct_object(node)
        return node.value if node.style is not None else _word(node.value, hint)
    if isinstance(node, SequenceNode):
        return [_value(one, _element(hint), loader) for one in node.value]
    assert isinstance(node, MappingNode)
    loader.flatten_mapping(node)
    values: dict[str, Any] = {}
    for key_node, value_node in node.value:
        key = str(key_node.value)
        if key in values:
            raise ConstructorError(None, None, f"the key '{key}' is given twice", key_node.start_mark)
        values[key] = _value(value_node, _field(hint, key), loader)
    return values


def _word(text: str, hint: Any) -> str | None:
    return None if text in _NULL and NoneType in get_args(hint) else text


def _is_text(hint: Any) -> bool:
    kinds = [one for one in _choices(hint) if one is not NoneType]
    return bool(kinds) and all(
        one is str or (get_origin(one) is Literal and all(isinstance(word, str) for word in get_args(one)))
        for one in kinds
    )


def _element(hint: Any) -> Any:
    """Return the type of a list's or tuple's elements."""
    for one in _choices(hint):
        if get_origin(one) in (list, tuple, Sequence):
            return get_args(one)[0]
    return Any


def _field(hint: Any, key: str) -> Any:
    """Return the type of a dataclass's field or of a mapping's values."""
    for one in _choices(hint):
        if dataclasses.is_dataclass(one):
            return get_type_hints(one).get(key, Any)
        if get_origin(one) in (dict, Mapping):
            return get_args(one)[1]
    return Any


def _choices(hint: Any) -> tuple[Any, ...]:
    return get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)
