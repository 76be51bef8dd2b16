"""Mozilla Common Voice as distributed: one language's folder with validated.tsv and clips/.

A speaker is a `client_id`.  Accents are what speakers wrote about themselves: empty, free text, or several, between `|`
or (in older releases) commas.  `corpus.accent_groups` says which text counts as which accent; a text that it does not
know, a clip without an accent and a speaker of several accents are left out and counted.  A speaker's accent and sex
hold for all clips of theirs, also for those recorded before they said so.

Source: Ardila et al., "Common Voice: A Massively-Multilingual Speech Corpus", LREC 2020; columns of releases 5 to 21.
Cost: about 40 microseconds a clip, and one listing of clips/; no sound is opened.
"""

import os
import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path

from accent.errors import AccentError
from shards.corpora.corpus import Corpus, CorpusConfig, Refusal, Utterance, assemble, chosen_speakers, key_of
from shards.corpora.names import composed, split_part
from shards.corpora.prompts import normalise_text, prompt_of_text
from shards.corpora.table_rows import RowFault, read_rows, sex_and_rest

TABLE = "validated.tsv"
CLIPS = "clips"
SPLIT_TABLES = ("train.tsv", "dev.tsv", "test.tsv")
_Row = dict[str, str]


def is_here(root: Path) -> bool:
    """Return whether `root` is the folder of one language of Common Voice."""
    return os.path.isfile(root / TABLE) and os.path.isdir(root / CLIPS)


def read(root: Path, config: CorpusConfig) -> Corpus:
    """List the validated clips of a language.

    Args:
        root: absolute folder that holds `validated.tsv` and `clips`.
        config: groups of accents, fewest clips of a speaker, whether the release's splits are taken, speakers, accents.

    Returns:
        The corpus, named after its folder; whatever was left out is among the refused, counted.

    Raises:
        AccentError: no such table, a column missing, a group that no speaker is in, nothing that can be used.
    """
    if not is_here(root):
        raise AccentError(f"{root}: no {TABLE} or no {CLIPS} here; give the folder of one language of Common Voice")
    refused: list[Refusal] = []
    rows_of: dict[str, list[_Row]] = defaultdict(list)
    for row in _usable_rows(root, refused):
        rows_of[row["client_id"]].append(row)
    accent_of = _accents(rows_of, config, refused)
    split_of = _splits(root, accent_of, refused) if config.use_splits else {}
    few = [name for name in accent_of if len(rows_of[name]) < config.min_clips]
    if few:
        clips = sum(len(rows_of[name]) for name in few)
        why = f"fewer than {config.min_clips} clips (corpus.min_clips)"
        refused.append(Refusal(TABLE, f"{why}: {clips} clips of {len(few)} speakers"))
    kept = {name: accent for name, accent in accent_of.items() if len(rows_of[name]) >= config.min_clips}
    if not kept:
        why = "; ".join(one.reason for one in sorted(refused, key=lambda one: one.reason)[:5]) or "it lists no clip"
        raise AccentError(f"{root / TABLE}: no clip can be used: {why}")
    chosen = chosen_speakers(kept, config, root / TABLE)
    utterances = [
        utterance for name in chosen for utterance in _utterances(root, rows_of[name], kept[name], split_of.get(name))
    ]
    return assemble(root.name, root, utterances, refused)


def _usable_rows(root: Path, refused: list[Refusal]) -> Iterator[_Row]:
    """Yield the rows whose clip is there."""
    there = set(os.listdir(root / CLIPS))
    for line, row in read_rows(root / TABLE, required=("client_id", "path")):
        if isinstance(row, RowFault):
            refused.append(Refusal(TABLE, f"line {line}: {row}"))
        elif row["path"] not in there:
            refused.append(Refusal(f"{CLIPS}/{row['path']}", f"{TABLE}, line {line}: no such file"))
        else:
            yield row


def _accents(rows_of: dict[str, list[_Row]], config: CorpusConfig, refused: list[Refusal]) -> dict[str, str]:
    """Return the accent of each speaker who has one; the others are counted by what they wrote."""
    groups = {_folded(text): composed(group) for text, group in config.accent_groups.items()}
    accent_of: dict[str, str] = {}
    left_out: dict[str, Counter[str]] = {"speakers": Counter(), "clips": Counter()}
    for name, rows in rows_of.items():
        written = {part for row in rows for part in _parts(row.get("accents") or row.get("accent", ""))}
        known = {groups.get(_folded(part)) for part in written} - {None} if groups else written
        if len(known) == 1:
            (accent,) = known
            assert accent is not None
            accent_of[name] = accent
            continue
        if not written:
            why = "no accent given"
        elif known:
            why = f"several accents: {', '.join(sorted(filter(None, known)))}"
        else:
            why = f"accent not in corpus.accent_groups: {', '.join(sorted(written))}"
        left_out["speakers"][why] += 1
        left_out["clips"][why] += len(rows)
    for why, speakers in left_out["speakers"].items():
        refused.append(Refusal(TABLE, f"{why}: {left_out['clips'][why]} clips of {speakers} speakers"))
    return accent_of


def _parts(accents: str) -> list[str]:
    """Return the accents that a cell names: between `|`, or between commas that stand in no brackets."""
    parts = accents.split("|") if "|" in accents else re.split(r",(?![^(]*\))", accents)
    return [part.strip() for part in parts if part.strip()]


def _folded(text: str) -> str:
    return " ".join(composed(text).casefold().split())


def _splits(root: Path, accent_of: dict[str, str], refused: list[Refusal]) -> dict[str, str]:
    """Return the split of each speaker, and take out of `accent_of` those whom the release gives none."""
    parts_of: dict[str, set[str]] = defaultdict(set)
    for name in SPLIT_TABLES:
        if not (root / name).is_file():
            raise AccentError(f"{root / name}: no such file; leave corpus.use_splits out, or unpack the whole release")
        part = split_part(name.removesuffix(".tsv"))
        assert part is not None
        for _, row in read_rows(root / name, required=("client_id",)):
            if not isinstance(row, RowFault):
                parts_of[row["client_id"]].add(part)
    several = sorted(name for name in accent_of if len(parts_of.get(name, ())) > 1)
    without = [name for name in accent_of if name not in parts_of]
    if without:
        refused.append(Refusal(TABLE, f"in none of {', '.join(SPLIT_TABLES)}: {len(without)} speakers"))
    refused += [Refusal(TABLE, f"speaker {name} is in {', '.join(sorted(parts_of[name]))}") for name in several]
    for name in (*several, *without):
        del accent_of[name]
    return {name: next(iter(parts_of[name])) for name in accent_of}


def _utterances(root: Path, rows: list[_Row], accent: str, split: str | None) -> Iterator[Utterance]:
    sexes = {sex for sex, _ in map(sex_and_rest, rows)} - {None}
    for row in rows:
        _, cells = sex_and_rest(row)
        speaker, path = cells.pop("client_id"), root / CLIPS / cells.pop("path")
        text = cells.pop("sentence", None)
        # A client_id has 128 characters, and the clip's name is already unique in a release.
        key = key_of(speaker[:12], path.stem)
        words = normalise_text(text or "")
        yield Utterance(
            key=key,
            path=path,
            speaker=speaker,
            accent=accent,
            corpus=root.name,
            prompt=prompt_of_text(words) if words else key,
            text=text,
            sex=next(iter(sexes)) if len(sexes) == 1 else None,
            split=split,
            extra=cells,
        )
