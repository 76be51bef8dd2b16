"""Configurations are frozen dataclasses; this module fills them from YAML, mappings and `key=value` overrides.

OmegaConf merges and checks the types.  Added here: text stays as it is written, presets, renamed keys, and errors of
one line that name the key and what is allowed.  Cost: a few milliseconds a configuration.
"""

import copy
import dataclasses
import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeVar, get_type_hints

from omegaconf import OmegaConf
from omegaconf.errors import ConfigAttributeError, ConfigKeyError, OmegaConfBaseException
from yaml import YAMLError

from accent.errors import AccentError
from accent.typed_yaml import field_hint, parse_file, parse_word

Config = TypeVar("Config")
_KEY_REFERENCE = re.compile(r"\$\{[^:${}\\]*\}")


def load(kind: type[Config], source: Path | Mapping[str, Any] | None = None, overrides: Sequence[str] = ()) -> Config:
    """Build a configuration from a YAML file or a mapping, then apply overrides.

    Args:
        kind: the frozen dataclass to fill; fields left out keep their defaults.
        source: a YAML file, a mapping, or nothing.
        overrides: words `key=value`, dots for sections: `optimizer.lr=3e-4`.  Later words win.

    Returns:
        An instance of `kind`.

    Raises:
        AccentError: a missing file, an unknown or renamed key, a wrong type or an impossible value; the line names the
            key.

    Where a field holds text (`str`, lists and tuples of it, a `Literal` of strings), values stay as they are written:
    `speakers=[001, NO]` gives "001" and "NO".

    A value may name other keys, `${optimizer.lr}`.  OmegaConf's resolvers (`${oc.env:HOME}`) are refused: a
    configuration is often somebody else's, and shall not read the environment.

    A dataclass may have two class variables: `PRESETS` (name -> mapping) beside a field `preset`, which starts from the
    preset it names; and `RENAMED` (old key -> new key), whose old keys are refused with the new ones.
    """
    where = str(source) if isinstance(source, Path) else "configuration"
    try:
        given = _read(kind, source)
        for word in overrides:
            _apply(kind, given, word)
        _refuse_renamed(kind, given, "")
        _refuse_resolvers(given, "")
        plain = OmegaConf.to_container(OmegaConf.create(given), resolve=True)
        # Again: text that was escaped is an interpolation now, and would be resolved below.
        _refuse_resolvers(plain, "")
        values = _with_presets(kind, plain, "")  # type: ignore[arg-type]
        merged = OmegaConf.merge(OmegaConf.structured(kind), values)
        return OmegaConf.to_object(merged)  # type: ignore[return-value]
    except (ConfigKeyError, ConfigAttributeError) as error:
        raise AccentError(f"{where}: {_unknown_key(kind, error)}") from error
    except OmegaConfBaseException as error:
        line = (error.msg or str(error)).splitlines()[0]
        key = getattr(error, "full_key", None)
        raise AccentError(f"{where}: {key + ': ' if key else ''}{line}") from error
    except YAMLError as error:
        raise AccentError(f"{where}: not valid YAML: {' '.join(str(error).split())}") from error
    except ValueError as error:
        # A dataclass's __post_init__ speaks in whole sentences that begin with the key.
        raise AccentError(f"{where}: {error}") from error


def to_mapping(config: Any) -> dict[str, Any]:
    """Return a configuration as plain dictionaries and lists, ready for YAML or JSON."""
    return json.loads(json.dumps(dataclasses.asdict(config)))


def fingerprint(config: Any) -> str:
    """Return the sha256 of a configuration's canonical JSON: equal values, equal fingerprint."""
    return hashlib.sha256(json.dumps(to_mapping(config), sort_keys=True).encode()).hexdigest()


