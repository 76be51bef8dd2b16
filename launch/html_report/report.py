"""`accent report`: one page of what runs have learnt, to be opened in a browser, sent or kept.

Cost: a few seconds and 4.8 MB for plotly.js; then what each section says.
"""

from collections.abc import Sequence
from pathlib import Path

from accent.files import writable_folder, write_text
from launch.html_report.files import RunFiles, open_all
from launch.html_report.page import render
from launch.html_report.section import Section
from launch.html_report.sections import about, calibration, confusion, curves, figures, fusion, leakage, space

NAME = "report.html"


def write_report(
    folders: Sequence[Path],
    output: Path | None = None,
    shards: Path | None = None,
    umap: bool = False,
    seed: int = 0,
) -> Path:
    """Write the page.

    Args:
        folders: runs, cross-validations, baselines; they stand side by side.
        output: the file; `report.html` in the first folder if not given.
        shards: the shard set, where it is no longer where the configurations say.
        umap: whether UMAP's maps come beside those of the principal components; needs the extra `umap`.
        seed: of every choice of recordings.

    Returns:
        The file.

    Raises:
        AccentError: a folder is nothing that can be reported on, a file in it is damaged, or the page cannot be
            written.
    """
    runs = open_all(folders, shards)
    path = output if output is not None else folders[0] / NAME
    writable_folder(path.parent)
    page = render(
        "accent: " + ", ".join(run.name for run in runs),
        [summary(run) for run in runs],
        sections_of(runs, umap, seed),
        {},
    )
    write_text(path, page)
    return path


def sections_of(runs: Sequence[RunFiles], umap: bool = False, seed: int = 0) -> list[Section]:
    """Return everything the page shows, in order."""
    return [
        figures.section(runs),
        curves.section(runs),
        space.section(runs, umap, seed),
        confusion.section(runs),
        calibration.section(runs),
        fusion.section(runs),
        leakage.section(runs),
        about.section(runs),
    ]


def summary(run: RunFiles) -> str:
    """Return a line that says what a folder is."""
    if run.evaluation is not None:
        return f"{run.name}: {run.evaluation['title']}"
    if run.kind == "cross-validation":
        return f"{run.name}: cross-validation, {len(run.folds)} finished runs"
    if run.kind == "baselines":
        return f"{run.name}: {len(run.systems)} baselines"
    return f"{run.name}: a run that is not evaluated"
