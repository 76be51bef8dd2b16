"""`accent score-check`: does goodness of pronunciation say what people say?"""

from pathlib import Path
from typing import Annotated

import typer

from launch.commands.applications.sound_options import Device


def score_check(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a training run, or of an exported model.")],
    corpus: Annotated[
        Path, typer.Argument(metavar="CORPUS", help="L2-ARCTIC with its annotations, or speechocean762's folder.")
    ],
    scores: Annotated[
        Path | None,
        typer.Option(help="scores.json of speechocean762; that in the folder resource of CORPUS by default."),
    ] = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Also write the figures to this .json.")] = None,
    device: Device = "cpu",
) -> None:
    """Compare the goodness of pronunciation with errors that listeners marked, or with scores that people gave.

    Annotations: precision, recall and F1 of marked phones at a threshold chosen on other speakers, and Spearman's rho
    of the share of errors by utterance.  Human scores: Pearson's correlation by phone, word and utterance.  Speakers
    that trained or chose the model are left out.

    Example: accent score-check runs/l2arctic PATH/TO/L2-ARCTIC
    """
    import sys
    from dataclasses import asdict

    from accent.files import write_bytes
    from accent.strict_json import to_json
    from launch.applications.pronunciation.check import check_scores
    from launch.commands.options import show
    from launch.reporting.check_table import check_table

    report = check_scores(run, corpus, scores, device)
    for name, reason in report.refused:
        print(f"refused: {name}: {reason}", file=sys.stderr)
    if report.left_out:
        print(f"left out, because they trained or chose the model: {', '.join(report.left_out)}", file=sys.stderr)
    show(check_table(f"goodness of pronunciation beside {report.compared_with}", report.figures))
    if output is not None:
        write_bytes(output, to_json(asdict(report), indent=2))
    if report.refused:
        raise typer.Exit(1)
