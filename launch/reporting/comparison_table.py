"""The table of compared groups for the terminal.  Cost: milliseconds."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich import box
from rich.table import Table

if TYPE_CHECKING:
    import pandas as pd

MOST_ROWS = 20
SIGNIFICANT = 0.05


def comparison_table(comparisons: "pd.DataFrame", within: Sequence[str]) -> Table:
    """Return the comparisons of lowest p.

    Args:
        comparisons: what `launch.measurement.compare.compare` returns.
        within: its columns of labels.
    """
    tested = comparisons[comparisons.p.notna()]
    shown = tested.sort_values("p", kind="stable")[:MOST_ROWS]
    table = Table(
        title=f"{len(tested)} of {len(comparisons)} comparisons tested, {(tested.p_adjusted < SIGNIFICANT).sum()} with "
        f"adjusted p < {SIGNIFICANT}; the {len(shown)} of lowest p",
        title_justify="left",
        caption="n: speakers of each; d: Cohen's d over speakers with its 95 % interval by bootstrap;\n"
        "adj. p: Welch's t-test, adjusted by Benjamini and Hochberg over all tested",
        caption_justify="left",
        box=box.SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
        show_edge=False,
    )
    for name in within:
        table.add_column(name, no_wrap=True)
    table.add_column("measure", overflow="fold", min_width=18)
    table.add_column("a - b", overflow="fold", min_width=10)
    for name in ("n", "d", "95 % interval", "adj. p"):
        table.add_column(name, justify="right", no_wrap=True)
    for row in shown.to_dict("records"):
        table.add_row(
            *(str(row[name]) for name in within),
            row["measure"],
            f"{row['group_a']} - {row['group_b']}",
            f"{row['speakers_a']:.0f}, {row['speakers_b']:.0f}",
            f"{row['cohens_d']:.2f}",
            "" if row["d_low"] != row["d_low"] else f"[{row['d_low']:.2f}, {row['d_high']:.2f}]",
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
