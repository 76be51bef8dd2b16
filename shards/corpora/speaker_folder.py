"""The folders of one speaker in L2-ARCTIC's layout: wav, transcript, textgrid, annotation.

Shared by the reader of L2-ARCTIC itself and by trees that follow it.  Cost: one listing a folder and one small read a
transcript; about 80 microseconds an utterance.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from shards.corpora.corpus import SOUND_SUFFIXES, Refusal


@dataclass(frozen=True)
class Recording:
    """One sound file of a speaker's folder with the files that belong to it."""

    path: Path
    """The sound file."""
    name: str
    """Its name without the ending."""
    text: str | None
    """Content of the transcript, on one line."""
    textgrid: Path | None
    """Forced alignment of words and phones."""
    annotation: Path | None
    """Alignment corrected by hand."""


def speaker_folder(root: Path, name: str) -> Path | None:
    """Return the folder that holds `wav`: ROOT/NAME, or ROOT/NAME/NAME as the zip of each speaker unpacks."""
    for folder in (root / name, root / name / name):
        if (folder / "wav").is_dir():
            return folder
    return None


def speaker_folders(root: Path) -> dict[str, Path]:
    """Return every folder of `root` that holds a `wav` folder, by name, in sorted order."""
    names = sorted(entry.name for entry in root.iterdir() if entry.is_dir() and not entry.name.startswith("."))
    return {name: folder for name in names if (folder := speaker_folder(root, name)) is not None}


def recordings(root: Path, folder: Path) -> Iterator[Recording | Refusal]:
    """Yield the sound files of one speaker's folder in the order of their names.

    Args:
        root: the corpus; refusals are relative to it.
        folder: holds `wav` and perhaps `transcript`, `textgrid`, `annotation`.

    Yields:
        A recording, or a refusal where its transcript cannot be read.
    """
    transcripts = _by_name(folder / "transcript", (".txt",))
    textgrids = _by_name(folder / "textgrid", (".textgrid",))
    annotations = _by_name(folder / "annotation", (".textgrid",))
    for path in _files(folder / "wav", SOUND_SUFFIXES):
        transcript = transcripts.get(path.stem)
        try:
            text = " ".join(transcript.read_text(encoding="utf-8-sig").split()) if transcript else ""
        except (OSError, UnicodeDecodeError) as error:
            yield Refusal(str(path.relative_to(root)), f"its transcript {transcript} cannot be read: {error}")
            continue
        yield Recording(path, path.stem, text or None, textgrids.get(path.stem), annotations.get(path.stem))


def _files(folder: Path, suffixes: tuple[str, ...]) -> list[Path]:
    """Return the files with one of the endings; names that begin with a dot are the operating system's, not sound."""
    if not folder.is_dir():
        return []
    return sorted(
        path for path in folder.iterdir() if path.suffix.lower() in suffixes and not path.name.startswith(".")
    )


def _by_name(folder: Path, suffixes: tuple[str, ...]) -> dict[str, Path]:
    return {path.stem: path for path in _files(folder, suffixes)}
