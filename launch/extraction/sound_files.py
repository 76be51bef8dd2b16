"""The sound files that a user names: a file, or a folder searched at any depth.  Cost: listing the folders."""

import os
from pathlib import Path

from accent.errors import AccentError
from shards.corpora.names import escaped

SOUND_SUFFIXES = (".wav", ".flac", ".ogg", ".mp3")


def list_sound_files(source: Path) -> tuple[list[Path], list[tuple[str, str]]]:
    """Return the sound files of a folder at any depth, sorted; or the file that is named.

    Args:
        source: a file, or a folder.

    Returns:
        The files; and each folder that cannot be listed, below the source, with the reason.

    Raises:
        AccentError: no such file or folder, or no sound file in it.
    """
    if source.is_file():
        return [source], []
    if not source.is_dir():
        raise AccentError(f"{source}: no such file or folder")
    faults: list[OSError] = []
    files = sorted(
        path
        for folder, _, names in os.walk(source, onerror=faults.append)
        for path in (Path(folder, name) for name in names)
        if path.suffix.lower() in SOUND_SUFFIXES
    )
    refused = [
        (escaped(os.path.relpath(one.filename or source, source)), f"cannot be listed: {one.strerror or one}")
        for one in faults
    ]
    if not files and not refused:
        raise AccentError(f"{source}: no sound file ({', '.join(SOUND_SUFFIXES)}) and no shard set in this folder")
    return files, refused


def textgrid_beside(sound: Path) -> Path | None:
    """Return the TextGrid of a sound file, if one lies beside it or in the folder `textgrid` next to its own."""
    name = f"{sound.stem}.TextGrid"
    places = (sound.parent / name, sound.parent.parent / "textgrid" / name)
    return next((place for place in places if place.is_file()), None)


def transcript_beside(sound: Path) -> Path | None:
    """Return the text of a sound file, if it lies beside it or in the folder `transcript` next to its own."""
    name = f"{sound.stem}.txt"
    places = (sound.parent / name, sound.parent.parent / "transcript" / name)
    return next((place for place in places if place.is_file()), None)
