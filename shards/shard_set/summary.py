"""What is in a shard set, for a person to read: counts, hours, speakers by accent, columns, refusals; and is it whole?

Cost: the description reads manifest, index and statistics and no shard; `verify` reads all bytes.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from accent.errors import AccentError
from accent.features.definitions import MEL_FROM_HZ, MEL_TO_HZ
from accent.features.mel import mel_edges
from accent.features.schema import COLUMNS, FAMILIES, N_MELS, Family, family_slices
from accent.files import sha256_of
from accent.grid import FRAMES_PER_SECOND
from accent.shown import shown
from shards.shard_set.files import STATISTICS_NAME
from shards.shard_set.index import INDEX_NAME
from shards.shard_set.manifest import Refused, ShardSet
from shards.shard_set.prompts import PROMPTS_NAME

EMPTY_BAND_DB = 55.0
"""A band that is on average this far below the loudest one holds no speech."""
BAND_DIFFERENCE_HZ = 1500
"""Bandwidths of accents that differ by more tell the accent."""
NARROW = 0.7
"""Sound that ends below this share of what its sampling rate can hold was narrowed before."""
UNEQUAL_SHARE = 0.2
"""A kind of file whose share of the samples differs by more between accents goes with the accent."""
MOST_ACCENTS = 8
"""Accents that a warning names."""
MOST_SPEAKERS = 50
"""Speakers of an accent that the table names."""


def summary(shard_set: ShardSet) -> dict[str, Any]:
    """Return what `describe` shows as plain values that JSON can hold.

    Returns:
        Keys `root`, `corpus`, `samples`, `hours`, `shards`, `bytes`, `seconds` (shortest, mean and longest sample),
        `with_phones` (samples that have them), `accents` (name -> speakers, samples, hours), `speakers` (name ->
        accent, sex, split, samples, hours, median F0 in Hz), `columns` (name -> family, mean, standard deviation and
        defined share), `sources` (accent -> sampling rate and format -> samples), `band_ends_hz` (accent -> where its
        sound ends, at most 7600), `remarks` (-> samples), `refused` and `configuration`.
    """
    manifest, index = shard_set.manifest, shard_set.index
    frames = index["frames"].astype(np.int64)
    hours_S = np.bincount(index["speaker"], weights=frames, minlength=len(shard_set.speakers)) / _frames_per_hour()
    median_f0_S = shard_set.speaker_statistics.median_f0_hz()
    speakers: dict[str, dict[str, Any]] = {
        one.name: {
            "accent": one.accent,
            "sex": one.sex,
            "split": one.split,
            "samples": one.count,
            "hours": float(hours_S[row]),
            "median_f0_hz": None if np.isnan(median_f0_S[row]) else float(median_f0_S[row]),
        }
        for row, one in enumerate(manifest.speakers)
    }
    accents = {}
    for accent, members in shard_set.speakers_by_accent.items():
        mine = [speakers[one.name] for one in members]
        accents[accent] = {
            "speakers": len(mine),
            "samples": sum(one["samples"] for one in mine),
            "hours": sum(one["hours"] for one in mine),
        }
    return {
        "root": str(shard_set.root),
        "corpus": manifest.corpus,
        "samples": manifest.count,
        "hours": manifest.hours,
        "shards": len(manifest.shards),
        "bytes": sum(one.bytes for one in manifest.shards),
        "seconds": [float(value) / FRAMES_PER_SECOND for value in (frames.min(), frames.mean(), frames.max())],
        "prompts": manifest.n_prompts,
        "with_phones": int((index["phones_offset"] >= 0).sum()),
        "accents": accents,
        "speakers": speakers,
        "columns": _columns(shard_set),
        "sources": manifest.sources,
        "band_ends_hz": _band_ends_hz(shard_set),
        "remarks": manifest.remarks,
        "refused": [{"path": one.path, "reason": one.reason} for one in manifest.refused],
        "configuration": manifest.configuration,
    }


def describe(shard_set: ShardSet, brief: bool = False) -> RenderableType:
    """Return the description of a shard set, to be printed by a rich console.

    Args:
        shard_set: an open shard set.
        brief: leave out the columns, the refused inputs and the configuration.
    """
    facts = summary(shard_set)
    shortest, mean, longest = facts["seconds"]
    shards = facts["shards"]
    head = Text(
        f"{facts['root']}: corpus {facts['corpus']}\n"
        f"{facts['samples']} samples, {_duration(facts['hours'])} in {shards} shard{'s' if shards > 1 else ''} "
        f"({facts['bytes'] / 1e6:.1f} MB); {shortest:.1f} to {longest:.1f} s, {mean:.1f} s on average\n"
        f"{len(facts['speakers'])} speakers, {len(facts['accents'])} accents, {facts['prompts']} prompts; "
        f"{facts['with_phones']} samples with phones; {len(facts['refused'])} inputs refused\n"
    )
    parts: list[RenderableType] = [head, _speaker_table(facts)]
    if not brief:
        parts.append(_source_table(facts))
        parts.append(_column_table(facts))
        if shard_set.manifest.refused:
            parts.append(refused_table(shard_set.manifest.refused))
        parts.append(_configuration_table(facts["configuration"]))
    parts += [Text(f"{count} samples: {remark}", style="yellow") for remark, count in facts["remarks"].items()]
    parts += [Text(f"WARNING: {line}", style="bold red") for line in doubts(facts)]
    return Group(*parts)


def doubts(facts: dict[str, Any]) -> list[str]:
    """Return what makes a set doubtful as a whole, one line each, from what `summary` returns."""
    lines = []
    refused, samples = len(facts["refused"]), facts["samples"]
    if refused > samples:
        first = facts["refused"][0]
        lines.append(
            f"more inputs were refused ({refused}) than used ({samples}); the first: {first['path']}: {first['reason']}"
        )
    if len(facts["accents"]) == 1:
        lines.append(f"only one accent is left, {next(iter(facts['accents']))}: there is nothing to tell it from")
    kinds = facts["sources"]
    if _go_together(kinds):
        told = "; ".join(
            f"{accent}: {', '.join(sorted(kind))}" for accent, kind in sorted(kinds.items())[:MOST_ACCENTS]
        )
        lines.append(f"sampling rate or format goes with the accent, and so tells it without the voice: {told}")
    ends = facts["band_ends_hz"]
    if ends and max(ends.values()) - min(ends.values()) > BAND_DIFFERENCE_HZ:
        narrow, wide = min(ends, key=ends.get), max(ends, key=ends.get)
        lines.append(
            f"bandwidth goes with the accent: {narrow} ends at {ends[narrow]} Hz, {wide} at {ends[wide]} Hz; "
            "features.audio.lowpass_hz makes them equal"
        )
    for accent, end in ends.items():
        rates = [int(source.split()[0]) for source in facts["sources"].get(accent, {})]
        # The features end at 7600 Hz, whatever the rate of the file.
        if rates and end < NARROW * min(min(rates) / 2, MEL_TO_HZ):
            lines.append(f"{accent}: its sound ends at {end} Hz, far below what {min(rates)} samples a second hold")
    return lines


def _go_together(sources: dict[str, dict[str, int]]) -> bool:
    """Tell whether some kind of file is more usual in one accent than in another by a good part of the samples."""
    shares = [
        [counts.get(kind, 0) / sum(counts.values()) for counts in sources.values()]
        for kind in {kind for counts in sources.values() for kind in counts}
    ]
    return any(max(share) - min(share) > UNEQUAL_SHARE for share in shares)


def _band_ends_hz(shard_set: ShardSet) -> dict[str, int]:
    """Return, by accent, the upper edge of the highest mel band that is not empty on average."""
    mel_D = slice(0, N_MELS)
    edges = mel_edges(N_MELS, MEL_FROM_HZ, MEL_TO_HZ)
    ends = {}
    for accent, speakers in shard_set.speakers_by_accent.items():
        mean_D = shard_set.statistics(one.name for one in speakers).mean_D[mel_D]
        if np.isfinite(mean_D).all():
            last = int(np.flatnonzero(mean_D > mean_D.max() - EMPTY_BAND_DB)[-1])
            ends[accent] = round(float(edges[last + 2]))
    return ends


def _source_table(facts: dict[str, Any]) -> Table:
    table = Table(title="files by accent", title_justify="left")
    for heading in ("accent", "sampling rate, format (samples)", "sound ends at"):
        table.add_column(heading, overflow="fold")
    for accent in facts["accents"]:
        counts = facts["sources"].get(accent, {})
        end = facts["band_ends_hz"].get(accent)
        files = ", ".join(f"{source} ({count})" for source, count in counts.items())
        table.add_row(Text(shown(accent)), Text(shown(files) or "not recorded"), "-" if end is None else f"{end} Hz")
    return table


def refused_table(refused: Sequence[Refused], most: int = 20) -> Table:
    """Return a table of refused inputs and their reasons: the first ones and how many there are."""
    hidden = f", the first {most} shown" if len(refused) > most else ""
    inputs = "input" if len(refused) == 1 else "inputs"
    table = Table(title=f"{len(refused)} {inputs} refused{hidden}", title_justify="left")
    table.add_column("input", overflow="fold")
    table.add_column("reason", overflow="fold")
    for one in refused[:most]:
        # As text: square brackets in a file name are not markup.
        table.add_row(Text(shown(one.path)), Text(shown(one.reason)))
    return table


def verify(shard_set: ShardSet) -> None:
    """Compare the sha256 of all files of a shard set with the manifest.

    Raises:
        AccentError: files that differ, by name.
    """
    manifest = shard_set.manifest
    expected = {one.name: one.sha256 for one in manifest.shards}
    expected |= {INDEX_NAME: manifest.index.sha256, STATISTICS_NAME: manifest.statistics.sha256}
    if manifest.prompts_file is not None:
        expected[PROMPTS_NAME] = manifest.prompts_file.sha256
    damaged = [name for name, sha256 in expected.items() if sha256_of(shard_set.root / name) != sha256]
    if damaged:
        raise AccentError(
            f"{shard_set.root}: damaged: {', '.join(damaged)} (sha256 differs from the manifest); "
            "copy it again, or delete the folder and featurize again"
        )


def _columns(shard_set: ShardSet) -> dict[str, dict[str, Any]]:
    statistics = shard_set.statistics(shard_set.speakers)
    frames = int(shard_set.index["frames"].astype(np.int64).sum())
    family_of = {column: family.name for family in FAMILIES for column in family.columns}
    return {
        column: {
            "family": family_of[column],
            "mean": float(statistics.mean_D[at]) if statistics.count_D[at] else None,
            "std": float(statistics.std_D[at]) if statistics.count_D[at] else None,
            "defined": float(statistics.count_D[at]) / frames,
        }
        for at, column in enumerate(COLUMNS)
    }


def _speaker_table(facts: dict[str, Any]) -> Table:
    table = Table(title="speakers by accent", title_justify="left")
    for heading in ("accent", "speakers", "samples", "speech"):
        table.add_column(heading, justify="left" if heading == "accent" else "right")
    table.add_column("who (sex, samples)", overflow="fold")
    members: dict[str, list[str]] = {accent: [] for accent in facts["accents"]}
    for name, one in facts["speakers"].items():
        members[one["accent"]].append(f"{name} ({(one['sex'] or '?')[0]}, {one['samples']})")
    for accent, values in facts["accents"].items():
        mine = members[accent]
        more = f" and {len(mine) - MOST_SPEAKERS} more" if len(mine) > MOST_SPEAKERS else ""
        who = ", ".join(mine[:MOST_SPEAKERS]) + more
        counts = [str(values["speakers"]), str(values["samples"]), _duration(values["hours"])]
        # As text: square brackets in a name are not markup.
        table.add_row(Text(shown(accent)), *counts, Text(shown(who)))
    return table


def _column_table(facts: dict[str, Any]) -> Table:
    table = Table(title="columns, over all speakers", title_justify="left")
    table.add_column("family")
    table.add_column("column")
    for heading in ("mean", "std", "defined"):
        table.add_column(heading, justify="right")
    slices = family_slices()
    for family in FAMILIES:
        values = [facts["columns"][column] for column in COLUMNS[slices[family.name]]]
        if _is_numbered(family):
            label = f"{family.columns[0]} .. {family.columns[-1]} (averages)"
            table.add_row(family.name, label, *_shown(values))
            continue
        for column, value in zip(family.columns, values, strict=True):
            table.add_row(family.name, column, *_shown([value]))
    return table


def _shown(values: list[dict[str, Any]]) -> list[str]:
    shown = []
    for key in ("mean", "std"):
        known = [value[key] for value in values if value[key] is not None]
        shown.append(f"{np.mean(known):.4g}" if known else "-")
    return [*shown, f"{100 * np.mean([value['defined'] for value in values]):.0f} %"]


def _is_numbered(family: Family) -> bool:
    """Whether the columns are bands or coefficients, which a person does not read one by one."""
    return all(column.removeprefix(f"{family.name}_").isdigit() for column in family.columns)


def _configuration_table(configuration: dict[str, Any]) -> Table:
    table = Table(title="configuration", title_justify="left")
    table.add_column("key", overflow="fold")
    table.add_column("value", overflow="fold")
    _add_settings(table, configuration, "")
    return table


def _add_settings(table: Table, values: dict[str, Any], prefix: str) -> None:
    for key, value in values.items():
        if isinstance(value, dict):
            _add_settings(table, value, f"{prefix}{key}.")
        else:
            table.add_row(prefix + key, Text(str(value)))


def _duration(hours: float) -> str:
    return f"{hours:.2f} h" if hours >= 1 else f"{60 * hours:.1f} min"


def _frames_per_hour() -> int:
    return FRAMES_PER_SECOND * 3600
