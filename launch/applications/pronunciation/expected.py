"""What should have been said in a recording, and when: from a TextGrid, or from its text.

A TextGrid lies beside the recording, in a folder `textgrid` beside the recording's folder, as L2-ARCTIC has them, or in
a folder that the user names.  A text is given by the user, or lies beside the recording as NAME.txt or in a folder
`transcript`; PocketSphinx finds its words and phones in the sound (`shards.alignment`), and of several pronunciations
the one that was spoken.  Where there is neither, the phones that the model hears are scored.

Cost: an alignment 0.03 s a second of sound, and 0.3 s to start; a TextGrid a millisecond.
"""

from collections import Counter
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Literal, NamedTuple

from accent.audio.prepare import AudioConfig, load_speech
from accent.errors import AccentError
from accent.inference.pronunciation import Expected
from launch.applications.recordings import STDIN, Recording
from launch.extraction.sound_files import textgrid_beside, transcript_beside
from shards.alignment.aligner import Aligner
from shards.alignment.transcript import find_words

NONE = "none"
"""Instead of TextGrids or a text: use none."""
Basis = Literal["TextGrid", "text", "decoded"]


class Found(NamedTuple):
    """What is known of one recording."""

    basis: Basis
    expected: Expected | None
    """None: nobody says what should have been said."""
    source: str | None
    """The TextGrid, or the text."""


class Expectations:
    """Finds what should have been said.

    Args:
        recordings: all that will be asked for.
        textgrid: a folder that has a TextGrid for every recording; `NONE`: TextGrids are not read; None: those beside
            the recordings are.
        text: what is said in every recording; `NONE`: texts are not read; None: those beside the recordings are.

    Raises:
        AccentError: no such folder.
    """

    def __init__(self, recordings: Sequence[Recording], textgrid: str | None, text: str | None) -> None:
        self._folder = None if textgrid in (None, NONE) else Path(str(textgrid))
        self._beside, self._text = textgrid is None, text
        self._named = Counter(one.path.stem for one in recordings)
        if self._folder is not None and not self._folder.is_dir():
            raise AccentError(f"--textgrid {self._folder}: no such folder; give a folder of TextGrids, or {NONE}")

    def of(self, recording: Recording) -> Found:
        """Return what is known of a recording.

        Raises:
            AccentError: a TextGrid or a text that cannot be read, a text that is not found in the sound, or a folder
                that has no TextGrid for this recording.
        """
        # A text that the user gives outweighs TextGrids that happen to lie there.
        if self._folder is not None or self._text in (None, NONE):
            textgrid = self._textgrid(recording)
            if textgrid is not None:
                return Found("TextGrid", Expected.read(textgrid), str(textgrid))
        text = self._text_of(recording)
        if text is not None:
            return Found("text", self._aligned(recording.path, text), text)
        return Found("decoded", None, None)

    def _textgrid(self, recording: Recording) -> Path | None:
        if self._folder is not None:
            return self._in_folder(self._folder, recording)
        return textgrid_beside(recording.path) if self._beside and recording.name != STDIN else None

    def _in_folder(self, folder: Path, recording: Recording) -> Path:
        """Return the TextGrid that a folder has for a recording, in its speaker's folder or directly."""
        name = f"{recording.path.stem}.TextGrid"
        places = [folder / recording.speaker / "textgrid" / name, folder / recording.speaker / name]
        # A TextGrid without a speaker could belong to any recording of its name.
        if self._named[recording.path.stem] == 1:
            places.append(folder / name)
        found = next((place for place in places if place.is_file()), None)
        if recording.name == STDIN or found is None:
            raise AccentError(f"no TextGrid for it in {folder}")
        return found

    def _text_of(self, recording: Recording) -> str | None:
        if self._text is not None:
            return None if self._text == NONE else self._text
        path = None if recording.name == STDIN else transcript_beside(recording.path)
        try:
            return None if path is None else " ".join(path.read_text(encoding="utf-8-sig").split()) or None
        except (OSError, UnicodeDecodeError) as error:
            raise AccentError(f"its transcript {path} cannot be read: {error}") from error

    def _aligned(self, path: Path, text: str) -> Expected:
        words, unknown = find_words(text, self._aligner.knows)
        if unknown or not words:
            raise AccentError(
                f"its text '{text}' has words that the dictionary lacks: {', '.join(dict.fromkeys(unknown))}"
                if unknown
                else f"no word in its text '{text}'"
            )
        found = self._aligner.align(load_speech(path, AudioConfig()).unfiltered_N, words)
        return Expected(found.phones, found.words)

    @cached_property
    def _aligner(self) -> Aligner:
        return Aligner()