def flatten(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return nested mappings as one, with dots in the keys.

    >>> flatten({"run": "a", "batch": {"workers": 2}})
    {'run': 'a', 'batch.workers': 2}
    """
    flat: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, Mapping):
            flat.update({f"{key}.{inner}": held for inner, held in flatten(value).items()})
        else:
            flat[key] = value
    return flat


def _read(kind: type, source: Path | Mapping[str, Any] | None) -> dict[str, Any]:
    if source is None:
        return {}
    if isinstance(source, Mapping):
        return copy.deepcopy(dict(source))
    if not source.is_file():
        raise AccentError(f"{source}: no such configuration file")
    values = parse_file(source.read_text(encoding="utf-8"), kind)
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise AccentError(f"{source}: a configuration is a mapping of keys to values, not a {type(values).__name__}")
    return values


def _apply(kind: type, given: dict[str, Any], word: str) -> None:
    """Set the value that a word `section.key=value` gives."""
    if not re.match(r"[A-Za-z_][\w.]*=", word):
        raise AccentError(f"'{word}': an override is written key=value, for example optimizer.lr=3e-4")
    name, _, text = word.partition("=")
    *sections, key = name.split(".")
    section = given
    for one in sections:
        if not isinstance(section.get(one), dict):
            section[one] = {}
        section = section[one]
    value = parse_word(text, field_hint(kind, name))
    known = section.get(key)
    section[key] = _merged(known, value) if isinstance(known, dict) and isinstance(value, dict) else value


def _merged(old: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    both = {
        key: _merged(old[key], new[key])
        for key in old.keys() & new.keys()
        if isinstance(old[key], dict) and isinstance(new[key], dict)
    }
    return {**old, **new, **both}


def _refuse_renamed(kind: type, given: Mapping[str, Any], path: str) -> None:
    renamed: Mapping[str, str] = getattr(kind, "RENAMED", {})
    for key in given:
        if key in renamed:
            raise AccentError(f"'{path}{key}' is called '{path}{renamed[key]}' now; use that name")
        section = field_hint(kind, key)
        if isinstance(given[key], Mapping) and isinstance(section, type) and dataclasses.is_dataclass(section):
            _refuse_renamed(section, given[key], f"{path}{key}.")


def _refuse_resolvers(value: Any, path: str) -> None:
    """Refuse each `${...}` that is not the name of a key."""
    if isinstance(value, Mapping):
        for key, one in value.items():
            _refuse_resolvers(one, f"{path}.{key}" if path else str(key))
    elif isinstance(value, (list, tuple)):
        for one in value:
            _refuse_resolvers(one, path)
    elif isinstance(value, str) and "${" in _KEY_REFERENCE.sub("", value):
        raise AccentError(f"{path}: {value!a} is neither text nor the name of a key, as in ${{seed}}; write it out")


def _with_presets(kind: type, given: dict[str, Any], path: str) -> dict[str, Any]:
    """Lay the values given over those of the preset they name, section by section."""
    presets: Mapping[str, Mapping[str, Any]] | None = getattr(kind, "PRESETS", None)
    if presets is not None:
        default = next(field.default for field in dataclasses.fields(kind) if field.name == "preset")
        name = given.get("preset", default)
        if name not in presets:
            raise AccentError(f"{path}preset: '{name}' is not one of {', '.join(presets)}")
        given = {**presets[name], **given}
    hints = get_type_hints(kind)
    return {
        key: _with_presets(hints[key], value, f"{path}{key}.")
        if isinstance(value, dict) and dataclasses.is_dataclass(hints.get(key))
        else value
        for key, value in given.items()
    }


def _unknown_key(kind: type, error: OmegaConfBaseException) -> str:
    full = str(error.full_key)
    section, _, last = full.rpartition(".")
    owner: Any = kind
    for name in filter(None, section.split(".")):
        owner = get_type_hints(owner).get(name, owner)
    allowed = [field.name for field in dataclasses.fields(owner)] if dataclasses.is_dataclass(owner) else []
    close = get_close_matches(last, allowed, n=1)
    hint = f"did you mean {section + '.' if section else ''}{close[0]}?" if close else f"allowed: {', '.join(allowed)}"
    return f"unknown key '{full}'; {hint}"
