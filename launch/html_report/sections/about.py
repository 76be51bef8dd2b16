"""What was run with what: the configuration of every run, versions, code and machine.  Cost: milliseconds."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from accent.configuration import to_mapping
from launch.html_report.files import RunFiles
from launch.html_report.section import Section, Table
from launch.runtime.environment import NAME


def section(runs: Sequence[RunFiles]) -> Section:
    """Return the section."""
    found = Section("about", "Configuration and versions", "Values in which the runs differ are marked.")
    configured = [run for run in runs if run.config is not None]
    found.missing = [f"{run.name}: baselines have no configuration" for run in runs if run.config is None]
    if configured:
        names = [run.name for run in configured]
        found.tables.append(
            _table("Versions and machine, of the last start", names, [started_with(r) for r in configured])
        )
        found.tables.append(_table("Configuration", names, [flattened(to_mapping(run.config)) for run in configured]))
    return found


def started_with(run: RunFiles) -> dict[str, str]:
    """Return what the last start of a run (or of the first fold) ran on; empty if that was not recorded."""
    for folder in run.run_folders[:1]:
        path = folder / NAME
        if path.is_file():
            return flattened(json.loads(path.read_text(encoding="utf-8"))["starts"][-1])
    return {}


def flattened(values: Mapping[str, Any], before: str = "") -> dict[str, str]:
    """Return nested values as `section.key` -> text."""
    flat: dict[str, str] = {}
    for key, value in values.items():
        if isinstance(value, Mapping):
            flat |= flattened(value, f"{before}{key}.")
        else:
            flat[f"{before}{key}"] = json.dumps(value, ensure_ascii=False) if isinstance(value, list) else str(value)
    return flat


def _table(title: str, names: Sequence[str], values: Sequence[Mapping[str, str]]) -> Table:
    keys = list(dict.fromkeys(key for mine in values for key in mine))
    rows = [[key, *(mine.get(key, "") for mine in values)] for key in keys]
    differing = frozenset(number for number, row in enumerate(rows) if len(set(row[1:])) > 1)
    return Table(["", *names], rows, title, differing=differing)
