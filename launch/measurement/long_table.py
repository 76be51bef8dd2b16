"""A table of measures as a long one, with one value a row: what mixed models read (lme4, statsmodels).

Columns that say where a value comes from stay (file, speaker, accent, sex, phone, word, times); then `position` (`mid`,
`third1` to `third3`; empty for values of whole rows), `measure` and `value`.  Undefined values have no row.

Cost: that of pandas; a row a value.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from launch.measurement.rows import PLACING_NUMBERS, POSITIONS

if TYPE_CHECKING:
    import pandas as pd


def long_table(table: "pd.DataFrame", measures: Sequence[str]) -> "pd.DataFrame":
    """Return a table with one value a row.

    Args:
        table: as `accent measure` writes it.
        measures: the columns whose values become rows.
    """
    places = [
        name for name in table.columns if name not in table.select_dtypes("number").columns or name in PLACING_NUMBERS
    ]
    long: pd.DataFrame = table.melt(places, list(measures), "header", "value").dropna(subset=["value"])
    parts = long["header"].str.extract(rf"^(?:(?P<position>{'|'.join(POSITIONS)})_)?(?P<measure>.+)$")
    long = long.drop(columns="header").join(parts)
    return long[[*places, "position", "measure", "value"]].reset_index(drop=True)
