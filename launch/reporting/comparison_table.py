"""The table of compared groups for the terminal.  Cost: milliseconds."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich import box
from rich.table import Table

if TYPE_CHECKING:
    import pandas as pd

MOST_ROWS = 25
SIGNIFICANT = 0.05


def comparison_table(comparisons: "pd.DataFrame", within: Sequence[str]) -> Table:
    """Return the largest effects among the comparisons that stay significant; the largest of all if none does.

    Args:
        comparisons: what `launch.measurement.compare.compare` returns.
        within: its columns of labels.
    """
    tested = comparisons[comparisons.p.notna()]
    kept = tested[tested.p_adjusted < SIGNIFICANT]
    shown = (kept if len(kept) else tested).copy()
    order = shown.cohens_d.abs().sort_values(ascending=False, kind="stable").index[:MOST_ROWS]
    table = Table(
        title=f"{len(comparisons)} comparisons, {len(tested)} tested, {len(kept)} with adjusted p < {SIGNIFICANT}; "
        f"the {len(order)} largest effects",
        title_justify="left",
        caption="d: Cohen's d over speakers, 95 % interval by bootstrap; g: Hedges' g; p: Welch's t-test, "
        "adjusted by Benjamini and Hochberg over all comparisons tested",
        caption_justify="left",
        box=box.SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
        show_edge=False,
    )
    for name in (*within, "measure", "groups"):
        table.add_column(name, overflow="fold")
    for name in ("speakers", "means", "d", "95 % interval", "g", "adjusted p"):
        table.add_column(name, justify="right", no_wrap=True)
    for row in shown.loc[order].to_dict("records"):
        table.add_row(
            *(str(row[name]) for name in (*within, "measure")),
            f"{row['group_a']} - {row['group_b']}",
            f"{row['speakers_a']:.0f}, {row['speakers_b']:.0f}",
            f"{row['mean_a']:.4g}, {row['mean_b']:.4g}",
            f"{row['cohens_d']:.2f}",
            "" if row["d_low"] != row["d_low"] else f"[{row['d_low']:.2f}, {row['d_high']:.2f}]",
            f"{row['hedges_g']:.2f}",
            f"{row['p_adjusted']:.2g}",
        )
    return table


def speakers_line(table: "pd.DataFrame", by: str) -> str:
    """Return how many speakers each group has, by sex where the table has it: an imbalance there is one in F0."""
    speakers = table.dropna(subset=["speaker", by]).drop_duplicates("speaker")
    counts = []
    for group, part in speakers.groupby(by):
        sexes = "" if by == "sex" or "sex" not in part else _by_sex(part)
        counts.append(f"{group} {len(part)}{sexes}")
    return f"speakers: {'; '.join(counts)}"


def _by_sex(speakers: "pd.DataFrame") -> str:
    counts = speakers.sex.fillna("unknown").value_counts().sort_index()
    return f" ({', '.join(f'{count} {sex}' for sex, count in counts.items())})"
