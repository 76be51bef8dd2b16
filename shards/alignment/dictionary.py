"""A user's pronunciation dictionary, in the format of the CMU dictionary: `WORD  PH O N E S`, one a line.

Another pronunciation of the same word is one more line, `WORD(2)  PH O N E S`.  Stress digits are allowed and ignored;
lines that begin with `;;;` or `#` are comments.
Cost: some microseconds a line.
"""

import re
from pathlib import Path

from accent.errors import AccentError
from accent.features.phones import CONSONANTS, VOWELS

_PHONES = frozenset((*VOWELS, *CONSONANTS))


def read_dictionary(path: Path) -> list[tuple[str, str]]:
    """Read a dictionary.

    Args:
        path: the file, in UTF-8.

    Returns:
        (word, phones) in the order of the lines: the word in lower case, phones without stress, with spaces between.

    Raises:
        AccentError: the file cannot be read, or a line is no word with phones of ARPAbet; the line gives its number.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise AccentError(f"{path}: this dictionary cannot be read: {error}") from error
    entries = []
    for number, line in enumerate(lines, start=1):
        if not line.strip() or line.startswith((";;;", "#")):
            continue
        word, *spoken = line.split()
        phones = [re.sub(r"[0-2]$", "", phone.upper()) for phone in spoken]
        strange = [phone for phone in phones if phone not in _PHONES]
        if not phones or strange:
            what = f"'{strange[0]}' is no phone of ARPAbet" if strange else f"no phones after '{word}'"
            raise AccentError(f"{path}: line {number}: {what}; write WORD PH O N E S, as in 'fish F IH SH'")
        entries.append((re.sub(r"\(\d+\)$", "", word).lower(), " ".join(phones)))
    return entries
