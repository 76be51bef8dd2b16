"""The folders of one speaker in L2-ARCTIC's layout: wav, transcript, textgrid, annotation.

Shared by the reader of L2-ARCTIC itself and by trees that follow it.  Cost: one listing a folder and one small read a
transcript; about 80 microseconds an utterance.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from shards.corpora.corpus import SOUND_SUFFIXES, Refusal
from shards.corpora.names import composed


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
        # os.path: a folder that may not be read is no error here; whoever lists it says so.
        if os.path.isdir(folder / "wav"):
            return folder
    return None


def speaker_folders(root: Path) -> dict[str, Path]:
    """Return every folder of `root` that holds a `wav` folder, by name, in sorted order."""
    names = sorted(entry for entry in os.listdir(root) if not entry.startswith(".") and os.path.isdir(root / entry))
    # Composed, because file systems and tables may write one name in different ways; of two such folders, the second
    # keeps its own form, and so is refused as a speaker whom nobody lists.
    found: dict[str, Path] = {}
    for name in names:
        folder = speaker_folder(root, name)
        if folder is not None:
            found[name if composed(name) in found else composed(name)] = folder
    return found


def unreadable_folders(root: Path) -> list[Refusal]:
    """Refuse each folder of `root` that may not be read; nobody can say what is in it."""
    return [
        Refusal(entry, "a folder that may not be read; see its permissions")
        for entry in sorted(os.listdir(root))
        if os.path.isdir(root / entry) and not os.access(root / entry, os.R_OK | os.X_OK)
    ]


def recordings(root: Path, folder: Path) -> Iterator[Recording | Refusal]:
    """Yield the sound files of one speaker's folder in the order of their names.

    Args:
        root: the corpus; refusals are relative to it.
        folder: holds `wav` and perhaps `transcript`, `textgrid`, `annotation`.

    Yields:
        A recording, or a refusal where its transcript or a whole folder cannot be read.
    """
    try:
        transcripts = _by_name(folder / "transcript", (".txt",))
        textgrids = _by_name(folder / "textgrid", (".textgrid",))
        annotations = _by_name(folder / "annotation", (".textgrid",))
        sounds = _files(folder / "wav", SOUND_SUFFIXES)
    except OSError as error:
        yield Refusal(_below(root, Path(error.filename or folder)), f"cannot be listed: {error.strerror or error}")
        return
    for path in sounds:
        transcript = transcripts.get(path.stem)
        try:
            text = " ".join(transcript.read_text(encoding="utf-8-sig").split()) if transcript else ""
        except (OSError, UnicodeDecodeError) as error:
            yield Refusal(_below(root, path), f"its transcript {transcript} cannot be read: {error}")
            continue
        yield Recording(path, path.stem, text or None, textgrids.get(path.stem), annotations.get(path.stem))


def nested_recordings(root: Path, folder: Path) -> Iterator[Recording | Refusal]:
    """Yield the sound files anywhere below a speaker's folder, named by their path in it, as VoxCeleb keeps them.

    Args:
        root: the corpus; refusals are relative to it.
        folder: holds sound in folders of its own, such as one a video.

    Yields:
        A recording, or a refusal where a folder cannot be read.
    """
    faults: list[OSError] = []
    for place, folders, files in os.walk(folder, onerror=faults.append):
        folders.sort()
        for file in sorted(files):
            path = Path(place, file)
            if path.suffix.lower() in SOUND_SUFFIXES and not file.startswith("."):
                yield Recording(path, "_".join(path.relative_to(folder).with_suffix("").parts), None, None, None)
    for fault in faults:
        yield Refusal(_below(root, Path(fault.filename or folder)), f"cannot be listed: {fault.strerror or fault}")


def _below(root: Path, path: Path) -> str:
    return str(path.relative_to(root)) if path.is_relative_to(root) else str(path)


def _files(folder: Path, suffixes: tuple[str, ...]) -> list[Path]:
    """Return the files with one of the endings; names that begin with a dot are the operating system's, not sound."""
    if not os.path.isdir(folder):
        return []
    return sorted(
        path for path in folder.iterdir() if path.suffix.lower() in suffixes and not path.name.startswith(".")
    )


def _by_name(folder: Path, suffixes: tuple[str, ...]) -> dict[str, Path]:
    return {path.stem: path for path in _files(folder, suffixes)}
