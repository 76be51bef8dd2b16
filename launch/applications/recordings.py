"""Which recordings a user means, and who speaks in each.

An input is a sound file, a folder of them at any depth, or `-` for the bytes of one sound file on stdin.  Who speaks is
read from the folder, from the file's name, or from a table; otherwise each file is taken for a speaker of its own.

Cost: listing the folders.
"""

import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from accent.errors import AccentError
from launch.extraction.sound_files import list_sound_files
from shards.corpora.names import escaped, is_utf8
from shards.corpora.table_rows import FORMATS, RowFault, read_rows

STDIN = "-"
SOUND_FOLDERS = ("wav", "wavs", "flac", "audio")
"""Folders that are not named after who speaks in them: the folder above is."""
SEPARATORS = "-_."
"""Whatever comes first ends a speaker's name in a file's name."""


@dataclass(frozen=True)
class Recording:
    """A sound file."""

    name: str
    """What it is called in answers: its path, or `-`."""
    path: Path
    """Where it is read."""
    speaker: str
    """Who speaks; the file's own name where nobody says."""


@dataclass
class Collected:
    """What the inputs hold."""

    recordings: list[Recording] = field(default_factory=list)
    refused: list[tuple[str, str]] = field(default_factory=list)
    """(name, reason) of what cannot be used."""

    def by_speaker(self) -> dict[str, list[Recording]]:
        """Return each speaker's recordings, in the order in which the speakers come."""
        speakers: dict[str, list[Recording]] = {}
        for one in self.recordings:
            speakers.setdefault(one.speaker, []).append(one)
        return speakers


@contextmanager
def collect(inputs: Sequence[str], speaker_from: str | None = None) -> Iterator[Collected]:
    """Find the recordings of some inputs; one that comes on stdin is kept in a file until the end of the block.

    Args:
        inputs: files, folders, `-`.
        speaker_from: `folder`, `name`, or the path of a table with the columns `path` and `speaker`.

    Yields:
        The recordings, each once; and the inputs and folders that cannot be used.

    Raises:
        AccentError: an unknown `speaker_from`, or a table that cannot be read.
    """
    speakers = None if speaker_from in (None, "folder", "name") else _table(str(speaker_from))
    found = Collected()
    seen: set[Path] = set()
    with tempfile.TemporaryDirectory(prefix="accent-") as folder:
        for source in dict.fromkeys(inputs):
            if source == STDIN:
                path = Path(folder, "stdin")
                path.write_bytes(sys.stdin.buffer.read())
                found.recordings.append(Recording(STDIN, path, STDIN))
                continue
            try:
                files, faults = list_sound_files(Path(source))
            except AccentError as error:
                found.refused.append((source, str(error).removeprefix(f"{source}: ")))
                continue
            found.refused += [(str(Path(source, name)), reason) for name, reason in faults]
            for path in files:
                if path.resolve() in seen:
                    continue
                seen.add(path.resolve())
                if not is_utf8(str(path)):
                    found.refused.append((escaped(str(path)), "its name is not UTF-8; rename it"))
                    continue
                speaker = str(path)
                if speaker_from == "folder":
                    speaker = _folder_of(path)
                elif speaker_from == "name":
                    speaker = _first_word(path)
                elif speakers is not None:
                    known = speakers.get(path.resolve())
                    if known is None:
                        found.refused.append((str(path), f"{speaker_from} does not say who speaks"))
                        continue
                    speaker = known
                found.recordings.append(Recording(str(path), path, speaker))
        yield found


def _folder_of(path: Path) -> str:
    parents = [parent.name for parent in path.resolve().parents]
    return next((name for name in parents if name.lower() not in SOUND_FOLDERS), parents[0])


def _first_word(path: Path) -> str:
    ends = [at for at, letter in enumerate(path.name) if letter in SEPARATORS and at]
    return path.name[: ends[0]] if ends else path.name


def _table(place: str) -> dict[Path, str]:
    path = Path(place)
    if path.suffix.lower() not in FORMATS:
        raise AccentError(
            f"--speaker-from {place}: give folder, name, or a table ({', '.join(FORMATS)}) with columns path, speaker"
        )
    speakers: dict[Path, str] = {}
    for line, row in read_rows(path, ("path", "speaker")):
        if isinstance(row, RowFault):
            raise AccentError(f"{path}, line {line}: {row}")
        # A path in the table is relative to the table.
        speakers[(path.parent / row["path"]).resolve()] = row["speaker"]
    return speakers
