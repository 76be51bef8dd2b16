"""`accent report`: one page of what runs have learnt, to be opened in a browser, sent or kept.

Cost: a few seconds and 4.8 MB for plotly.js; then what each section says.
"""

from collections.abc import Collection, Sequence
from pathlib import Path

from accent.files import writable_folder, write_text
from launch.html_report.files import RunFiles, open_all
from launch.html_report.page import render
from launch.html_report.section import Section
from launch.html_report.sections import (
    about,
    calibration,
    confusion,
    curves,
    figures,
    fusion,
    leakage,
    phones,
    prosody,
    reconstruction,
    space,
    vowels,
)
from launch.html_report.sections.lacking import lacks_shards
from launch.html_report.sound import sounds
from launch.html_report.speech import Speech, read_speech

NAME = "report.html"


def write_report(
    folders: Sequence[Path],
    output: Path | None = None,
    corpus: Path | None = None,
    shards: Path | None = None,
    umap: bool = False,
    seed: int = 0,
) -> Path:
    """Write the page.

    Args:
        folders: runs, cross-validations, baselines; they stand side by side.
        output: the file; `report.html` in the first folder if not given.
        corpus: the corpus that the runs' shard sets were made from: points of the maps then play their recordings.
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
    heard = {} if corpus is None else sounds(runs, corpus, seed=seed)
    title = "accent: " + ", ".join(run.name for run in runs)
    page = render(title, [summary(run) for run in runs], sections_of(runs, heard, umap, seed), heard)
    write_text(path, page)
    return path


def sections_of(
    runs: Sequence[RunFiles], heard: Collection[str] = (), umap: bool = False, seed: int = 0
) -> list[Section]:
    """Return everything the page shows, in order."""
    speeches = speeches_of(runs, seed)
    lacking = [lacks_shards(run) for run in runs if run.shard_set is None and run.kind != "baselines"]
    return [
        figures.section(runs),
        curves.section(runs),
        space.section(runs, heard, umap, seed),
        confusion.section(runs),
        calibration.section(runs),
        fusion.section(runs),
        leakage.section(runs),
        phones.section(runs),
        vowels.section(speeches, lacking),
        prosody.section(speeches, lacking),
        reconstruction.section(runs),
        about.section(runs),
    ]


def speeches_of(runs: Sequence[RunFiles], seed: int = 0) -> dict[str, Speech]:
    """Read the shard sets of the runs, each once, by the names of their folders."""
    found: dict[Path, Speech] = {}
    for run in runs:
        if run.shard_set is not None and run.shard_set.root.resolve() not in found:
            found[run.shard_set.root.resolve()] = read_speech(run.shard_set, seed=seed)
    names = [root.name for root in found]
    return {str(root) if names.count(root.name) > 1 else root.name: speech for root, speech in found.items()}


def summary(run: RunFiles) -> str:
    """Return a line that says what a folder is."""
    if run.evaluation is not None:
        return f"{run.name}: {run.evaluation['title']}"
    if run.kind == "cross-validation":
        return f"{run.name}: cross-validation, {len(run.folds)} finished runs"
    if run.kind == "baselines":
        return f"{run.name}: {len(run.systems)} baselines"
    return f"{run.name}: a run that is not evaluated"
