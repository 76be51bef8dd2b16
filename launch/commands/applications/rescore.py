"""`accent rescore`: speaker verification that knows accents."""

from pathlib import Path
from typing import Annotated

import typer


def rescore(
    embeddings: Annotated[
        Path,
        typer.Argument(metavar="EMBEDDINGS", help="Speaker embeddings of any program: .npz, or Kaldi's .scp, .ark."),
    ],
    trials: Annotated[Path, typer.Argument(metavar="TRIALS", help="Lines '1 FIRST SECOND' or '0 FIRST SECOND'.")],
    cohort: Annotated[
        Path, typer.Argument(metavar="COHORT", help="Embeddings of other speakers, of the same accents.")
    ],
    labels: Annotated[
        Path | None,
        typer.Option(help="Table with utterance, speaker, accent, maybe seconds; not needed if an .npz has them."),
    ] = None,
    top: Annotated[int, typer.Option(min=2, help="Nearest cohort speakers that count.")] = 100,
    target_prior: Annotated[float, typer.Option(min=0.0001, max=0.9999, help="Of minDCF.")] = 0.01,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="The .npz file to write the scores to.")] = None,
) -> None:
    """Normalise and calibrate scores of speaker trials by accent; print EER and minDCF before and after.

    Example: accent rescore test.npz trials.txt cohort.npz -o scores.npz
    """
    from launch.applications.speaker_embeddings import read_speaker_embeddings
    from launch.applications.speaker_verification import figures, read_trials, score_trials, write_scores
    from launch.reporting.speaker_table import speaker_table
    from launch.terminal import TerminalConsole

    tested = read_speaker_embeddings(embeddings, labels)
    pairs = read_trials(trials, tested)
    scores = score_trials(tested, pairs, read_speaker_embeddings(cohort, labels), top)
    if output is not None:
        write_scores(output, scores, pairs, tested)
    TerminalConsole().print(speaker_table(figures(scores, pairs.target_n, target_prior)))
