"""Names and texts of people: what UTF-8 cannot hold, one composition of letters, words for the parts of a split.

Cost: about a microsecond a name.
"""

import os
import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path

_SURROGATES = re.compile("[\ud800-\udfff]")

_PARTS = {
    "train": ("train", "training", "trn", "tr"),
    "validation": ("validation", "valid", "val", "dev", "devel", "development", "cv"),
    "test": ("test", "testing", "tst", "tt", "eval", "evaluation"),
}
SPLIT_PARTS: dict[str, str] = {word: part for part, words in _PARTS.items() for word in words}
"""What corpora call the parts of a split, in lower case -> what they are called here."""


def split_part(word: str) -> str | None:
    """Return `train`, `validation` or `test` for what a corpus calls it, in any case; None for another word."""
    return SPLIT_PARTS.get(word.strip().casefold())


def composed(name: str) -> str:
    """Return a name in Unicode's composed form (NFC): an e with an accent is one letter, however it was typed."""
    return unicodedata.normalize("NFC", name)


def is_utf8(text: str) -> bool:
    """Tell whether UTF-8 can hold a text: no byte that a file name could not decode, no half of a character."""
    return _SURROGATES.search(text) is None


def escaped(text: str) -> str:
    r"""Return a text with escapes where UTF-8 cannot hold it: `caf\xe9` for a byte, `\ud83d` for half a character."""

    def escape(found: re.Match[str]) -> str:
        code = ord(found[0])
        # A byte that a file name's encoding could not decode is kept by Python as 0xDC00 and itself.
        return f"\\x{code - 0xDC00:02x}" if 0xDC80 <= code <= 0xDCFF else f"\\u{code:04x}"

    return _SURROGATES.sub(escape, text)


def why_not_a_file(path: Path) -> str | None:
    """Return why a path cannot be opened as a file, in a few words; None where it can."""
    try:
        if path.is_file():
            return None if os.access(path, os.R_OK) else "may not be read (see its permissions)"
        return "not a file" if path.exists() else "no such file"
    except OSError as error:
        return error.strerror or str(error)
    except ValueError as error:
        return str(error)


def names_from_paths(paths: Sequence[Path]) -> list[str]:
    """Name each file of one speaker after itself, and after as many folders above as it takes to tell them apart.

    Args:
        paths: files, with or without folders; `1zcI/00001.wav` and `7hY/00001.wav` need one.

    Returns:
        A name for each path, different for different paths, without the ending.
    """
    parts = [(*path.parent.parts, path.stem) for path in paths]
    different = len(set(paths))
    names = [path.stem for path in paths]
    for depth in range(1, max(map(len, parts), default=0) + 1):
        names = ["_".join(part[-depth:]) for part in parts]
        if len(set(names)) == different:
            break
    return names


def easily_confused(names: Iterable[str]) -> list[str]:
    """Return one line for each group of names that a person would take for one.

    Names are confused that differ only in case, in spaces, in characters that cannot be seen (a zero-width space), or
    in forms of one letter; so is a name with such a character, even if it is alone.
    """
    groups: dict[str, set[str]] = defaultdict(set)
    for name in names:
        groups[_as_seen(name)].add(name)
    lines = []
    for group in groups.values():
        shown = ", ".join(sorted(ascii(name) if _invisible(name) else f"'{name}'" for name in group))
        if len(group) > 1:
            lines.append(f"{shown} differ only in case, spaces or characters that cannot be seen")
        elif any(_invisible(name) for name in group):
            lines.append(f"{shown} holds a character that cannot be seen")
    return sorted(lines)


def _as_seen(name: str) -> str:
    folded = unicodedata.normalize("NFKC", name).casefold()
    return "".join(letter for letter in folded if not letter.isspace() and not _is_invisible(letter))


def _invisible(name: str) -> bool:
    return any(_is_invisible(letter) for letter in name)


def _is_invisible(letter: str) -> bool:
    return unicodedata.category(letter) in ("Cf", "Cc")
