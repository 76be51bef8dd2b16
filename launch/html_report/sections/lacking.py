"""Lines that say what a run lacks for a section, and how to get it.  Cost: none."""

from launch.html_report.files import RunFiles


def lacks_evaluation(run: RunFiles) -> str:
    """Return the line for a folder without figures."""
    if run.kind == "run":
        return f"{run.name}: not evaluated yet; run: accent evaluate {run.folder} SHARDS"
    if run.kind == "cross-validation":
        done = len(run.folds)
        return f"{run.name}: no crossval.json ({done} folds finished); run the same accent crossval again to end it"
    return f"{run.name}: baselines.json has no system; run accent baselines again"


def lacks_shards(run: RunFiles) -> str:
    """Return the line for a run whose shard set is not where it was."""
    named = "" if run.config is None else f" ({run.config.shards})"
    return f"{run.name}: its shard set is not here{named}; say where it is: accent report ... --shards FOLDER"


def lacks_alignments(shards: str, what: str) -> str:
    """Return the line for a shard set without phones: its name, and what cannot be shown."""
    return f"{shards}: no alignments, so no {what}; run accent align on the corpus and featurize it again"


def lacks_model(run: RunFiles) -> str:
    """Return the line for a folder that has no model."""
    if run.kind == "baselines":
        return f"{run.name}: baselines have no model to look into"
    if run.kind == "cross-validation":
        return f"{run.name}: no fold is finished; run the same accent crossval again to end it"
    return f"{run.name}: no model yet; its training has not reached a validation"
