"""Settings of pitch and formants by sex or speaker, from a small table that the user writes.

A row says for whom it holds, by `speaker`, by `sex` or by both, and what holds for them, in Praat's terms and units:
`pitch_floor`, `pitch_ceiling`, `formant_ceiling` (Hz) and `formants` (the number below the ceiling).  An empty cell
leaves a setting as it is.  Rows of a sex come first, rows of a speaker go over them.

    speaker,sex,pitch_floor,pitch_ceiling,formant_ceiling,formants
    ,female,100,500,5500,
    ,male,75,300,5000,
    ARA004,,60,250,4800,5

Cost: reading the table.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from accent.errors import AccentError
from accent.features.config import FeatureConfig
from launch.measurement.codebook import Entry
from launch.measurement.recordings import Recording
from launch.measurement.table_file import read_table

if TYPE_CHECKING:
    import pandas as pd

KEYS = ("speaker", "sex")
SETTINGS = {
    "pitch_floor": ("pitch_floor_hz",),
    "pitch_ceiling": ("pitch_ceiling_hz",),
    "formant_ceiling": ("formant_ceiling_hz", "formant_ceiling_male_hz"),
    "formants": ("formants_below_ceiling",),
}
"""Columns of the table, and the fields of the configuration that each sets."""


@dataclass(frozen=True)
class Rule:
    """One row: whom it is for, and what it sets."""

    speaker: str | None
    sex: str | None
    values: tuple[tuple[str, float], ...]
    """Fields of the configuration."""

    def holds_for(self, recording: Recording) -> bool:
        """Tell whether a recording is of the speaker and the sex that are named."""
        return self.speaker in (None, recording.speaker) and self.sex in (None, recording.sex)


def read_settings(path: Path) -> tuple[Rule, ...]:
    """Read a table of settings; rows of speakers come last.

    Raises:
        AccentError: it cannot be read, has another column, or has a row for nobody or two for the same.
    """
    table = read_table(path)
    unknown = [name for name in table.columns if name not in (*KEYS, *SETTINGS)]
    if unknown:
        raise AccentError(f"{path}: no setting is called '{unknown[0]}'; there are {', '.join((*KEYS, *SETTINGS))}")
    rules: dict[tuple[str | None, str | None], Rule] = {}
    for number, row in enumerate(table.to_dict("records"), start=1):
        given = {name: value for name, value in row.items() if value == value and value is not None}
        speaker, sex = (str(given[key]) if key in given else None for key in KEYS)
        if speaker is None and sex is None:
            raise AccentError(f"{path}: row {number} names neither speaker nor sex")
        if sex not in (None, "female", "male"):
            raise AccentError(f"{path}: row {number} has the sex '{sex}'; it is female or male")
        if (speaker, sex) in rules:
            raise AccentError(f"{path}: row {number} is a second one for {speaker or sex}")
        values = tuple(
            (field, _number(given[name], name, path, number))
            for name, fields in SETTINGS.items()
            if name in given
            for field in fields
        )
        rules[speaker, sex] = Rule(speaker, sex, values)
    return tuple(sorted(rules.values(), key=lambda rule: (rule.speaker is not None, rule.sex is not None)))


def _number(value: Any, name: str, path: Path, row: int) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError) as error:
        raise AccentError(f"{path}: row {row} has '{value}' for {name}; it is a number") from error
    return int(number) if name == "formants" and number.is_integer() else number


def config_for(recording: Recording, config: FeatureConfig, rules: Sequence[Rule]) -> FeatureConfig:
    """Return the configuration that a recording is measured with.

    Raises:
        AccentError: the settings do not go together.
    """
    values: dict[str, Any] = {}
    for rule in rules:
        if rule.holds_for(recording):
            values.update(rule.values)
    try:
        return replace(config, **values)
    except ValueError as error:
        raise AccentError(f"settings: {error}") from error


def settings_table(recordings: Sequence[Recording], config: FeatureConfig, rules: Sequence[Rule]) -> "pd.DataFrame":
    """Return what each recording is measured with: one row a recording, and the settings in Praat's terms."""
    import pandas as pd

    rows = []
    for recording in recordings:
        own = config_for(recording, config, rules)
        rows.append(
            {
                "file": recording.name,
                "speaker": recording.speaker,
                "sex": recording.sex,
                "pitch_floor": own.pitch_floor_hz,
                "pitch_ceiling": own.pitch_ceiling_hz,
                "formant_ceiling": own.formant_ceiling_for(recording.sex),
                "formants": own.formants_below_ceiling,
            }
        )
    return pd.DataFrame(rows)


def settings_path(table: Path) -> Path:
    """Return where the settings of a table's recordings lie: NAME.settings.csv beside it."""
    return table.with_name(f"{table.stem}.settings.csv")


def naming_settings(entries: Sequence[Entry], path: Path) -> list[Entry]:
    """Return a codebook that says where the settings of each recording are, where they are not the same for all."""
    note = f"; by recording in {path.name}"
    return [
        replace(entry, setting=entry.setting + note)
        if "pitch floor" in entry.setting or "formant ceiling" in entry.setting
        else entry
        for entry in entries
    ]
