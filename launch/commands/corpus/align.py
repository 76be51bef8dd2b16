"""`accent align`: TextGrids for a corpus that has transcripts and no alignments."""

from pathlib import Path
from typing import Annotated

import typer


def align(
    corpus: Annotated[Path, typer.Argument(metavar="CORPUS", help="A corpus folder, or a table (.tsv, .csv, .jsonl).")],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="Folder of the TextGrids; an unfinished set is resumed.")],
    overrides: Annotated[
        list[str] | None,
        typer.Argument(metavar="KEY=VALUE", help="What is read: corpus.speakers=[A,B].", show_default=False),
    ] = None,
    dictionary: Annotated[
        Path | None,
        typer.Option(help="Pronunciations of words that the aligner's dictionary lacks: WORD PH O N E S, one a line."),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(min=1, help="Processes; as many as this machine has cores by default."),
    ] = None,
) -> None:
    """Align English transcripts with their sound: words and phones as TextGrids, in parallel, resumable.

    `accent featurize CORPUS SHARDS corpus.alignments=OUT` uses them.
    TextGrids that the corpus has are used as they are.

    Example: accent align corpus aligned
    """
    from accent.configuration import load
    from launch.terminal import TerminalConsole
    from shards.alignment.align_corpus import AlignConfig, align_corpus
    from shards.shard_set.summary import refused_table

    settings = load(AlignConfig, None, overrides or [])
    result = align_corpus(corpus, out, settings, dictionary=dictionary, workers=workers)
    if result.refused:
        TerminalConsole(stderr=True).print(refused_table(result.refused))
    if result.unknown_words:
        words = ", ".join(f"{word} ({count})" for word, count in result.unknown_words.items())
        print(f"words that no dictionary has (utterances): {words}; list them in a file and give it with --dictionary")
    print(
        f"{result.aligned} aligned, {result.before} aligned before, {result.own} with a TextGrid of their own, "
        f"{len(result.refused)} refused: accent featurize {corpus} SHARDS corpus.alignments={out}"
    )
