"""Any corpus through a table file: one row an utterance, as TSV, CSV or JSON lines.

Columns: path, speaker, accent; and where there are any, utterance (or key: its name; else the file's, with its
folders where a speaker's files repeat), prompt, text, textgrid, sex (or gender), split, and language (or locale: speech
of other languages than English gets no phones); every other column goes along with the utterance.  Paths are relative
to the table's folder.  Cost: about 80 microseconds a row; the transcripts are in the table, and no sound is opened.
"""

import os
from collections import defaultdict
from dataclasses import replace
from pathlib import Path

from shards.corpora.corpus import Corpus, CorpusConfig, Refusal, Utterance, assemble, chosen_speakers, key_of
from shards.corpora.names import SPLIT_PARTS, names_from_paths, split_part, why_not_a_file
from shards.corpora.prompts import normalise_text, prompt_of_text
from shards.corpora.table_rows import RowFault, read_rows, sex_and_rest


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
    rows: list[dict[str, str]] = []
    refused: list[Refusal] = []
    lines: dict[tuple[str, str, str | None], int] = {}
    for line, row in read_rows(table, required=("path", "speaker", "accent")):
        fault = row if isinstance(row, RowFault) else _fault(table.parent, row)
        if isinstance(row, RowFault) or fault:
            refused.append(Refusal(table.name if isinstance(row, RowFault) else row["path"], f"line {line}: {fault}"))
            continue
        first = lines.setdefault((row["speaker"], row["path"], row.get("utterance")), line)
        if first == line:
            rows.append(row)
        else:
            refused.append(Refusal(row["path"], f"line {line}: the same file and speaker as line {first}"))
    names = _names(rows)
    utterances = [_utterance(table, row, name) for row, name in zip(rows, names, strict=True)]
    corpus = assemble(table.stem, table.parent, utterances, refused)
    chosen = set(chosen_speakers({one.speaker: one.accent for one in corpus.utterances}, config, table))
    return replace(corpus, utterances=tuple(one for one in corpus.utterances if one.speaker in chosen))


def _fault(folder: Path, row: dict[str, str]) -> str | None:
    fault = why_not_a_file(folder / row["path"])
    if fault is not None:
        return f"path {row['path']}: {fault}"
    if "split" in row and split_part(row["split"]) is None:
        return f"split '{row['split']}' is not one of {', '.join(SPLIT_PARTS)}"
    return None


def _names(rows: list[dict[str, str]]) -> list[str]:
    """Return the name of each row's utterance: what the row says, else its file's, with folders where files repeat."""
    unnamed: dict[str, list[int]] = defaultdict(list)
    for at, row in enumerate(rows):
        if "utterance" not in row:
            unnamed[row["speaker"]].append(at)
    names = [row.get("utterance", "") for row in rows]
    for positions in unnamed.values():
        found = names_from_paths([Path(rows[at]["path"]) for at in positions])
        for at, name in zip(positions, found, strict=True):
            names[at] = name
    return names


def _utterance(table: Path, row: dict[str, str], name: str) -> Utterance:
    sex, cells = sex_and_rest(row)
    # abspath takes ".." out of a path without following links, so that it stays relative to the corpus where it can.
    path = Path(os.path.abspath(table.parent / cells.pop("path")))
    speaker, accent = cells.pop("speaker"), cells.pop("accent")
    cells.pop("utterance", None)
    key = key_of(speaker, name)
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
        split=split_part(cells.pop("split", "")),
        extra=cells,
    )
