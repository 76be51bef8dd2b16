"""Any corpus through a table file: one row an utterance, as TSV, CSV or JSON lines.

Columns: path, speaker, accent; and where there are any, utterance (or key: name of the utterance, else the file name),
prompt, text, textgrid, sex (or gender), split; every other column goes along with the utterance.  Paths are relative
to the table's folder.  Cost: about 80 microseconds a row; the transcripts are in the table, and no sound is opened.
"""

import os
from dataclasses import replace
from pathlib import Path

from shards.corpora.corpus import Corpus, CorpusConfig, Refusal, Utterance, assemble, chosen_speakers, key_of
from shards.corpora.prompts import normalise_text, prompt_of_text
from shards.corpora.table_rows import RowFault, read_rows, sex_and_rest

SPLITS = ("train", "validation", "test")


def read(table: Path, config: CorpusConfig) -> Corpus:
    """List the utterances of a table.

    Args:
        table: absolute path of a .tsv, .csv or .jsonl file.
        config: speakers and accents.

    Returns:
        The corpus, named after the file.  An utterance's prompt is the row's, else it stands for the row's text, else
        (nobody can say what was read) it is the utterance's own key.

    Raises:
        AccentError: a column missing, a broken file, one key twice, a speaker with two accents, a chosen speaker or
            accent that is not there, no usable row.
    """
    utterances: list[Utterance] = []
    refused: list[Refusal] = []
    for line, row in read_rows(table, required=("path", "speaker", "accent")):
        fault = row if isinstance(row, RowFault) else _fault(table.parent, row)
        if isinstance(row, RowFault) or fault:
            refused.append(Refusal(table.name if isinstance(row, RowFault) else row["path"], f"line {line}: {fault}"))
        else:
            utterances.append(_utterance(table, row))
    corpus = assemble(table.stem, table.parent, utterances, refused)
    chosen = set(chosen_speakers({one.speaker: one.accent for one in corpus.utterances}, config, table))
    return replace(corpus, utterances=tuple(one for one in corpus.utterances if one.speaker in chosen))


def _fault(folder: Path, row: dict[str, str]) -> str | None:
    for column in ("path", "textgrid"):
        if column in row and not (folder / row[column]).is_file():
            return f"{column} {row[column]}: {'not a file' if (folder / row[column]).exists() else 'no such file'}"
    if row.get("split", SPLITS[0]) not in SPLITS:
        return f"split '{row['split']}' is not one of {', '.join(SPLITS)}"
    return None


def _utterance(table: Path, row: dict[str, str]) -> Utterance:
    sex, cells = sex_and_rest(row)
    # abspath takes ".." out of a path without following links, so that it stays relative to the corpus where it can.
    path = Path(os.path.abspath(table.parent / cells.pop("path")))
    speaker, accent = cells.pop("speaker"), cells.pop("accent")
    key = key_of(speaker, cells.pop("utterance", path.stem))
    text, textgrid = cells.pop("text", None), cells.pop("textgrid", None)
    words = normalise_text(text or "")
    return Utterance(
        key=key,
        path=path,
        speaker=speaker,
        accent=accent,
        corpus=table.stem,
        prompt=cells.pop("prompt", prompt_of_text(words) if words else key),
        text=text,
        sex=sex,
        textgrid=Path(os.path.abspath(table.parent / textgrid)) if textgrid else None,
        split=cells.pop("split", None),
        extra=cells,
    )
