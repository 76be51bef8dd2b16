"""The model card of an exported run: data, protocol, figures, use, licence; in the form that model hubs read.

Every figure in it is read from files that measured it.  Cost: none.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from accent.errors import AccentError
from accent.inference.calibration import Calibration
from accent.inference.model_file import WEIGHTS_NAME
from accent.model.build import AccentEncoder
from shards.shard_set.manifest import ShardSet
from shards.splits.split import Split

if TYPE_CHECKING:
    from launch.applications.export import ExportReport


def model_card(
    run: Path, folder: Path, model: AccentEncoder, shard_set: ShardSet, parts: Split, report: "ExportReport"
) -> str:
    """Return the card as Markdown.

    Args:
        run: the run folder.
        folder: holds the weights and, if it was measured, the calibration.
        model: the exported model.
        shard_set: what it was trained on.
        parts: who trained, validated and tested.
        report: what was checked of the export.
    """
    config = model.config
    parameters = sum(parameter.numel() for parameter in model.parameters()) / 1e6
    lines = [
        "---",
        "library_name: accent-embeddings",
        "pipeline_tag: audio-classification",
        "license: other",
        "tags: [accent, speech, embedding]",
        "---",
        "",
        f"# Accent embeddings: {', '.join(config.accents)}",
        "",
        f"Speech in, a vector of {config.embedding_dim} numbers out; and which of {len(config.accents)} accents it is.",
        f"Branch `{config.branch}`, {parameters:.2f} million parameters, values normalised by {config.normalisation}.",
        "",
        "    import accent",
        '    model = accent.load("THIS_FOLDER")',
        '    model.embed("recording.wav"), model.identify("recording.wav")',
        "",
        "## Data",
        "",
        f"{len(parts.train)} speakers train, {len(parts.validation)} validate, {len(parts.test)} are kept for testing; "
        "no speaker is in two parts.",
        f"{len(shard_set)} utterances. The corpus has a licence of its own, which is not part of this repository.",
        "",
        "## Figures",
        "",
        *_calibration_lines(folder),
        *_evaluation_lines(run),
        "",
        "## The network",
        "",
        f"`model.onnx` gives {' and '.join(report.outputs)}; on {report.recordings} real recordings it differs from "
        f"torch by at most {report.largest_difference:.1g}.",
        f"`model.int8.onnx` has {report.bytes_int8 / 1e6:.2f} MB of {report.bytes_float32 / 1e6:.2f}; "
        f"mean cosine to float32 {report.int8_mean_cosine:.4f}, the same answer for {report.int8_same_answer:.1%}"
        + (
            f"; accuracy {report.accuracy_int8:.3f}, in float32 {report.accuracy_float32:.3f}."
            if report.accuracy_int8 is not None
            else " of the frames."
        ),
        "Features are made in Python; for the branch `phones`, so are decoding, sums by phone and the embedding.",
        "",
        "## Use",
        "",
        "For research on accents, for conditioning and judging speech synthesis, and for fair speaker recognition. "
        "An accent is not a nationality, and an answer is a guess with the error rates above: do not decide about "
        "people by it. Accents outside the list are called unknown at best.",
        "",
        "## Licence",
        "",
        "The code is under Apache-2.0. Weights follow what the corpora allow; say so here before publishing.",
        "",
    ]
    return "\n".join(lines)


def _calibration_lines(folder: Path) -> list[str]:
    try:
        calibration = Calibration.load(folder / WEIGHTS_NAME, "accent calibrate RUN")
    except AccentError:
        return ["Not calibrated: `identify` and `verify` need `accent calibrate RUN` before the export."]
    lines = [
        f"Measured on {calibration.speakers} {calibration.basis}:",
        "",
        "| recordings | seconds | temperature | known called unknown | equal error rate, same accent |",
        "|---|---|---|---|---|",
    ]
    lines += [
        f"| {one.recordings} | {one.seconds:.1f} | {one.temperature:.3g} | {one.known_called_unknown:.2f} "
        f"| {one.equal_error_rate:.2f} |"
        for one in calibration.levels
    ]
    return lines


def _evaluation_lines(run: Path) -> list[str]:
    if (run / "evaluation" / "evaluation.json").is_file():
        return ["", "`accent evaluate` was run on it; its figures lie in the run's folder `evaluation`."]
    return ["", "It has not been evaluated on test speakers."]
