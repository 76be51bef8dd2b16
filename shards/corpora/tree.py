"""A tree in L2-ARCTIC's layout with a `speakers.tsv` at its root: any corpus of one folder a speaker.

ROOT/SPEAKER/wav/*.{wav,flac,ogg,mp3} and, where they exist, transcript/*.txt, textgrid/*.TextGrid and
annotation/*.TextGrid.  A speaker without such a folder may keep sound in folders of their own (VoxCeleb has one a
video).  `speakers.tsv` has the columns speaker and accent, perhaps sex (or gender), and any others,
which go along with each utterance.  What is in the table but not on disk, or on disk but not in the table, is refused
by name; the rest is read.
Cost: about 80 microseconds an utterance.
"""

from dataclasses import dataclass
from pathlib import Path

from accent.errors import AccentError
from shards.corpora.corpus import Corpus, CorpusConfig, Refusal, Utterance, assemble, chosen_speakers, key_of
from shards.corpora.prompts import prompts_by_name_and_text
from shards.corpora.speaker_folder import Recording, nested_recordings, recordings, speaker_folders, unreadable_folders
from shards.corpora.table_rows import RowFault, read_rows, sex_and_rest

TABLE_NAME = "speakers.tsv"

_SUMMARIES = ("rate", "utterances", "seconds")
"""Columns that count a speaker's files: they say nothing about one utterance, and a shard counts for itself."""


@dataclass(frozen=True)
class _Speaker:
    name: str
    accent: str
    sex: str | None
    extra: dict[str, str]


def read(root: Path, config: CorpusConfig) -> Corpus:
    """List a tree.

    Args:
        root: absolute folder that holds `speakers.tsv` and a folder for each speaker.
        config: speakers and accents.

    Returns:
        The corpus, named after its folder.  Prompts follow `prompts.prompts_by_name_and_text`.

    Raises:
        AccentError: no table, a table without the columns needed or with one speaker twice, a chosen speaker or accent
            that is not there, no sound.
    """
    table = root / TABLE_NAME
    if not table.is_file():
        raise AccentError(f"{root}: no {TABLE_NAME} here; add one with the columns speaker, accent")
    speakers, refused = _read_speakers(table)
    chosen = chosen_speakers({name: speaker.accent for name, speaker in speakers.items()}, config, table)
    folders = speaker_folders(root)
    found: list[tuple[_Speaker, Recording]] = []
    for name in chosen:
        listed = list(recordings(root, folders[name])) if name in folders else []
        if not listed and (root / name).is_dir():
            listed = list(nested_recordings(root, folders.get(name, root / name)))
        if not any(isinstance(one, Recording) for one in listed):
            fault = f"speaker {name} is in {TABLE_NAME} but has no sound in {folders.get(name, root / name) / 'wav'}"
            if config.speakers:
                raise AccentError(f"{fault}; leave {name} out of corpus.speakers")
            refused.append(Refusal(name, fault))
        refused += [one for one in listed if isinstance(one, Refusal)]
        found += [(speakers[name], one) for one in listed if isinstance(one, Recording)]
    if not config.speakers:
        refused += unreadable_folders(root)
        refused += _unlisted(root, {name: folder for name, folder in folders.items() if name not in speakers})
    return assemble(root.name, root, _utterances(root, found), refused)


def _read_speakers(table: Path) -> tuple[dict[str, _Speaker], list[Refusal]]:
    speakers: dict[str, _Speaker] = {}
    lines: dict[str, int] = {}
    refused: list[Refusal] = []
    for line, row in read_rows(table, required=("speaker", "accent")):
        if isinstance(row, RowFault):
            refused.append(Refusal(TABLE_NAME, f"line {line}: {row}"))
            continue
        name, accent = row.pop("speaker"), row.pop("accent")
        if name in speakers:
            raise AccentError(
                f"{table}: speaker {name} is listed twice, as {speakers[name].accent} on line {lines[name]} and as "
                f"{accent} on line {line}; keep one"
            )
        sex, extra = sex_and_rest(row)
        speakers[name] = _Speaker(name, accent, sex, {key: extra[key] for key in extra if key not in _SUMMARIES})
        lines[name] = line
    if not speakers:
        raise AccentError(f"{table}: no speaker is listed; give one line a speaker: speaker, accent")
    return speakers, refused


def _unlisted(root: Path, folders: dict[str, Path]) -> list[Refusal]:
    """Refuse each sound file of the speakers whom the table leaves out: without an accent they teach nothing."""
    return [
        Refusal(
            one.path if isinstance(one, Refusal) else str(one.path.relative_to(root)),
            f"speaker {name} is not in {TABLE_NAME}",
        )
        for name, folder in folders.items()
        for one in recordings(root, folder)
    ]


def _utterances(root: Path, found: list[tuple[_Speaker, Recording]]) -> list[Utterance]:
    keys = [key_of(speaker.name, recording.name) for speaker, recording in found]
    prompts = prompts_by_name_and_text([one.name for _, one in found], [one.text for _, one in found], keys)
    return [
        Utterance(
            key=key,
            path=recording.path,
            speaker=speaker.name,
            accent=speaker.accent,
            corpus=root.name,
            prompt=prompt,
            text=recording.text,
            sex=speaker.sex,
            textgrid=recording.textgrid,
            extra=speaker.extra | _annotation(root, recording),
        )
        for key, prompt, (speaker, recording) in zip(keys, prompts, found, strict=True)
    ]


def _annotation(root: Path, recording: Recording) -> dict[str, str]:
    return {"annotation": str(recording.annotation.relative_to(root))} if recording.annotation else {}
