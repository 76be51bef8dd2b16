"""From a transcript to the words that a pronunciation dictionary lists.

Spelling is normalised: lower case, straight apostrophes, no punctuation; a compound that the dictionary lacks is read
as its parts.  No pronunciation is made up: a word that the dictionary lacks, a digit or a spoken sign (`&`, `%`) is
returned as unknown.
Cost: some microseconds a word.
"""

import re
import unicodedata
from collections.abc import Callable

_PAUSE = re.compile(r"[\s,;:!?\"()\[\]{}«»“”„…–—]+")
"""Between two words; none of these signs is spoken."""
_JOINTS = re.compile(r"[-./]+")
"""Inside a compound."""
_AROUND = ".'-/"
"""Signs around a word that may or may not belong to it: `'cause`, `mr.`."""


def find_words(text: str, known: Callable[[str], bool]) -> tuple[list[str], list[str]]:
    """Split a transcript into words as the dictionary writes them.

    Args:
        text: what was read.
        known: tells whether the dictionary has a word, in lower case.

    Returns:
        The words in the order of the transcript, and those among them that are unknown.

    >>> find_words("The well-known 'Mr. Smith': 30!", {"the", "well", "known", "mr.", "smith"}.__contains__)
    (['the', 'well', 'known', 'mr.', 'smith', '30'], ['30'])
    """
    words: list[str] = []
    unknown: list[str] = []
    for token in _PAUSE.split(text.lower().replace("’", "'").replace("‘", "'")):
        bare = token.strip(_AROUND)
        if not bare:
            continue
        found = _in_dictionary(token, bare, known)
        words += found or [bare]
        unknown += [] if found else [bare]
    return words, unknown


def _in_dictionary(token: str, bare: str, known: Callable[[str], bool]) -> list[str]:
    """Return the word, or the words of a compound, as the dictionary writes them; nothing if it lacks one."""
    spellings = (token, token.lstrip("'-/"), token.rstrip(_AROUND), bare, _without_accents(bare))
    for spelling in spellings:
        if known(spelling):
            return [spelling]
    parts = [part for part in _JOINTS.split(bare) if part]
    return parts if len(parts) > 1 and all(known(part) for part in parts) else []


def _without_accents(word: str) -> str:
    """Return a word without diacritics: `café` is listed as `cafe`."""
    return "".join(sign for sign in unicodedata.normalize("NFKD", word) if not unicodedata.combining(sign))
