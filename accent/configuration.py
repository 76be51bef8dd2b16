"""Configurations are frozen dataclasses; this module fills them from YAML, mappings and `key=value` words.

OmegaConf does the merging and the type checks.  What is added here: presets, and errors of one line that name the key
and what is allowed instead of a library's traceback.  Cost: a few milliseconds a configuration.
"""

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

Config = TypeVar("Config")


def load(kind: type[Config], source: Path | Mapping[str, Any] | None = None, overrides: Sequence[str] = ()) -> Config:
    """Build a configuration from a YAML file or a mapping, then apply overrides.

    Args:
        kind: the frozen dataclass to fill; fields left out keep their defaults.
        source: a YAML file, a mapping, or nothing.
        overrides: words `key=value`, dots for sections: `optimizer.lr=3e-4`.  Later words win.

    Returns:
        An instance of `kind`.

    Raises:
        AccentError: a missing file, an unknown key, a wrong type or an impossible value; the line names the key.

    A dataclass with an attribute `PRESETS` (name -> mapping) and a field `preset` starts from the named preset.
    """
    where = str(source) if isinstance(source, Path) else "configuration"
    try:
        given = OmegaConf.create(_read(source))
        given.merge_with_dotlist(_checked_words(overrides))
        plain = OmegaConf.to_container(given, resolve=True)
        if not isinstance(plain, dict):
            raise AccentError(f"{where}: a configuration is a mapping of keys to values, not a {type(plain).__name__}")
        values = _with_presets(kind, {str(key): value for key, value in plain.items()}, "")
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


def _read(source: Path | Mapping[str, Any] | None) -> Any:
    if source is None:
        return {}
    if isinstance(source, Mapping):
        return dict(source)
    if not source.is_file():
        raise AccentError(f"{source}: no such configuration file")
    return OmegaConf.load(source)


def _checked_words(words: Sequence[str]) -> list[str]:
    for word in words:
        if not re.match(r"[A-Za-z_][\w.]*=", word):
            raise AccentError(f"'{word}': an override is written key=value, for example optimizer.lr=3e-4")
    return list(words)


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
